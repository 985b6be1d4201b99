#!lua name=remaster

-- The job store on Redis: each function is one verb of shared/src/store/mod.rs, one atomic step.
--
-- All keys share the hash tag {rm}, so that they lie in one slot of a cluster:
--   {rm}:j:<job>      hash    a job
--   {rm}:c:<client>   zset    a client's ready jobs -> order of arrival
--   {rm}:act          zset    clients with ready jobs -> virtual start
--   {rm}:idle         zset    clients without -> where their last job left their virtual start
--   {rm}:vt           string  virtual now: the start of the client served last
--   {rm}:delayed      zset    jobs that wait for a retry -> when it is due
--   {rm}:leases       zset    jobs being worked on -> when their lease ends
--   {rm}:expiry       zset    succeeded jobs -> when their result goes
--   {rm}:done         zset    finished jobs -> when they are next considered for forgetting
--   {rm}:b:<batch>    hash    a batch; {rm}:bj:<batch> list of its jobs
--   {rm}:h:<subject>  hash    the webhook of a job or batch
--   {rm}:hk:<host>    zset    webhooks to a host that are to be tried -> when
--   {rm}:hooks        zset    those hosts -> when the first of theirs is due
--   {rm}:trash        zset    blobs without a use -> order
--   {rm}:n            hash    status -> jobs
--   {rm}:w            zset    workers -> when they were last heard of; {rm}:wi hash worker -> what it said
--   {rm}:idem:<client>:<key>  string  when, fingerprint, jobs of a submit that may come again
--   {rm}:quota:<day>  hash    client -> units used; {rm}:used:<day> their sum
-- Channels: {rm}:ev names a job or batch that changed, {rm}:wake says that work may have become available, {rm}:hook that a
-- webhook may have become due.
--
-- Times are milliseconds since the Unix epoch. The first argument of a verb is the time, or empty for the server's own.
-- Replies are JSON; a hash is given as it is, all values strings.

local VERSION = 3
local P = '{rm}:'
-- Between clients of equal virtual start the one with the shortest line goes first; so many are compared.
local TIES = 16
-- Due retries, lost leases and the like handled in one call, so that none takes long.
local STEP = 200
-- Bodies of webhooks handed out in one call, in bytes, give or take those of one host.
local HOOK_BYTES = 4000000
-- When a record that cannot be forgotten yet is considered again.
local LATER = 600000
-- How long an idempotency key is known: a day, as in shared/src/store/mod.rs.
local KEY_TTL = 86400000

local LEGAL = {
  queued = { processing = true, canceled = true },
  processing = { queued = true, succeeded = true, failed = true, canceled = true },
  succeeded = { expired = true },
}

local function time(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function exact(number) return string.format('%.17g', number) end

local function hash(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local function load(id) return hash(P .. 'j:' .. id) end

local function set(job, ...)
  local fields = { ... }
  for i = 1, #fields, 2 do job[fields[i]] = tostring(fields[i + 1]) end
  redis.call('HSET', P .. 'j:' .. job.id, unpack(fields))
end

local function clear(job, ...)
  for _, field in ipairs({ ... }) do job[field] = nil end
  redis.call('HDEL', P .. 'j:' .. job.id, ...)
end

local function move(job, to)
  if not (LEGAL[job.status] or {})[to] then
    error('a job that is ' .. job.status .. ' cannot become ' .. to)
  end
  redis.call('HINCRBY', P .. 'n', job.status, -1)
  redis.call('HINCRBY', P .. 'n', to, 1)
  set(job, 'status', to)
end

local function changed(job)
  redis.call('PUBLISH', P .. 'ev', job.id)
  if job.batch then redis.call('PUBLISH', P .. 'ev', job.batch) end
end
local function wake() redis.call('PUBLISH', P .. 'wake', '1') end
local function virtual_now() return tonumber(redis.call('GET', P .. 'vt') or '0') end

-- A ready job joins its client's line. A client that was idle starts at the virtual now, or later where it left off.
local function line_up(job)
  local line = P .. 'c:' .. job.client
  if redis.call('ZCARD', line) == 0 then
    local left = tonumber(redis.call('ZSCORE', P .. 'idle', job.client) or '0')
    redis.call('ZREM', P .. 'idle', job.client)
    redis.call('ZADD', P .. 'act', exact(math.max(left, virtual_now())), job.client)
  end
  redis.call('ZADD', line, job.seq, job.id)
end

local function leave_line(job)
  local line = P .. 'c:' .. job.client
  redis.call('ZREM', line, job.id)
  if redis.call('ZCARD', line) == 0 then
    local start = redis.call('ZSCORE', P .. 'act', job.client)
    redis.call('ZREM', P .. 'act', job.client)
    if start then redis.call('ZADD', P .. 'idle', start, job.client) end
  end
end

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

local function unlease(job)
  redis.call('ZREM', P .. 'leases', job.id)
  clear(job, 'worker')
end

-- The host is as early as the first of its webhooks.
local function place_host(host)
  local first = redis.call('ZRANGE', P .. 'hk:' .. host, 0, 0, 'WITHSCORES')
  if #first == 0 then
    redis.call('ZREM', P .. 'hooks', host)
    return nil
  end
  redis.call('ZADD', P .. 'hooks', first[2], host)
  return tonumber(first[2])
end

-- Keeps a webhook for a job or a batch.
local function ask_for_hook(kind, subject, target, host)
  redis.call('HSET', P .. 'h:' .. subject, 'kind', kind, 'subject', subject, 'target', target, 'host', host, 'attempts', 0)
end

-- There is something to tell: the webhook of a job or a batch, if it has one, becomes due.
local function arm(subject, now)
  local key = P .. 'h:' .. subject
  local host = redis.call('HGET', key, 'host')
  if not host then return end
  redis.call('HSET', key, 'due', now)
  redis.call('ZADD', P .. 'hk:' .. host, now, subject)
  place_host(host)
  redis.call('PUBLISH', P .. 'hook', '1')
end

-- Nobody is to be told any more.
local function disarm(subject)
  local key = P .. 'h:' .. subject
  local host = redis.call('HGET', key, 'host')
  if not host then return end
  redis.call('DEL', key)
  redis.call('ZREM', P .. 'hk:' .. host, subject)
  place_host(host)
end

-- The job reaches an end: its lease goes, its input has no use any more, and who asked for it is told.
local function finish(job, to, now)
  move(job, to)
  unlease(job)
  set(job, 'finished', now)
  redis.call('ZADD', P .. 'done', now, job.id)
  redis.call('ZADD', P .. 'trash', job.seq, 'i:' .. job.id)
  arm(job.id, now)
  if job.batch and redis.call('HINCRBY', P .. 'b:' .. job.batch, 'open', -1) == 0 then arm(job.batch, now) end
  changed(job)
end

local function trash_output(job)
  if job.output then
    redis.call('ZADD', P .. 'trash', exact(tonumber(job.seq) + 0.5), 'o:' .. job.id .. ':' .. job.output)
  end
end

local function fail(job, now, code, message, service)
  set(job, 'error', cjson.encode({ code = code, message = message }))
  if service then refund(job) end
  finish(job, 'failed', now)
end

local function requeue(job)
  move(job, 'queued')
  unlease(job)
  set(job, 'progress', 0)
end

-- Jobs whose worker was not heard of for longer than its lease.
local function reclaim(now, max_attempts)
  local requeued, poisoned = 0, 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', now, 'LIMIT', 0, STEP)) do
    local job = load(id)
    if job.cancel == '1' then
      finish(job, 'canceled', now)
    elseif tonumber(job.attempt) >= max_attempts then
      fail(job, now, 'poison', 'Every attempt at this job ended with its worker gone; its unit was refunded.', true)
      poisoned = poisoned + 1
    else
      requeue(job)
      line_up(job)
      changed(job)
      requeued = requeued + 1
    end
    wake()
  end
  return requeued, poisoned
end

-- The jobs that a client's key stands for, if it is known; true for what it stands for instead, if that is another request.
local function known(key, fingerprint, now)
  local kept = redis.call('GET', key)
  if not kept then return nil end
  local at, same, ids = string.match(kept, '^(%d+) (%x+) (.*)$')
  if tonumber(at) <= now - KEY_TTL then return nil end
  if same ~= fingerprint then return nil, true end
  local jobs = {}
  for id in string.gmatch(ids, '%S+') do table.insert(jobs, load(id)) end
  return jobs
end

-- now, client, idempotency key
local function knows(_, a)
  local kept = redis.call('GET', P .. 'idem:' .. a[2] .. ':' .. a[3])
  local at = kept and tonumber(string.match(kept, '^%d+'))
  return cjson.encode({ replayed = (at or 0) > time(a[1]) - KEY_TTL })
end

-- now, client, day, daily limit, queue limit, idempotency key or empty, fingerprint, batch or empty, webhook's target or
-- empty, its host, units, then per job: id, params, input, cost, why it was refused or empty
local function submit(_, a)
  local now, client, day = time(a[1]), a[2], a[3]
  local batch, asked, jobs = a[8], tonumber(a[11]), (#a - 11) / 5
  local quota = P .. 'quota:' .. day
  local used = tonumber(redis.call('HGET', quota, client) or '0')
  local key = P .. 'idem:' .. client .. ':' .. a[6]
  if a[6] ~= '' then
    local same, reused = known(key, a[7], now)
    if reused then return cjson.encode({ refused = 'reused', used = used, now = now }) end
    if same then return cjson.encode({ replayed = true, jobs = same, used = used, now = now }) end
  end
  if used + asked > tonumber(a[4]) then return cjson.encode({ refused = 'quota', used = used, now = now }) end
  local waiting = tonumber(redis.call('HGET', P .. 'n', 'queued') or '0')
  if waiting + asked > tonumber(a[5]) then return cjson.encode({ refused = 'full', waiting = waiting, now = now }) end
  if waiting == 0 and tonumber(redis.call('HGET', P .. 'n', 'processing') or '0') == 0 then
    -- Nobody waits, so nobody is owed a turn: virtual time moves past what everybody was served.
    local last = redis.call('ZRANGE', P .. 'idle', -1, -1, 'WITHSCORES')
    if #last > 0 then redis.call('SET', P .. 'vt', exact(math.max(virtual_now(), tonumber(last[2])))) end
  end
  if asked > 0 then used = redis.call('HINCRBY', quota, client, asked) end
  redis.call('INCRBY', P .. 'used:' .. day, asked)
  redis.call('EXPIRE', quota, 259200)
  redis.call('EXPIRE', P .. 'used:' .. day, 259200)
  redis.call('HINCRBY', P .. 'n', 'queued', asked)
  local last = redis.call('INCRBY', P .. 'seq', jobs)
  local ids = {}
  for i = 1, jobs do
    local at = 12 + (i - 1) * 5
    ids[i] = a[at]
    local job = { id = a[at] }
    set(job, 'id', a[at], 'client', client, 'day', day, 'seq', last - jobs + i, 'status', 'queued', 'params', a[at + 1],
      'input', a[at + 2], 'cost', a[at + 3], 'attempt', 0, 'token', 0, 'progress', 0, 'created', now)
    if batch ~= '' then
      set(job, 'batch', batch)
      redis.call('RPUSH', P .. 'bj:' .. batch, job.id)
    end
    if a[at + 4] == '' then
      line_up(job)
    else
      -- Refused at the door: it has failed from the start, there is no input, and nothing to give back.
      set(job, 'status', 'failed', 'error', a[at + 4], 'finished', now, 'input_gone', 1, 'refunded', 1)
      redis.call('HINCRBY', P .. 'n', 'failed', 1)
      redis.call('ZADD', P .. 'done', now, job.id)
    end
  end
  if batch ~= '' then
    redis.call('HSET', P .. 'b:' .. batch, 'id', batch, 'client', client, 'created', now, 'open', asked, 'kept', jobs)
  end
  if a[9] ~= '' then
    local kind, subject = 'job', ids[1]
    if batch ~= '' then kind, subject = 'batch', batch end
    ask_for_hook(kind, subject, a[9], a[10])
    if asked == 0 then arm(subject, now) end
  end
  if a[6] ~= '' then
    redis.call('SET', key, string.format('%d', now) .. ' ' .. a[7] .. ' ' .. table.concat(ids, ' '), 'PX', KEY_TTL)
  end
  wake()
  return cjson.encode({ used = used, now = now })
end

-- As library 2 had it, for nodes of that release: no batch, no webhook, no refused files.
local function submit_2(_, a)
  local jobs = (#a - 7) / 4
  local now = { a[1], a[2], a[3], a[4], a[5], a[6], a[7], '', '', '', tostring(jobs) }
  for i = 1, jobs do
    for field = 1, 4 do table.insert(now, a[7 + (i - 1) * 4 + field]) end
    table.insert(now, '')
  end
  return submit(nil, now)
end

local function promote(now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', now, 'LIMIT', 0, STEP)) do
    redis.call('ZREM', P .. 'delayed', id)
    line_up(load(id))
  end
end

local function whose_turn()
  local first = redis.call('ZRANGE', P .. 'act', 0, 0, 'WITHSCORES')
  if #first == 0 then return nil end
  local best, shortest = nil, nil
  for _, client in ipairs(redis.call('ZRANGEBYSCORE', P .. 'act', first[2], first[2], 'LIMIT', 0, TIES)) do
    local length = redis.call('ZCARD', P .. 'c:' .. client)
    if not shortest or length < shortest then best, shortest = client, length end
  end
  return best, tonumber(first[2])
end

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

-- now, worker, lease, attempts
local function claim(_, a)
  local now, worker = time(a[1]), a[2]
  promote(now)
  reclaim(now, tonumber(a[4]))
  local client, start = whose_turn()
  if not client then return cjson.encode({ next = next_event(now) }) end
  local job = load(redis.call('ZRANGE', P .. 'c:' .. client, 0, 0)[1])
  if not job.charged then
    -- Once, however often the job is claimed.
    redis.call('SET', P .. 'vt', exact(math.max(virtual_now(), start)))
    redis.call('ZADD', P .. 'act', exact(start + tonumber(job.cost)), client)
    set(job, 'charged', 1)
  end
  leave_line(job)
  move(job, 'processing')
  set(job, 'attempt', job.attempt + 1, 'token', job.token + 1, 'worker', worker, 'progress', 0,
    'started', job.started or now)
  redis.call('ZADD', P .. 'leases', now + tonumber(a[3]), job.id)
  changed(job)
  -- Another job may be waiting for another worker.
  if redis.call('ZCARD', P .. 'act') > 0 then wake() end
  return cjson.encode({ job = job })
end

-- The job, if this token still holds it: the fence that the verbs below pass first.
local function held(id, token)
  local job = load(id)
  if job and job.status == 'processing' and job.token == token then return job end
  return nil
end

-- cjson is not there yet while the library is loaded.
local LOST = '{"lost":true}'

-- now, job, token, lease
local function heartbeat(_, a)
  local now = time(a[1])
  local job = held(a[2], a[3])
  if not job then return LOST end
  redis.call('ZADD', P .. 'leases', now + tonumber(a[4]), job.id)
  return cjson.encode({ cancel = job.cancel == '1' })
end

-- job, token, fraction
local function progress(_, a)
  local job = held(a[1], a[2])
  if not job then return LOST end
  set(job, 'progress', a[3])
  changed(job)
  return cjson.encode({})
end

-- now, job, token, result, how long it is kept
local function succeed(_, a)
  local now, job = time(a[1]), held(a[2], a[3])
  if not job then return LOST end
  -- Also when the job ends canceled: the picture is there and has to be deleted.
  set(job, 'output', job.attempt)
  if job.cancel == '1' then
    finish(job, 'canceled', now)
    trash_output(job)
  else
    local expires = now + tonumber(a[5])
    set(job, 'result', a[4], 'progress', 1, 'expires', expires)
    finish(job, 'succeeded', now)
    redis.call('ZADD', P .. 'expiry', expires, job.id)
  end
  return cjson.encode({ job = job })
end

-- now, job, token
local function canceled(_, a)
  local job = held(a[2], a[3])
  if not job then return LOST end
  finish(job, 'canceled', time(a[1]))
  return cjson.encode({ job = job })
end

-- now, job, token, code, message, 1 for the service's fault, wait before the next attempt or empty for none, attempts
local function failed(_, a)
  local now, job = time(a[1]), held(a[2], a[3])
  if not job then return LOST end
  if job.cancel == '1' then
    finish(job, 'canceled', now)
  elseif a[7] ~= '' and tonumber(job.attempt) < tonumber(a[8]) then
    requeue(job)
    redis.call('ZADD', P .. 'delayed', now + tonumber(a[7]), job.id)
    changed(job)
    -- Nobody has work now, but the wait for it has a new end.
    wake()
  else
    fail(job, now, a[4], a[5], a[6] == '1')
  end
  return cjson.encode({ job = job })
end

-- now, job, token
local function release(_, a)
  local now, job = time(a[1]), held(a[2], a[3])
  if not job then return LOST end
  if job.cancel == '1' then
    finish(job, 'canceled', now)
  else
    requeue(job)
    -- The attempt was not the job's doing.
    set(job, 'attempt', job.attempt - 1)
    if job.attempt == '0' then clear(job, 'started') end
    line_up(job)
    changed(job)
    wake()
  end
  return cjson.encode({})
end

-- A waiting job ends; the worker of one under way is told to stop. False for one that has ended.
local function call_off(job, now)
  if job.status == 'queued' then
    leave_line(job)
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

-- now, job: an accepted job whose caller was told otherwise, for the answer was lost; nobody is to hear of it
local function withdraw(_, a)
  local now, job = time(a[1]), load(a[2])
  if not job then return cjson.encode({}) end
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

-- How a webhook stands, without what only its deliverer needs.
local function standing(subject)
  local fields = { 'attempts', 'due', 'ended', 'last' }
  local values, hook = redis.call('HMGET', P .. 'h:' .. subject, unpack(fields)), nil
  for i, name in ipairs(fields) do
    if values[i] then
      hook = hook or {}
      hook[name] = values[i]
    end
  end
  return hook
end

local function read_batch(id)
  local batch, jobs = hash(P .. 'b:' .. id), {}
  if not batch then return nil end
  for _, job in ipairs(redis.call('LRANGE', P .. 'bj:' .. id, 0, -1)) do table.insert(jobs, load(job)) end
  return { batch = batch, jobs = jobs, hook = standing(id) }
end

-- batch
local function get_batch(_, a) return cjson.encode(read_batch(a[1]) or {}) end

-- now, batch
local function cancel_batch(_, a)
  local now, key = time(a[1]), P .. 'b:' .. a[2]
  local open = redis.call('HGET', key, 'open')
  if not open then return cjson.encode({}) end
  if open ~= '0' then
    redis.call('HSET', key, 'cancel', 1)
    for _, job in ipairs(read_batch(a[2]).jobs) do call_off(job, now) end
    redis.call('PUBLISH', P .. 'ev', a[2])
  end
  local reply = read_batch(a[2])
  reply.finished = open == '0'
  return cjson.encode(reply)
end

-- now, lease, how many altogether, how many to one host, then pairs: a host, how many to it are under way
local function due_hooks(_, a)
  local now, lease, room, per_host = time(a[1]), tonumber(a[2]), tonumber(a[3]), tonumber(a[4])
  local busy, found, next, size = {}, {}, -1, 0
  for i = 5, #a, 2 do busy[a[i]] = tonumber(a[i + 1]) end
  local hosts = redis.call('ZRANGE', P .. 'hooks', 0, STEP - 1, 'WITHSCORES')
  for i = 1, #hosts, 2 do
    local host, earliest = hosts[i], tonumber(hosts[i + 1])
    local free = math.min(per_host - (busy[host] or 0), room - #found)
    if size > HOOK_BYTES then free = 0 end
    if free > 0 then
      if earliest <= now then
        local line = P .. 'hk:' .. host
        local due = redis.call('ZRANGEBYSCORE', line, '-inf', now, 'LIMIT', 0, free)
        for _, subject in ipairs(due) do
          redis.call('ZADD', line, now + lease, subject)
          redis.call('HSET', P .. 'h:' .. subject, 'due', now + lease)
          local hook = hash(P .. 'h:' .. subject)
          size = size + #(hook.body or '')
          table.insert(found, hook)
        end
        earliest = place_host(host)
        free = free - #due
      end
      local wait = math.max(0, earliest - now)
      if free > 0 and (next < 0 or wait < next) then next = wait end
    end
  end
  -- An empty table would be an object.
  if #found == 0 then return cjson.encode({ next = next }) end
  return cjson.encode({ hooks = found, next = next })
end

-- now, subject, attempts before, the attempt, the body, how it goes on: a wait, or the end ("delivered", "failed")
local function hook_attempted(_, a)
  local now, key = time(a[1]), P .. 'h:' .. a[2]
  local hook = hash(key)
  if not hook or hook.ended or hook.attempts ~= a[3] then return cjson.encode({}) end
  redis.call('HSET', key, 'attempts', hook.attempts + 1, 'last', a[4])
  local wait, line = tonumber(a[6]), P .. 'hk:' .. hook.host
  if wait then
    redis.call('HSET', key, 'body', a[5], 'due', now + wait)
    redis.call('ZADD', line, now + wait, a[2])
  else
    redis.call('HSET', key, 'ended', a[6])
    redis.call('HDEL', key, 'body', 'due', 'target')
    redis.call('ZREM', line, a[2])
  end
  place_host(hook.host)
  return cjson.encode({})
end

-- job. Its place in line: behind its client's earlier jobs, and of everybody else's behind one a turn.
local function get(_, a)
  local job = load(a[1])
  if not job then return cjson.encode({}) end
  local position = nil
  if job.status == 'queued' then
    local turns = redis.call('ZRANK', P .. 'c:' .. job.client, job.id) or 0
    position = turns + 1
    if turns > 0 then
      for _, client in ipairs(redis.call('ZRANGE', P .. 'act', 0, -1)) do
        if client ~= job.client then
          position = position + math.min(redis.call('ZCARD', P .. 'c:' .. client), turns)
        end
      end
    end
  end
  return cjson.encode({ job = job, position = position, hook = standing(job.id) })
end

-- Whether somebody is still to be told of a job or a batch.
local function untold(subject)
  local state = redis.call('HMGET', P .. 'h:' .. subject, 'host', 'ended')
  return state[1] and not state[2]
end

-- One of its jobs is forgotten; the batch goes with the last.
local function forget_batch(batch)
  if redis.call('HINCRBY', P .. 'b:' .. batch, 'kept', -1) <= 0 then
    redis.call('DEL', P .. 'b:' .. batch, P .. 'bj:' .. batch, P .. 'h:' .. batch)
  end
end

-- now, attempts, how long a finished job is remembered
local function reap(_, a)
  local now = time(a[1])
  local requeued, poisoned = reclaim(now, tonumber(a[2]))
  local expired, forgotten = 0, 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'expiry', '-inf', now, 'LIMIT', 0, STEP)) do
    local job = load(id)
    move(job, 'expired')
    redis.call('ZREM', P .. 'expiry', id)
    trash_output(job)
    changed(job)
    expired = expired + 1
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'done', '-inf', now - tonumber(a[3]), 'LIMIT', 0, STEP)) do
    local job = load(id)
    -- Only once its blobs are gone, whoever is to be told of it was, and its batch has ended: the record is what remembers.
    local held = not job.input_gone or job.output or untold(id)
    if job.batch then held = held or untold(job.batch) or redis.call('HGET', P .. 'b:' .. job.batch, 'open') ~= '0' end
    if job.status ~= 'succeeded' and not held then
      redis.call('HINCRBY', P .. 'n', job.status, -1)
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

-- now, worker, what it says of itself
local function announce(_, a)
  redis.call('ZADD', P .. 'w', time(a[1]), a[2])
  redis.call('HSET', P .. 'wi', a[2], a[3])
  return cjson.encode({})
end

-- now, how long one is remembered. Pairs of what a worker said and when, by name.
local function workers(_, a)
  local now = time(a[1])
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', P .. 'w', '-inf', now - tonumber(a[2]))) do
    redis.call('ZREM', P .. 'w', name)
    redis.call('HDEL', P .. 'wi', name)
  end
  local found, seen = {}, redis.call('ZRANGE', P .. 'w', 0, -1, 'WITHSCORES')
  for i = 1, #seen, 2 do table.insert(found, { name = seen[i], at = seen[i + 1] }) end
  table.sort(found, function(one, other) return one.name < other.name end)
  local said = {}
  for i, worker in ipairs(found) do said[i] = { redis.call('HGET', P .. 'wi', worker.name), worker.at } end
  -- An empty table would be an object.
  if #said == 0 then return '{"workers":[]}' end
  return cjson.encode({ workers = said, now = now })
end

-- now, day
local function stats(_, a)
  return cjson.encode({
    clients = redis.call('HLEN', P .. 'quota:' .. a[2]),
    used = tonumber(redis.call('GET', P .. 'used:' .. a[2]) or '0'),
    queued = tonumber(redis.call('HGET', P .. 'n', 'queued') or '0'),
    processing = tonumber(redis.call('HGET', P .. 'n', 'processing') or '0'),
  })
end

-- from, to: whether a job may go there. A test holds this table against the one in shared/src/job/status.rs.
local function legal(_, a)
  return (LEGAL[a[1]] or {})[a[2]] and 1 or 0
end

redis.register_function('rm_knows', knows)
redis.register_function('rm_submit', submit_2)
redis.register_function('rm_submit_3', submit)
redis.register_function('rm_claim', claim)
redis.register_function('rm_heartbeat', heartbeat)
redis.register_function('rm_progress', progress)
redis.register_function('rm_succeed', succeed)
redis.register_function('rm_canceled', canceled)
redis.register_function('rm_failed', failed)
redis.register_function('rm_release', release)
redis.register_function('rm_cancel', cancel)
redis.register_function('rm_withdraw', withdraw)
redis.register_function('rm_batch', get_batch)
redis.register_function('rm_cancel_batch', cancel_batch)
redis.register_function('rm_due_hooks', due_hooks)
redis.register_function('rm_hook_attempted', hook_attempted)
redis.register_function('rm_get', get)
redis.register_function('rm_reap', reap)
redis.register_function('rm_collected', collected)
redis.register_function('rm_announce', announce)
redis.register_function('rm_workers', workers)
redis.register_function('rm_stats', stats)
redis.register_function('rm_legal', legal)
redis.register_function('rm_version', function() return VERSION end)
