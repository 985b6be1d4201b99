-- By which recipe an output of a job is made, so that a job by the same recipe may take it instead of making it again.

CREATE TABLE recipes (
    client BLOB NOT NULL,
    recipe BLOB NOT NULL,
    job BLOB NOT NULL,
    output TEXT NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (client, recipe)
) WITHOUT ROWID;
CREATE INDEX recipes_age ON recipes (noted_at);
