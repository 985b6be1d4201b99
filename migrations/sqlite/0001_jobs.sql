-- Jobs, the fair queue over clients, quotas. Times are milliseconds since the Unix epoch, UTC.

CREATE TABLE jobs (
    -- Order of arrival; a client's jobs are claimed in this order.
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               BLOB    NOT NULL UNIQUE,
    client           BLOB    NOT NULL,
    status           TEXT    NOT NULL
                     CHECK (status IN ('queued', 'processing', 'succeeded', 'failed', 'canceled', 'expired')),
    params           TEXT    NOT NULL,
    input            TEXT    NOT NULL,
    cost             REAL    NOT NULL,
    -- The UTC day (days since the epoch) whose quota was charged.
    charged_day      INTEGER NOT NULL,
    attempt          INTEGER NOT NULL DEFAULT 0,
    -- The fencing token; grows with every claim.
    token            INTEGER NOT NULL DEFAULT 0,
    worker           TEXT,
    lease_until      INTEGER,
    -- Set while queued for a retry that is not due yet.
    not_before       INTEGER,
    -- Whether the client's virtual clock was advanced for it; once, however often it is claimed.
    clock_charged    INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    progress         REAL    NOT NULL DEFAULT 0,
    result           TEXT,
    error            TEXT,
    -- Blobs that still have to be deleted once they have no use.
    input_held       INTEGER NOT NULL DEFAULT 1,
    output_attempt   INTEGER,
    created_at       INTEGER NOT NULL,
    started_at       INTEGER,
    finished_at      INTEGER,
    expires_at       INTEGER
) STRICT;

CREATE INDEX jobs_fifo    ON jobs (client, seq)   WHERE status = 'queued' AND not_before IS NULL;
CREATE INDEX jobs_delayed ON jobs (not_before)    WHERE not_before IS NOT NULL;
CREATE INDEX jobs_leased  ON jobs (lease_until)   WHERE lease_until IS NOT NULL;
CREATE INDEX jobs_open    ON jobs (client)        WHERE finished_at IS NULL;
CREATE INDEX jobs_expiry  ON jobs (expires_at)    WHERE status = 'succeeded';
CREATE INDEX jobs_done    ON jobs (finished_at)   WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_inputs  ON jobs (seq)           WHERE input_held = 1 AND finished_at IS NOT NULL;
CREATE INDEX jobs_outputs ON jobs (seq)           WHERE output_attempt IS NOT NULL AND status <> 'succeeded';

-- Start-time fair queueing: the active client (ready > 0) with the smallest vstart goes next; its vstart then advances
-- by the cost of the job it was given.
CREATE TABLE clients (
    client BLOB    PRIMARY KEY,
    vstart REAL    NOT NULL,
    -- Its jobs that are queued and due.
    ready  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX clients_turn ON clients (vstart, ready) WHERE ready > 0;

-- One row: the vstart of the client served last (virtual time), and the secret under which addresses are hashed.
CREATE TABLE service (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    virtual_now REAL    NOT NULL DEFAULT 0,
    secret      BLOB    NOT NULL
) STRICT;

INSERT INTO service (id, secret) VALUES (1, randomblob(32));

CREATE TABLE quota (
    day    INTEGER NOT NULL,
    client BLOB    NOT NULL,
    used   INTEGER NOT NULL,
    PRIMARY KEY (day, client)
) STRICT, WITHOUT ROWID;

-- Counters that triggers keep, so that the queue's length costs nothing to read.
CREATE TABLE totals (
    status TEXT    PRIMARY KEY,
    jobs   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO totals (status, jobs)
VALUES ('queued', 0), ('processing', 0), ('succeeded', 0), ('failed', 0), ('canceled', 0), ('expired', 0);

CREATE TRIGGER totals_insert AFTER INSERT ON jobs BEGIN
    UPDATE totals SET jobs = jobs + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER totals_update AFTER UPDATE OF status ON jobs WHEN OLD.status <> NEW.status BEGIN
    UPDATE totals SET jobs = jobs - 1 WHERE status = OLD.status;
    UPDATE totals SET jobs = jobs + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER totals_delete AFTER DELETE ON jobs BEGIN
    UPDATE totals SET jobs = jobs - 1 WHERE status = OLD.status;
END;

-- The same for a client's ready jobs.
CREATE TRIGGER ready_update AFTER UPDATE OF status, not_before ON jobs
WHEN (OLD.status = 'queued' AND OLD.not_before IS NULL) <> (NEW.status = 'queued' AND NEW.not_before IS NULL) BEGIN
    UPDATE clients
    SET ready = ready + iif(NEW.status = 'queued' AND NEW.not_before IS NULL, 1, -1),
        -- Idle until now: it starts at the virtual now, or later where its last job left it.
        vstart = iif(ready = 0, max(vstart, (SELECT virtual_now FROM service)), vstart)
    WHERE client = NEW.client;
END;
