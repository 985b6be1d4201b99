-- Housekeeping.

-- When a record that cannot be forgotten yet is considered again.
local LATER = 600000

-- How often it is counted again what was counted with jobs that have gone missing, at most.
local MEND_EVERY = 60000

-- Counts it. Returns how many batches that were in this step.
local function mend(now)
  local last = tonumber(redis.call('GET', P .. 'mended') or '')
  if redis.call('EXISTS', P .. 'mend') == 1 and (not last or math.abs(now - last) >= MEND_EVERY) then
    redis.call('DEL', P .. 'mend')
    redis.call('SET', P .. 'mended', string.format('%d', now))
    recount_skills()
    redis.call('ZUNIONSTORE', P .. 'mending', 2, P .. 'mending', P .. 'open')
  end
  local batches = redis.call('ZPOPMIN', P .. 'mending', STEP)
  for i = 1, #batches, 2 do recount_batch(batches[i], now) end
  return #batches / 2
end

-- now, attempts, how long a finished job is remembered, lease (not told by library 4 and older), how long the input of a failed job is
-- kept (not told by library 5 and older)
local function reap(_, a)
  local now = time(a[1])
  if a[4] then called(now, tonumber(a[4])) end
  local requeued, poisoned = reclaim(now, tonumber(a[2]), tonumber(a[5]))
  local expired, forgotten = 0, 0
  for _, job in ipairs(listed('expiry', now, 'succeeded')) do
    move(job, 'expired')
    redis.call('ZREM', P .. 'expiry', job.id)
    trash_output(job, now)
    changed(job)
    expired = expired + 1
  end
  local old = listed('done', now - tonumber(a[3]))
  for _, job in ipairs(old) do
    local id = job.id
    -- The record is kept until its blobs are deleted, its webhook and that of its batch have ended, and its batch has ended, because only
    -- the record holds that information.
    local held = not job.input_gone or job.output or untold(id)
    if job.batch then held = held or untold(job.batch) or (redis.call('HGET', P .. 'b:' .. job.batch, 'open') or '0') ~= '0' end
    if job.status ~= 'succeeded' and not held then
      count(job.status, -1)
      unlist_failed(job)
      redis.call('DEL', P .. 'j:' .. id, P .. 'h:' .. id)
      redis.call('ZREM', P .. 'done', id)
      if job.batch then forget_batch(job.batch) end
      forgotten = forgotten + 1
    else
      -- Looked at again a while later, so that those behind it have their turn.
      redis.call('ZADD', P .. 'done', now - tonumber(a[3]) + LATER, id)
    end
  end
  -- An idle client whose turn lies in the past is the same as one never seen.
  redis.call('ZREMRANGEBYSCORE', P .. 'idle', '-inf', exact(virtual_now()))
  forget_days(now)
  local keys, mended = forget_keys(now), mend(now)
  -- Whether a list was longer than one call handles.
  local more = math.max(requeued + poisoned, expired, #old, keys, mended) >= STEP
  return cjson.encode({ requeued = requeued, poisoned = poisoned, expired = expired, forgotten = forgotten, more = more })
end

-- now, how long they belong to the caller, how many: pictures without a use, for the caller to delete
local function garbage(_, a)
  local now = time(a[1])
  local due = redis.call('ZRANGEBYSCORE', P .. 'trash', '-inf', now, 'LIMIT', 0, a[3])
  for _, entry in ipairs(due) do redis.call('ZADD', P .. 'trash', now + tonumber(a[2]), entry) end
  return cjson.encode({ entries = due })
end

-- now, period: whether the caller is to search for orphans now. A time in the future was written before the clock was set back.
local function takes_sweep(_, a)
  local now, last = time(a[1]), tonumber(redis.call('GET', P .. 'sweep') or '')
  local taken = not last or last > now or now - last >= tonumber(a[2])
  if taken then redis.call('SET', P .. 'sweep', string.format('%d', now)) end
  return cjson.encode({ taken = taken })
end

-- Pictures: those of them that no job uses or will delete. An input is a job's for as long as the job is remembered, for until then
-- `garbage` names it.
local function unused(_, a)
  local found = {}
  for _, entry in ipairs(a) do
    local kind, id, name = string.match(entry, '^(%a):([^:]+):?(.*)$')
    local status, output = unpack(redis.call('HMGET', P .. 'j:' .. id, 'status', 'output'))
    local open = status == 'queued' or status == 'processing'
    if not (status and (kind == 'i' or open or output == name)) then table.insert(found, entry) end
  end
  return cjson.encode({ entries = found })
end

-- Entries of the trash whose blobs are deleted.
local function collected(_, a)
  for _, entry in ipairs(a) do
    redis.call('ZREM', P .. 'trash', entry)
    local kind, id = string.match(entry, '^(%a):([^:]+)')
    local finished = redis.call('HGET', P .. 'j:' .. id, 'finished')
    if finished then
      -- Now that they are gone it may be forgotten.
      redis.call('ZADD', P .. 'done', 'XX', finished, id)
      if kind == 'i' then
        redis.call('HSET', P .. 'j:' .. id, 'input_gone', 1)
      else
        redis.call('HDEL', P .. 'j:' .. id, 'output')
      end
    end
  end
  return cjson.encode({})
end
