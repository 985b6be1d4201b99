-- The rules of the queue live in shared/store/src/rules: no trigger decides or counts anything any more.

DROP TRIGGER totals_insert;
DROP TRIGGER totals_update;
DROP TRIGGER totals_delete;
DROP TRIGGER ready_update;
DROP TRIGGER job_ends;
DROP TRIGGER job_forgotten;
DROP TRIGGER batch_forgotten;

-- Whether the job's unit was given back; once, whichever way the job goes on.
ALTER TABLE jobs ADD COLUMN refunded INTEGER NOT NULL DEFAULT 0;

-- Jobs that failed through the service's fault or were canceled before an attempt were refunded when they ended; files that
-- were refused were never charged.
UPDATE jobs SET refunded = 1
WHERE (status IN ('canceled', 'failed') AND started_at IS NULL)
    OR (status = 'failed' AND json_extract(error, '$.code') IN
        ('internal', 'poison', 'queue_full', 'store_unavailable', 'storage_unavailable', 'model_unavailable'));

-- Since when the client's oldest ready job has been its oldest, in counts of service.moments.
ALTER TABLE clients ADD COLUMN head_since INTEGER NOT NULL DEFAULT 0;

DROP INDEX clients_turn;
CREATE INDEX clients_turn ON clients (vstart, head_since) WHERE ready > 0;
CREATE INDEX clients_wait ON clients (head_since)         WHERE ready > 0;

-- Claims served so far, moments at which a client's oldest job changed, and clients with ready jobs.
ALTER TABLE service ADD COLUMN claims  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE service ADD COLUMN moments INTEGER NOT NULL DEFAULT 0;
ALTER TABLE service ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;

UPDATE service SET waiting = (SELECT count(*) FROM clients WHERE ready > 0);
