DROP FUNCTION certjobs_pause_free(bigint[], date);
DROP FUNCTION certjobs_pause_next(bigint, date, text, boolean, date, bigint, integer, integer);
DROP FUNCTION certjobs_pause_places(tid[], date);
