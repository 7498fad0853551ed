DO $$
DECLARE
    each record;
BEGIN
    -- Row security that an application had before stays on.
    FOR each IN SELECT p.polrelid::regclass AS name FROM pg_policy p WHERE p.polname = 'certjobs_others' LOOP
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
END
$$;
ALTER TABLE notice_snoozes ALTER COLUMN actor DROP DEFAULT;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM certjobs_admin, certjobs_read, certjobs_coordinator;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM certjobs_admin;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM certjobs_admin, certjobs_read, certjobs_coordinator;
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
