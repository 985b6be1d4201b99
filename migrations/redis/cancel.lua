-- Calling jobs off.

-- A waiting job ends; the worker of one under way is told to stop. False for one that has ended.
local function call_off(job, now)
  if job.status == 'queued' then
    leave(job)
    redis.call('ZREM', P .. 'delayed', job.id)
    if not job.started then refund(job) end
    finish(job, 'canceled', now)
  elseif job.status == 'processing' then
    set(job, 'cancel', 1)
    changed(job)
  else
    return false
  end
  return true
end

-- How long it is remembered that a job was withdrawn which is not there.
local REMEMBERED = 3600000

-- now, job: takes back a job that was accepted although its caller was told that the submit had failed. It is refunded, and its
-- webhooks are dropped. A server that stood still may come to this before it comes to the submit, which is refused then.
local function withdraw(_, a)
  local now, job = time(a[1]), load(a[2])
  if not job then
    redis.call('ZREMRANGEBYSCORE', P .. 'withdrawn', '-inf', now - REMEMBERED)
    redis.call('ZADD', P .. 'withdrawn', now, a[2])
    return cjson.encode({})
  end
  disarm(job.id)
  if job.batch then disarm(job.batch) end
  refund(job)
  call_off(job, now)
  return cjson.encode({})
end

-- now, job
local function cancel(_, a)
  local now, job = time(a[1]), load(a[2])
  if not job then return cjson.encode({}) end
  return cjson.encode({ finished = not call_off(job, now), job = job })
end

-- now, batch
local function cancel_batch(_, a)
  local now, key = time(a[1]), P .. 'b:' .. a[2]
  local open = redis.call('HGET', key, 'open')
  if not open then return cjson.encode({}) end
  if open ~= '0' then
    redis.call('HSET', key, 'cancel', 1)
    for _, job in ipairs(read_batch(a[2]).jobs) do call_off(job, now) end
    tell(a[2])
  end
  local reply = read_batch(a[2])
  reply.finished = open == '0'
  return cjson.encode(reply)
end
