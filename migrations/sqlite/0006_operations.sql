-- What operators do by hand, and housekeeping that hands out what it deletes.

-- When the job's blobs may next be handed out for deletion: after a failed job's input was kept long enough, or after whoever was
-- given them has had time to delete them.
ALTER TABLE jobs ADD COLUMN garbage_due INTEGER NOT NULL DEFAULT 0;

DROP INDEX jobs_inputs;
DROP INDEX jobs_outputs;
CREATE INDEX jobs_inputs  ON jobs (garbage_due) WHERE input_held = 1 AND finished_at IS NOT NULL;
CREATE INDEX jobs_outputs ON jobs (garbage_due) WHERE output IS NOT NULL AND status <> 'succeeded';
CREATE INDEX jobs_failed  ON jobs (finished_at) WHERE status = 'failed';

-- Idle clients, by where their last job left their start.
CREATE INDEX clients_idle ON clients (vstart) WHERE ready = 0;

-- Whether workers are given no jobs at present, and when the last search for orphans began.
ALTER TABLE service ADD COLUMN paused   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE service ADD COLUMN swept_at INTEGER NOT NULL DEFAULT 0;

-- Jobs that were queued again, and that failed, because their worker was gone.
ALTER TABLE service ADD COLUMN reclaimed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE service ADD COLUMN poisoned  INTEGER NOT NULL DEFAULT 0;

-- Queued jobs by the upscaler that they need; those that need none under an empty name.
CREATE TABLE model_totals (
    model  TEXT    PRIMARY KEY,
    queued INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO model_totals (model, queued)
SELECT coalesce(model, ''), count(*) FROM jobs WHERE status = 'queued' GROUP BY 1;

-- Workers that are given no jobs.
CREATE TABLE drained (
    worker TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Clients that used a unit on a day, and the units that were used, so that neither has to be counted.
CREATE TABLE days (
    day     INTEGER PRIMARY KEY,
    clients INTEGER NOT NULL,
    used    INTEGER NOT NULL
) STRICT;

INSERT INTO days (day, clients, used) SELECT day, count(*), sum(used) FROM quota WHERE used > 0 GROUP BY day;
