DROP TRIGGER certjobs_settle_key ON notifications;
DROP FUNCTION certjobs_settle_key();
DROP TRIGGER certjobs_forget_keys ON notifications;
DROP FUNCTION certjobs_forget_keys();
