-- Which jobs a client's idempotency key stands for, and what the request was.

CREATE TABLE idempotency (
    client      BLOB    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    -- A JSON array of job ids.
    jobs        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (client, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_age ON idempotency (created_at);
