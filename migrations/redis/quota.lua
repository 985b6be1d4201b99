-- The daily quota.

local function refund(job)
  -- Once, whichever way the job goes on.
  if job.refunded then return end
  set(job, 'refunded', 1)
  local key = P .. 'quota:' .. job.day
  if tonumber(redis.call('HGET', key, job.client) or '0') > 0 then
    if redis.call('HINCRBY', key, job.client, -1) == 0 then redis.call('HDEL', key, job.client) end
    redis.call('DECR', P .. 'used:' .. job.day)
  end
end
