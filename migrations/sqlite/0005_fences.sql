-- Claims by fence, attempts that count from the first heartbeat, and jobs only for workers that have their model.

-- The fencing token of the latest claim: random, chosen by the worker. (token, a counter, is no longer used.)
ALTER TABLE jobs ADD COLUMN fence BLOB;
CREATE UNIQUE INDEX jobs_fence ON jobs (fence) WHERE fence IS NOT NULL;

-- Whether the worker of the present attempt was heard of since it claimed the job.
ALTER TABLE jobs ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET begun = 1 WHERE status = 'processing';

-- How often the job went back because of a fault of the service's own.
ALTER TABLE jobs ADD COLUMN deferrals INTEGER NOT NULL DEFAULT 0;

-- The upscaler without which the job cannot be done; NULL when it needs none.
ALTER TABLE jobs ADD COLUMN model TEXT;
UPDATE jobs SET model = json_extract(params, '$.model') WHERE json_extract(params, '$.background');

-- The output that still has to be deleted once it has no use: the fence that it was made under, or the number of the attempt in
-- rows of before. (output_attempt is no longer used.)
ALTER TABLE jobs ADD COLUMN output TEXT;
UPDATE jobs SET output = CAST(output_attempt AS TEXT);

DROP INDEX jobs_outputs;
CREATE INDEX jobs_outputs ON jobs (seq) WHERE output IS NOT NULL AND status <> 'succeeded';
