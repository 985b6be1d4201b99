-- Batches, and the outbox of webhooks. A webhook's row is there from the submit on and becomes due in the step in which
-- its job or batch ends: triggers see to that, so that no way to an end can forget it.

ALTER TABLE jobs ADD COLUMN batch BLOB;

CREATE INDEX jobs_batch ON jobs (batch, seq) WHERE batch IS NOT NULL;

CREATE TABLE batches (
    id               BLOB    PRIMARY KEY,
    client           BLOB    NOT NULL,
    -- Its jobs that have not ended.
    open             INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hooks (
    -- The job or the batch that it tells of.
    subject  BLOB    PRIMARY KEY,
    kind     TEXT    NOT NULL CHECK (kind IN ('job', 'batch')),
    -- JSON: URL, secret, where links point; NULL once the delivery is over.
    target   TEXT,
    host     TEXT    NOT NULL,
    -- When it is tried next; NULL while there is nothing to tell, and once it is over.
    due      INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- What the first attempt sent.
    body     TEXT,
    last     TEXT,
    ended    TEXT    CHECK (ended IN ('delivered', 'failed'))
) STRICT, WITHOUT ROWID;

CREATE INDEX hooks_host ON hooks (host, due) WHERE due IS NOT NULL;
CREATE INDEX hooks_due  ON hooks (due)       WHERE due IS NOT NULL;

CREATE TRIGGER job_ends AFTER UPDATE OF finished_at ON jobs
WHEN OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL BEGIN
    UPDATE hooks SET due = NEW.finished_at WHERE subject = NEW.id;
    UPDATE batches SET open = open - 1 WHERE id = NEW.batch;
    UPDATE hooks SET due = NEW.finished_at
    WHERE subject = NEW.batch AND (SELECT open FROM batches WHERE id = NEW.batch) = 0;
END;

CREATE TRIGGER job_forgotten AFTER DELETE ON jobs BEGIN
    DELETE FROM hooks WHERE subject = OLD.id;
    DELETE FROM batches WHERE id = OLD.batch AND NOT EXISTS (SELECT 1 FROM jobs WHERE batch = OLD.batch);
END;

CREATE TRIGGER batch_forgotten AFTER DELETE ON batches BEGIN
    DELETE FROM hooks WHERE subject = OLD.id;
END;
