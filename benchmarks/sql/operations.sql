-- An open operation for each of the first :operations mentors, by what the rule says of them, as after a change of each;
-- what the website showed before was the opposite. And as many rows in a plain queue of the yardstick's.
TRUNCATE sync_queue, website_listing;
CREATE TEMPORARY TABLE wanted AS
SELECT m.id, m.external_ref, m.organisation_id, m.certification_expiry,
       m.status = 'active' AND m.certification_expiry IS NOT NULL AS listed
  FROM peer_mentors m
 ORDER BY m.id
 LIMIT :operations;
INSERT INTO website_listing (mentor_id, listed) SELECT w.id, NOT w.listed FROM wanted w;
INSERT INTO sync_queue (mentor_id, organisation_id, certification_expiry, operation, triggered_by_event, explained, actor)
SELECT w.id, w.organisation_id, w.certification_expiry, CASE WHEN w.listed THEN 'restore' ELSE 'remove' END,
       CASE WHEN w.listed THEN 'reinstated' ELSE 'expired_cert' END, NOT w.listed, 'bench'
  FROM wanted w
 ORDER BY w.id;
DROP TABLE IF EXISTS plain_queue;
CREATE TABLE plain_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mentor_ref text NOT NULL,
    listed boolean NOT NULL,
    status text NOT NULL DEFAULT 'pending'
);
CREATE INDEX plain_queue_next ON plain_queue (id) WHERE status = 'pending';
INSERT INTO plain_queue (mentor_ref, listed) SELECT w.external_ref, w.listed FROM wanted w ORDER BY w.id;
VACUUM (ANALYZE) sync_queue, website_listing, plain_queue;
CHECKPOINT;
