REVOKE UPDATE (idempotency_key) ON notifications FROM certjobs_job;
DROP TRIGGER certjobs_forget_keys ON notifications;
DROP FUNCTION certjobs_forget_keys();
