DROP FUNCTION certjobs_expired(date, date);
DROP FUNCTION certjobs_days_left(date, date);
DROP FUNCTION certjobs_certification_end(date, date);
