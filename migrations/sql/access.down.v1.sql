DO $$
DECLARE
    each record;
BEGIN
    -- Row security that an application had before, or has given policies of its own since, stays on.
    FOR each IN SELECT p.polrelid::regclass AS name FROM pg_policy p
                 WHERE p.polname = 'certjobs_others'
                   AND NOT EXISTS (SELECT 1 FROM pg_policy o
                                    WHERE o.polrelid = p.polrelid AND o.polname NOT LIKE 'certjobs\_%') LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', each.name);
    END LOOP;
    FOR each IN SELECT p.polname, p.polrelid::regclass AS name FROM pg_policy p
                 WHERE p.polname IN ('certjobs_job', 'certjobs_admin', 'certjobs_read', 'certjobs_coordinator',
                                     'certjobs_others', 'certjobs_own_rows') LOOP
        EXECUTE format('DROP POLICY %I ON %s', each.polname, each.name);
    END LOOP;
    FOR each IN SELECT p.oid::regprocedure AS name FROM pg_proc p
                 WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'certjobs\_%' AND p.prosecdef
                   AND p.prorettype = 'trigger'::regtype LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', each.name);
    END LOOP;
    FOR each IN SELECT p.oid::regprocedure AS name FROM pg_proc p
                 WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'certjobs\_%' AND p.prosecdef LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, public, pg_temp', each.name);
    END LOOP;
    FOR each IN SELECT p.oid::regprocedure AS name FROM pg_proc p
                 WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'certjobs\_%' LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM certjobs_admin, certjobs_read, certjobs_coordinator', each.name);
    END LOOP;
    -- An application may keep tables of others in the same schema: only what has our privileges is touched.
    FOR each IN SELECT c.oid::regclass AS name, c.relkind = 'S' AS counts FROM pg_class c
                 WHERE c.relnamespace = 'public'::regnamespace
                   AND EXISTS (SELECT 1 FROM pg_shdepend d
                                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'a'
                                  AND d.dbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
                                  AND d.refobjid IN ('certjobs_admin'::regrole, 'certjobs_read'::regrole,
                                                     'certjobs_coordinator'::regrole)) LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM certjobs_admin, certjobs_read, certjobs_coordinator',
                       CASE WHEN each.counts THEN 'SEQUENCE' ELSE 'TABLE' END, each.name);
    END LOOP;
END
$$;
ALTER TABLE notice_snoozes ALTER COLUMN actor DROP DEFAULT;
REVOKE USAGE ON SCHEMA public FROM certjobs_admin, certjobs_read, certjobs_coordinator;
DROP FUNCTION certjobs_own_places();
DROP FUNCTION certjobs_own_mentors();
DROP FUNCTION certjobs_own_coordinators();
DROP FUNCTION certjobs_claimed_address();
DROP FUNCTION certjobs_signed(bytea, bytea, bytea);
DROP FUNCTION certjobs_as_number(bytea);
DROP FUNCTION certjobs_base64url(text);
DROP TABLE claim_keys;
DROP TABLE coordinator_logins;
