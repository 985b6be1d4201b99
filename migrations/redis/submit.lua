-- Submitting.

-- How long an idempotency key is known: a day, as in shared/store/src/ports/submissions.rs.
local KEY_TTL = 86400000

-- Returns the jobs of a client's key, or nil when it is not known. The second result is true if the key was used for another request.
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

-- Forgets keys that are old enough, and returns how many.
local function forget_keys(now)
  local old = redis.call('ZRANGEBYSCORE', P .. 'idems', '-inf', now - KEY_TTL, 'LIMIT', 0, STEP)
  for _, name in ipairs(old) do
    redis.call('DEL', P .. 'idem:' .. name)
    redis.call('ZREM', P .. 'idems', name)
  end
  return #old
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
  local used = tonumber(redis.call('HGET', P .. 'quota:' .. day, client) or '0')
  local key = P .. 'idem:' .. client .. ':' .. a[6]
  if a[6] ~= '' then
    local same, reused = known(key, a[7], now)
    if reused then return cjson.encode({ refused = 'reused', used = used, now = now }) end
    if same then
      -- A write, so that a caller who waits for replicas waits for what the first submit wrote, which they may not have confirmed.
      redis.call('SET', key, redis.call('GET', key))
      return cjson.encode({ replayed = true, jobs = same, used = used, now = now })
    end
  end
  if redis.call('ZSCORE', P .. 'withdrawn', a[12]) then return cjson.encode({ refused = 'withdrawn', used = used, now = now }) end
  if used + asked > tonumber(a[4]) then return cjson.encode({ refused = 'quota', used = used, now = now }) end
  local waiting = counted('queued')
  if waiting + asked > tonumber(a[5]) then return cjson.encode({ refused = 'full', waiting = waiting, used = used, now = now }) end
  if waiting == 0 then redis.call('DEL', P .. 'models') end
  if waiting == 0 and counted('processing') == 0 then settle() end
  if asked > 0 then used = charge(day, client, asked) end
  count('queued', asked)
  local last = redis.call('INCRBY', P .. 'seq', jobs)
  local ids = {}
  for i = 1, jobs do
    local at = 12 + (i - 1) * 5
    ids[i] = a[at]
    local job = { id = a[at] }
    set(job, 'id', a[at], 'client', client, 'day', day, 'seq', last - jobs + i, 'status', 'queued', 'params', a[at + 1],
      'model', needed_skill({ params = a[at + 1] }), 'input', a[at + 2], 'cost', a[at + 3], 'attempt', 0, 'token', 0, 'progress', 0, 'created', now)
    if batch ~= '' then
      set(job, 'batch', batch)
      redis.call('RPUSH', P .. 'bj:' .. batch, job.id)
    end
    if a[at + 4] == '' then
      join(job)
      ring(job.model)
      count_skill(job, 1)
    else
      -- Refused at the door: it has failed from the start, there is no input, and nothing to give back.
      set(job, 'status', 'failed', 'error', a[at + 4], 'finished', now, 'input_gone', 1, 'refunded', 1)
      count('failed', 1)
      redis.call('ZADD', P .. 'done', now, job.id)
    end
  end
  if batch ~= '' then
    redis.call('HSET', P .. 'b:' .. batch, 'id', batch, 'client', client, 'created', now, 'open', asked, 'kept', jobs)
    if asked > 0 then redis.call('ZADD', P .. 'open', now, batch) end
  end
  if a[9] ~= '' then
    local kind, subject = 'job', ids[1]
    if batch ~= '' then kind, subject = 'batch', batch end
    ask_for_hook(kind, subject, a[9], a[10])
    if asked == 0 then arm(subject, now) end
  end
  if a[6] ~= '' then
    redis.call('SET', key, string.format('%d', now) .. ' ' .. a[7] .. ' ' .. table.concat(ids, ' '))
    redis.call('ZADD', P .. 'idems', now, client .. ':' .. a[6])
  end
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
