-- Jobs that insist on the restoration of faces go to workers that can do it: what a job needs has a name that ends with +faces then.

UPDATE jobs SET model = coalesce(model, '') || '+faces'
WHERE status IN ('queued', 'processing', 'failed') AND json_extract(params, '$.faces') = 'require';

DELETE FROM model_totals;
INSERT INTO model_totals (model, queued)
SELECT coalesce(model, ''), count(*) FROM jobs WHERE status = 'queued' GROUP BY 1;
