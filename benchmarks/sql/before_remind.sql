-- The roster as expiry-check leaves it for a night: who has expired is paused, no notice is owed, and the audit tells that
-- the run :run paused, :ago, those who expired the day before. Of those who expired earlier it tells nothing.
SET session_replication_role = replica;
UPDATE peer_mentors SET status = 'paused', pause_reason = 'expired_cert'
 WHERE status = 'active' AND certification_expiry < :'today';
INSERT INTO mentor_status_events
       (mentor_id, event, from_status, to_status, certification_expiry, effective_on, actor, run_id, occurred_at)
SELECT m.id, 'expired_cert', 'active', 'paused', m.certification_expiry, :'today', 'bench', :'run',
       clock_timestamp() - interval :'ago'
  FROM peer_mentors m
 WHERE m.pause_reason = 'expired_cert'
   AND m.certification_expiry = date :'today' - 1
   AND NOT EXISTS (SELECT 1 FROM mentor_status_events e WHERE e.mentor_id = m.id);
UPDATE notifications SET status = 'sent' WHERE status = 'pending';
VACUUM peer_mentors, notifications, cert_expiry_reminders, mentor_status_events;
