REVOKE ALL ON FUNCTION certjobs_forget(text, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION certjobs_forget(text, timestamptz, integer) TO certjobs_job;
