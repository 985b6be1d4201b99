-- Housekeeping.

-- When a record that cannot be forgotten yet is considered again.
local LATER = 600000

-- now, attempts, how long a finished job is remembered, lease (not told by library 4 and older)
local function reap(_, a)
  local now = time(a[1])
  if a[4] then called(now, tonumber(a[4])) end
  local requeued, poisoned = reclaim(now, tonumber(a[2]))
  local expired, forgotten = 0, 0
  for _, job in ipairs(listed('expiry', now, 'succeeded')) do
    move(job, 'expired')
    redis.call('ZREM', P .. 'expiry', job.id)
    trash_output(job)
    changed(job)
    expired = expired + 1
  end
  for _, job in ipairs(listed('done', now - tonumber(a[3]))) do
    local id = job.id
    -- Only once its blobs are gone, whoever is to be told of it was, and its batch has ended: the record is what remembers.
    local held = not job.input_gone or job.output or untold(id)
    if job.batch then held = held or untold(job.batch) or redis.call('HGET', P .. 'b:' .. job.batch, 'open') ~= '0' end
    if job.status ~= 'succeeded' and not held then
      count(job.status, -1)
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
  return cjson.encode({ requeued = requeued, poisoned = poisoned, expired = expired, forgotten = forgotten })
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
