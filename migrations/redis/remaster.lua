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
--   {rm}:done         zset    finished jobs -> when they finished
--   {rm}:trash        zset    blobs without a use -> order
--   {rm}:n            hash    status -> jobs
--   {rm}:w            zset    workers -> when they were last heard of; {rm}:wi hash worker -> what it said
--   {rm}:idem:<client>:<key>  string  when, fingerprint, jobs of a submit that may come again
--   {rm}:quota:<day>  hash    client -> units used; {rm}:used:<day> their sum
-- Channels: {rm}:ev names a job that changed, {rm}:wake says that work may have become available.
--
-- Times are milliseconds since the Unix epoch. The first argument of a verb is the time, or empty for the server's own.
-- Replies are JSON; a hash is given as it is, all values strings.

local VERSION = 2
local P = '{rm}:'
-- Between clients of equal virtual start the one with the shortest line goes first; so many are compared.
local TIES = 16
-- Due retries, lost leases and the like handled in one call, so that none takes long.
local STEP = 200
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

local function load(id)
  local flat = redis.call('HGETALL', P .. 'j:' .. id)
  if #flat == 0 then return nil end
  local job = {}
  for i = 1, #flat, 2 do job[flat[i]] = flat[i + 1] end
  return job
end

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

local function changed(job) redis.call('PUBLISH', P .. 'ev', job.id) end
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

-- The job reaches an end: its lease goes, its input has no use any more.
local function finish(job, to, now)
  move(job, to)
  unlease(job)
  set(job, 'finished', now)
  redis.call('ZADD', P .. 'done', now, job.id)
  redis.call('ZADD', P .. 'trash', job.seq, 'i:' .. job.id)
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

-- now, client, day, daily limit, queue limit, idempotency key or empty, fingerprint, then per job: id, params, input, cost
local function submit(_, a)
  local now, client, day = time(a[1]), a[2], a[3]
  local asked = (#a - 7) / 4
  local quota = P .. 'quota:' .. day
  local used = tonumber(redis.call('HGET', quota, client) or '0')
  local key = P .. 'idem:' .. client .. ':' .. a[6]
  if a[6] ~= '' then
    local jobs, reused = known(key, a[7], now)
    if reused then return cjson.encode({ refused = 'reused', used = used, now = now }) end
    if jobs then return cjson.encode({ replayed = true, jobs = jobs, used = used, now = now }) end
  end
  if used + asked > tonumber(a[4]) then return cjson.encode({ refused = 'quota', used = used, now = now }) end
  local waiting = tonumber(redis.call('HGET', P .. 'n', 'queued') or '0')
  if waiting + asked > tonumber(a[5]) then return cjson.encode({ refused = 'full', waiting = waiting, now = now }) end
  if waiting == 0 and tonumber(redis.call('HGET', P .. 'n', 'processing') or '0') == 0 then
    -- Nobody waits, so nobody is owed a turn: virtual time moves past what everybody was served.
    local last = redis.call('ZRANGE', P .. 'idle', -1, -1, 'WITHSCORES')
    if #last > 0 then redis.call('SET', P .. 'vt', exact(math.max(virtual_now(), tonumber(last[2])))) end
  end
  used = redis.call('HINCRBY', quota, client, asked)
  redis.call('INCRBY', P .. 'used:' .. day, asked)
  redis.call('EXPIRE', quota, 259200)
  redis.call('EXPIRE', P .. 'used:' .. day, 259200)
  redis.call('HINCRBY', P .. 'n', 'queued', asked)
  local last = redis.call('INCRBY', P .. 'seq', asked)
  local ids = {}
  for i = 1, asked do
    local at = 8 + (i - 1) * 4
    ids[i] = a[at]
    local job = { id = a[at] }
    set(job, 'id', a[at], 'client', client, 'day', day, 'seq', last - asked + i, 'status', 'queued', 'params', a[at + 1],
      'input', a[at + 2], 'cost', a[at + 3], 'attempt', 0, 'token', 0, 'progress', 0, 'created', now)
    line_up(job)
  end
  if a[6] ~= '' then
    redis.call('SET', key, string.format('%d', now) .. ' ' .. a[7] .. ' ' .. table.concat(ids, ' '), 'PX', KEY_TTL)
  end
  wake()
  return cjson.encode({ used = used, now = now })
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

-- now, job: an accepted job whose caller was told otherwise, for the answer was lost
local function withdraw(_, a)
  local now, job = time(a[1]), load(a[2])
  if not job then return cjson.encode({}) end
  refund(job)
  if job.status == 'queued' then
    leave_line(job)
    redis.call('ZREM', P .. 'delayed', job.id)
    finish(job, 'canceled', now)
  elseif job.status == 'processing' then
    set(job, 'cancel', 1)
    changed(job)
  end
  return cjson.encode({})
end

-- now, job
local function cancel(_, a)
  local now, job = time(a[1]), load(a[2])
  if not job then return cjson.encode({}) end
  if job.status == 'queued' then
    leave_line(job)
    redis.call('ZREM', P .. 'delayed', job.id)
    if not job.started then refund(job) end
    finish(job, 'canceled', now)
  elseif job.status == 'processing' then
    set(job, 'cancel', 1)
    changed(job)
  else
    return cjson.encode({ finished = true, job = job })
  end
  return cjson.encode({ job = job })
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
  return cjson.encode({ job = job, position = position })
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
    -- Only once its blobs are gone: the record is what remembers to delete them.
    local held_blobs = not job.input_gone or job.output
    if job.status ~= 'succeeded' and not held_blobs then
      redis.call('HINCRBY', P .. 'n', job.status, -1)
      redis.call('DEL', P .. 'j:' .. id)
      redis.call('ZREM', P .. 'done', id)
      forgotten = forgotten + 1
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
    if redis.call('EXISTS', P .. 'j:' .. id) == 1 then
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

redis.register_function('rm_submit', submit)
redis.register_function('rm_claim', claim)
redis.register_function('rm_heartbeat', heartbeat)
redis.register_function('rm_progress', progress)
redis.register_function('rm_succeed', succeed)
redis.register_function('rm_canceled', canceled)
redis.register_function('rm_failed', failed)
redis.register_function('rm_release', release)
redis.register_function('rm_cancel', cancel)
redis.register_function('rm_withdraw', withdraw)
redis.register_function('rm_get', get)
redis.register_function('rm_reap', reap)
redis.register_function('rm_collected', collected)
redis.register_function('rm_announce', announce)
redis.register_function('rm_workers', workers)
redis.register_function('rm_stats', stats)
redis.register_function('rm_legal', legal)
redis.register_function('rm_version', function() return VERSION end)
