-- Reading.

-- job: it, an estimate of its place in line while it waits, and the state of its webhook
local function get(_, a)
  local job = load(a[1])
  if not job then return cjson.encode({}) end
  local place = nil
  if job.status == 'queued' then place = position(job) end
  return cjson.encode({ job = job, position = place, hook = standing(job.id) })
end

-- now, day
local function stats(_, a)
  return cjson.encode({
    clients = redis.call('HLEN', P .. 'quota:' .. a[2]),
    used = tonumber(redis.call('GET', P .. 'used:' .. a[2]) or '0'),
    queued = counted('queued'),
    processing = counted('processing'),
  })
end
