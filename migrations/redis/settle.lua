-- Working: a claim, and what the holder of a lease may do.

local function unlease(job)
  redis.call('ZREM', P .. 'leases', job.id)
  clear(job, 'worker')
end

-- A job of the batch has ended. With the last one its webhook becomes due.
local function one_ended(batch, now)
  local key = P .. 'b:' .. batch
  -- The rest of a batch that was evicted goes when it is counted again.
  if redis.call('EXISTS', key) == 0 then return lose() end
  if redis.call('HINCRBY', key, 'open', -1) == 0 then
    redis.call('ZREM', P .. 'open', batch)
    arm(batch, now)
  end
end

-- Ends the job: removes its lease, marks its input for deletion (from `input_due` on, if it is given, and else in a while), and makes its
-- webhook due.
local function finish(job, to, now, input_due)
  move(job, to)
  unlease(job)
  set(job, 'finished', now)
  redis.call('ZADD', P .. 'done', now, job.id)
  redis.call('ZADD', P .. 'trash', input_due or now + INPUT_KEPT, 'i:' .. job.id)
  arm(job.id, now)
  if job.batch then one_ended(job.batch, now) end
  changed(job)
end

local function trash_output(job, now)
  if job.output then redis.call('ZADD', P .. 'trash', now, 'o:' .. job.id .. ':' .. job.output) end
end

-- The input is kept for `keep`, so that an operator can queue the job again until then.
local function fail(job, now, code, message, service, keep)
  set(job, 'error', cjson.encode({ code = code, message = message }))
  if service then refund(job) end
  finish(job, 'failed', now, now + math.max(keep or 0, INPUT_KEPT))
  redis.call('ZADD', P .. 'failed', now, job.id)
  redis.call('ZADD', P .. 'failed:' .. code, now, job.id)
end

-- The job is no longer one that failed: it is queued again, or forgotten.
local function unlist_failed(job)
  if not job.error then return end
  redis.call('ZREM', P .. 'failed', job.id)
  redis.call('ZREM', P .. 'failed:' .. cjson.decode(job.error).code, job.id)
end

local function requeue(job)
  move(job, 'queued')
  unlease(job)
  set(job, 'progress', 0)
end

-- A worker calls. While the server or its clock stood still, no heartbeat could arrive. The first call after that extends every lease
-- once, before any is checked (shared/store/src/rules/lease.rs).
local function called(now, lease)
  local last = tonumber(redis.call('SET', P .. 'call', string.format('%d', now), 'GET') or '')
  if not last or math.abs(now - last) <= lease / 2 then return end
  for _, id in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
    redis.call('ZADD', P .. 'leases', now + lease, id)
  end
end

-- Back to the queue; the attempt was not the job's doing, so it does not count.
local function uncount(job)
  set(job, 'attempt', job.attempt - 1)
  if job.attempt == '0' then clear(job, 'started') end
end

-- The job joins its client's line again once it is due.
local function delay(job, due)
  redis.call('ZADD', P .. 'delayed', due, job.id)
  changed(job)
  -- No job is ready yet, but one worker is to know when it will be.
  ring(needed_skill(job))
end

-- Jobs whose worker was not heard of for longer than its lease. `keep` is how long the input of one that fails is kept.
local function reclaim(now, max_attempts, keep)
  local requeued, poisoned = 0, 0
  for _, job in ipairs(listed('leases', now, 'processing')) do
    if job.cancel == '1' then
      finish(job, 'canceled', now)
    elseif job.unheard then
      -- The worker never began: it never heard that the job was its own.
      requeue(job)
      uncount(job)
      join(job)
      changed(job)
      requeued = requeued + 1
    elseif tonumber(job.attempt) >= max_attempts then
      fail(job, now, 'poison', 'Every attempt at this job ended with its worker gone; its unit was refunded.', true, keep)
      poisoned = poisoned + 1
    else
      requeue(job)
      join(job)
      changed(job)
      requeued = requeued + 1
    end
    if job.status == 'queued' then ring(needed_skill(job)) end
  end
  if requeued > 0 then count('reclaimed', requeued) end
  if poisoned > 0 then count('poisoned', poisoned) end
  return requeued, poisoned
end

-- Retries that have become due join their client's line again.
local function promote(now)
  for _, job in ipairs(listed('delayed', now, 'queued')) do
    redis.call('ZREM', P .. 'delayed', job.id)
    join(job)
    ring(needed_skill(job))
  end
end

-- How long it is until the next retry is due or the next lease ends; -1 when there is neither.
local function next_event(now)
  local next = -1
  for _, key in ipairs({ 'delayed', 'leases' }) do
    local first = redis.call('ZRANGE', P .. key, 0, 0, 'WITHSCORES')
    if #first > 0 then
      local wait = math.max(0, tonumber(first[2]) - now)
      if next < 0 or wait < next then next = wait end
    end
  end
  return next
end

-- Retries that are due and leases that have ended, where there are any: an idle claim reads two heads and no more. Returns how long it is
-- until the next of them.
local function catch_up(now, max_attempts, keep)
  local next = next_event(now)
  if next ~= 0 then return next end
  promote(now)
  reclaim(now, max_attempts, keep)
  return next_event(now)
end

-- Gives the job to the worker. `fence` is nil for a worker that uses the claim of library 4; the job's counter `token` is its fence.
local function take(job, now, worker, lease, fence, skills)
  if not job.charged then
    -- Once, however often the job is claimed.
    serve(job)
    set(job, 'charged', 1)
  end
  leave(job)
  next_head(job.client)
  move(job, 'processing')
  set(job, 'attempt', job.attempt + 1, 'token', job.token + 1, 'worker', worker, 'progress', 0,
    'started', job.started or now)
  if fence then
    set(job, 'fence', fence, 'unheard', 1)
    redis.call('SET', P .. 'f:' .. fence, job.id, 'PX', 2 * lease)
  else
    clear(job, 'fence', 'unheard')
  end
  redis.call('ZADD', P .. 'leases', now + lease, job.id)
  changed(job)
  -- Whatever woke this worker is used up. Where there is more that it could do, another worker is woken.
  local more = find_job(skills)
  if more then ring(needed_skill(more)) end
  return cjson.encode({ job = job })
end

-- Whether an operator keeps this worker from being given jobs.
local function held_back(worker)
  return redis.call('EXISTS', P .. 'paused') == 1 or redis.call('SISMEMBER', P .. 'drained', worker) == 1
end

-- now, worker, lease, attempts, fence, how long the input of a failed job is kept, then the skills that the worker has,
-- and with @ before them the clients that have their share of it
local function claim(_, a)
  local now, lease, fence = time(a[1]), tonumber(a[3]), a[5]
  called(now, lease)
  local given = redis.call('GET', P .. 'f:' .. fence)
  local again = given and load(given)
  -- The answer to the first of these requests was lost.
  if again and again.status == 'processing' and again.fence == fence then return cjson.encode({ job = again }) end
  local skills, busy = claimant(a, 7)
  if held_back(a[2]) then
    -- What woke it is for another worker.
    local waiting = find_job(skills)
    if waiting and redis.call('EXISTS', P .. 'paused') == 0 then ring(needed_skill(waiting)) end
    return cjson.encode({ held_back = {} })
  end
  local next = catch_up(now, tonumber(a[4]), tonumber(a[6]))
  local job = next_job(skills, busy)
  if not job then return cjson.encode({ next = next }) end
  return take(job, now, a[2], lease, fence, skills)
end

-- now, worker, lease, attempts, fence, models: as library 5 had it, for workers of that release
local function claim_5(_, a)
  if held_back(a[2]) then return cjson.encode({ next = -1 }) end
  table.insert(a, 6, '0')
  return claim(nil, a)
end

-- now, worker, lease, attempts: as library 4 had it, for workers of that release
local function claim_4(_, a)
  local now, lease = time(a[1]), tonumber(a[3])
  called(now, lease)
  if held_back(a[2]) then return cjson.encode({ next = -1 }) end
  local next = catch_up(now, tonumber(a[4]))
  local job = next_job(nil)
  if not job then return cjson.encode({ next = next }) end
  return take(job, now, a[2], lease, nil, nil)
end

-- The job, if this fence still holds it: what the verbs below pass first.
local function held(id, fence)
  local job = load(id)
  if job and job.status == 'processing' and (job.fence or job.token) == fence then return job end
  return nil
end

-- now, job, fence, lease
local function heartbeat(_, a)
  local now, lease = time(a[1]), tonumber(a[4])
  called(now, lease)
  local job = held(a[2], a[3])
  if not job then return LOST end
  if job.unheard then clear(job, 'unheard') end
  redis.call('ZADD', P .. 'leases', now + lease, job.id)
  return cjson.encode({ cancel = job.cancel == '1' })
end

-- job, fence, fraction
local function progress(_, a)
  local job = held(a[1], a[2])
  if not job then return LOST end
  set(job, 'progress', a[3])
  changed(job)
  return cjson.encode({})
end

-- What the names of outputs say of their format; those of PNG say nothing.
local EXTENSIONS = { webp = '.webp', jpeg = '.jpg' }

-- now, job, fence, result, how long it is kept
local function succeed(_, a)
  local now, job = time(a[1]), held(a[2], a[3])
  if not job then return LOST end
  -- Also when the job ends canceled: the picture is there and has to be deleted.
  set(job, 'output', (job.fence or job.attempt) .. (EXTENSIONS[cjson.decode(job.params).format] or ''))
  if job.cancel == '1' then
    finish(job, 'canceled', now)
    trash_output(job, now)
  else
    local expires = now + tonumber(a[5])
    set(job, 'result', a[4], 'progress', 1, 'expires', expires)
    finish(job, 'succeeded', now)
    redis.call('ZADD', P .. 'expiry', expires, job.id)
  end
  return cjson.encode({ job = job })
end

-- now, job, fence
local function canceled(_, a)
  local job = held(a[2], a[3])
  if not job then return LOST end
  finish(job, 'canceled', time(a[1]))
  return cjson.encode({ job = job })
end

-- now, job, fence, code, message, 1 for the service's fault, wait before the next attempt or empty for none, attempts, how long the
-- input is kept if it fails for good
local function failed(_, a)
  local now, job = time(a[1]), held(a[2], a[3])
  if not job then return LOST end
  if job.cancel == '1' then
    finish(job, 'canceled', now)
  elseif a[7] ~= '' and tonumber(job.attempt) < tonumber(a[8]) then
    requeue(job)
    delay(job, now + tonumber(a[7]))
  else
    fail(job, now, a[4], a[5], a[6] == '1', tonumber(a[9]))
  end
  return cjson.encode({ job = job })
end

-- now, job, fence
local function release(_, a)
  local now, job = time(a[1]), held(a[2], a[3])
  if not job then return LOST end
  if job.cancel == '1' then
    finish(job, 'canceled', now)
  else
    requeue(job)
    uncount(job)
    join(job)
    changed(job)
    ring(needed_skill(job))
  end
  return cjson.encode({})
end

-- How the wait of a deferral grows (shared/store/src/rules/retry.rs).
local PROMPT_DEFERRALS, DEFERRAL_DOUBLINGS = 5, 6

-- Arguments: now, job, fence, wait of the first deferral, the largest number of deferrals, the error's code and message for a job that has reached it, how long
-- its input is kept then. Called when a fault of the service kept the worker from making the picture.
local function deferred(_, a)
  local now, job = time(a[1]), held(a[2], a[3])
  if not job then return LOST end
  if job.cancel == '1' then
    finish(job, 'canceled', now)
  elseif tonumber(job.deferrals or '0') >= tonumber(a[5]) then
    fail(job, now, a[6], a[7], true, tonumber(a[8]))
  else
    local before = tonumber(job.deferrals or '0')
    set(job, 'deferrals', before + 1)
    requeue(job)
    uncount(job)
    delay(job, now + tonumber(a[4]) * 2 ^ math.max(0, math.min(before - PROMPT_DEFERRALS, DEFERRAL_DOUBLINGS)))
  end
  return cjson.encode({ job = job })
end
