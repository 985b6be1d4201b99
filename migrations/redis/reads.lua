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

-- now, the skills that the worker has and with @ before them the clients that have their share of it: what a worker looks at that chooses
-- among shards. For how many microseconds the longest waiting client whose oldest job it can do has waited, 0 if there are only clients that
-- have their share, or -1; and for how many milliseconds nothing else will happen.
local function glimpse(_, a)
  local skills, busy = claimant(a, 2)
  local waited = -1
  local heads = redis.call('ZRANGE', P .. 'heads', 0, LOOKED_AT - 1, 'WITHSCORES')
  for i = 1, #heads, 2 do
    local first = redis.call('ZRANGE', P .. 'c:' .. heads[i], 0, 0)[1] or ''
    local needed = redis.call('HGET', P .. 'j:' .. first, 'model')
    if not needed or needed == '' or skills[needed] then
      waited = busy[heads[i]] and 0 or math.max(0, microseconds() - tonumber(heads[i + 1]))
      if not busy[heads[i]] then break end
    end
  end
  return cjson.encode({ waited = waited, next = next_event(time(a[1])) })
end

-- now: what operators watch
local function gauges(_, a)
  local now = time(a[1])
  local client = redis.call('ZRANGE', P .. 'heads', 0, 0)[1]
  local first = client and redis.call('ZRANGE', P .. 'c:' .. client, 0, 0)[1]
  local webhooks = 0
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', P .. 'hooks', '-inf', now, 'LIMIT', 0, STEP)) do
    webhooks = webhooks + redis.call('ZCOUNT', P .. 'hk:' .. host, '-inf', now)
  end
  return cjson.encode({
    oldest = first and redis.call('HGET', P .. 'j:' .. first, 'created') or nil,
    models = hash(P .. 'models'),
    garbage = redis.call('ZCOUNT', P .. 'trash', '-inf', now),
    webhooks = webhooks,
    reclaimed = counted('reclaimed'),
    poisoned = counted('poisoned'),
    lost = tonumber(redis.call('GET', P .. 'lost') or '0'),
  })
end
