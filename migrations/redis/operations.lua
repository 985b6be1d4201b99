-- What operators do by hand.

-- Wakes workers for the jobs that wait. Jobs of clients further back ring no bell here; workers
-- find them by themselves within a few seconds.
local function ring_all()
  for _, client in ipairs(redis.call('ZRANGE', P .. 'act', 0, LOOKED_AT - 1)) do
    local job = oldest(client)
    if job then ring(needed_skill(job)) end
  end
end

-- 1 to pause claiming, 0 to resume
local function pause(_, a)
  if a[1] == '1' then
    redis.call('SET', P .. 'paused', '1')
  else
    redis.call('DEL', P .. 'paused')
    ring_all()
  end
  return cjson.encode({})
end

-- worker, 1 to drain it, 0 to let it work again
local function drain(_, a)
  redis.call(a[2] == '1' and 'SADD' or 'SREM', P .. 'drained', a[1])
  if a[2] ~= '1' then ring_all() end
  return cjson.encode({})
end

-- which, error code or empty, how many: the latest failed jobs, those whose lease ends first, or the longest waiting of each client
local function list(_, a)
  local which, last, ids, jobs = a[1], tonumber(a[3]) - 1, {}, {}
  if which == 'failed' then
    local key = P .. 'failed'
    if a[2] ~= '' then key = key .. ':' .. a[2] end
    ids = redis.call('ZRANGE', key, 0, last, 'REV')
  elseif which == 'processing' then
    ids = redis.call('ZRANGE', P .. 'leases', 0, last)
  else
    for _, client in ipairs(redis.call('ZRANGE', P .. 'heads', 0, last)) do
      table.insert(ids, redis.call('ZRANGE', P .. 'c:' .. client, 0, 0)[1])
    end
  end
  for _, id in ipairs(ids) do table.insert(jobs, load(id)) end
  return cjson.encode({ jobs = jobs })
end

-- now, job, how long the input of a failed job is kept: it is queued again in its old place, as long as its input is kept. The time is
-- counted from the failure: an input that was handed out for deletion stays listed until it is gone.
local function requeue_failed(_, a)
  local now, job = time(a[1]), load(a[2])
  if not job then return cjson.encode({}) end
  if job.status ~= 'failed' then return cjson.encode({ refused = 'illegal', job = job }) end
  local held = redis.call('ZSCORE', P .. 'trash', 'i:' .. job.id)
  if not held or tonumber(job.finished) + tonumber(a[3]) <= now then
    return cjson.encode({ refused = 'input_gone', job = job })
  end
  redis.call('ZREM', P .. 'trash', 'i:' .. job.id)
  redis.call('ZREM', P .. 'done', job.id)
  unlist_failed(job)
  move(job, 'queued')
  set(job, 'attempt', 0, 'progress', 0)
  clear(job, 'error', 'finished', 'started', 'deferrals', 'cancel', 'unheard')
  rearm(job.id)
  if job.batch then
    redis.call('HINCRBY', P .. 'b:' .. job.batch, 'open', 1)
    redis.call('ZADD', P .. 'open', now, job.batch)
    rearm(job.batch)
  end
  join(job)
  changed(job)
  ring(needed_skill(job))
  return cjson.encode({ job = job })
end

-- now, client: its waiting jobs are canceled, also those that wait for a retry
local function purge(_, a)
  local now, canceled = time(a[1]), 0
  local ids = redis.call('ZRANGE', P .. 'c:' .. a[2], 0, STEP - 1)
  if #ids == 0 then ids = redis.call('ZRANGE', P .. 'delayed', 0, -1) end
  for _, id in ipairs(ids) do
    local job = load(id)
    if job and job.client == a[2] and canceled < STEP then
      call_off(job, now)
      canceled = canceled + 1
    end
  end
  return cjson.encode({ canceled = canceled })
end

-- now, client, day, units to give back
local function adjust_quota(_, a)
  local used = tonumber(redis.call('HGET', P .. 'quota:' .. a[3], a[2]) or '0')
  local change = math.max(-used, -tonumber(a[4]))
  if change ~= 0 then used = charge(a[3], a[2], string.format('%d', change)) end
  return cjson.encode({ used = used, now = time(a[1]) })
end
