-- The rules on expiry, said once (DESIGN section 3). They take the date; whoever calls says which day it is.
-- Plain SQL bodies, so that the planner inlines them and the indexes still serve.

CREATE FUNCTION certjobs_certification_end(expires_on date, withdrawn_on date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT least(expires_on, withdrawn_on - 1) $$;
COMMENT ON FUNCTION certjobs_certification_end(date, date) IS
    'The last day a certification is valid: the day it expires, or the day before it was withdrawn.';

CREATE FUNCTION certjobs_days_left(certification_expiry date, today date) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT certification_expiry - today $$;
COMMENT ON FUNCTION certjobs_days_left(date, date) IS
    'Days until the last valid day; 0 on that day; null for a mentor who never had a certification.';

CREATE FUNCTION certjobs_expired(certification_expiry date, today date) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT certification_expiry < today $$;
COMMENT ON FUNCTION certjobs_expired(date, date) IS
    'Whether days_left is negative; null, hence not expired, for a mentor who never had a certification.';
