-- The daily quota.

-- The client used `units` more on that day, or fewer when the number is negative. Returns what it has used.
local function charge(day, client, units)
  local quota = P .. 'quota:' .. day
  local used = redis.call('HINCRBY', quota, client, units)
  if used == 0 then redis.call('HDEL', quota, client) end
  redis.call('INCRBY', P .. 'used:' .. day, units)
  redis.call('ZADD', P .. 'days', day, day)
  return used
end

-- Forgets the days before yesterday.
local function forget_days(now)
  local last = math.floor(now / 86400000) - 2
  for _, day in ipairs(redis.call('ZRANGEBYSCORE', P .. 'days', '-inf', last)) do
    redis.call('UNLINK', P .. 'quota:' .. day, P .. 'used:' .. day)
    redis.call('ZREM', P .. 'days', day)
  end
end

local function refund(job)
  -- Once, whichever way the job goes on.
  if job.refunded then return end
  set(job, 'refunded', 1)
  if tonumber(redis.call('HGET', P .. 'quota:' .. job.day, job.client) or '0') > 0 then charge(job.day, job.client, -1) end
end
