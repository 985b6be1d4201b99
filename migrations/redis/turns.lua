-- Whose turn it is: shared/store/src/rules/fairness.rs has the reasons and the proof.

local LONGEST_WAIT_EVERY = 8
local ARRIVAL = 1e-6
-- How many clients a claim looks at, in their order, before it gives up. Those whose oldest job needs a skill that the worker lacks
-- are passed over, and count.
local LOOKED_AT = 64

local function virtual_now() return tonumber(redis.call('GET', P .. 'vt') or '0') end
local function set_virtual_now(now) redis.call('SET', P .. 'vt', exact(now)) end

-- The present time in microseconds.
local function microseconds()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- Moments are in order, and they are times, by which the waits of clients in different shards are compared.
local function moment()
  local last = tonumber(redis.call('GET', P .. 'moments') or '0')
  local now = string.format('%d', math.max(last + 1, microseconds()))
  redis.call('SET', P .. 'moments', now)
  return now
end

-- A ready job joins its client's line, at its old place. A client that was idle arrives.
local function join(job)
  local line = P .. 'c:' .. job.client
  if redis.call('ZCARD', line) == 0 then
    local left_off = tonumber(redis.call('ZSCORE', P .. 'idle', job.client) or '0')
    local now = virtual_now() + ARRIVAL
    set_virtual_now(now)
    redis.call('ZREM', P .. 'idle', job.client)
    redis.call('ZADD', P .. 'act', exact(math.max(now, left_off)), job.client)
    redis.call('ZADD', P .. 'heads', moment(), job.client)
  end
  redis.call('ZADD', line, job.seq, job.id)
end

local function leave(job)
  local line = P .. 'c:' .. job.client
  redis.call('ZREM', line, job.id)
  if redis.call('ZCARD', line) > 0 then return end
  local start = redis.call('ZSCORE', P .. 'act', job.client)
  redis.call('ZREM', P .. 'act', job.client)
  redis.call('ZREM', P .. 'heads', job.client)
  if start then redis.call('ZADD', P .. 'idle', start, job.client) end
end

-- Called when the client is given this job for the first time, before the job leaves the line.
local function serve(job)
  local start, waiting = tonumber(redis.call('ZSCORE', P .. 'act', job.client)), redis.call('ZCARD', P .. 'act')
  local price = tonumber(job.cost)
  set_virtual_now(math.max(virtual_now(), start) + price * (waiting - 1) / (waiting * waiting))
  redis.call('ZADD', P .. 'act', exact(start + price), job.client)
end

-- The client's oldest job was taken: another one is its oldest from now on.
local function next_head(client)
  redis.call('ZADD', P .. 'heads', 'XX', moment(), client)
end

-- Called when the queue is empty and no job runs: virtual time moves to the largest start of any client.
local function settle()
  local last = redis.call('ZRANGE', P .. 'idle', -1, -1, 'WITHSCORES')
  if #last > 0 then set_virtual_now(math.max(virtual_now(), tonumber(last[2]))) end
end

-- The client's oldest job. Jobs whose hash is gone are taken out of line, so that they hold up nobody.
local function oldest(client)
  for _ = 1, STEP do
    local id = redis.call('ZRANGE', P .. 'c:' .. client, 0, 0)[1]
    local job = id and load(id)
    if job then return job end
    leave({ id = id or '', client = client })
    if not id then return nil end
    lose('queued')
  end
  return nil
end

-- What a worker can do, and which clients have their share of it, from the arguments `from` on: skills, and clients with @ before them.
local function claimant(a, from)
  local skills, busy = {}, {}
  for i = from, #a do
    local client = string.match(a[i], '^@(.*)$')
    if client then busy[client] = true else skills[a[i]] = true end
  end
  return skills, busy
end

-- The oldest job of the client whose turn it is, of the clients whose oldest job needs one of `skills` or none; `skills` is nil for a
-- worker of a release that did not tell. Clients that are `busy` come after the others that are looked at.
local function find_job(skills, busy)
  if redis.call('ZCARD', P .. 'act') == 0 then return nil end
  local claims = tonumber(redis.call('GET', P .. 'claims') or '0')
  local orders = { 'act', 'heads' }
  if claims % LONGEST_WAIT_EVERY == LONGEST_WAIT_EVERY - 1 then orders = { 'heads', 'act' } end
  local of_busy = nil
  -- The second order is looked at when the first is full of clients whose oldest job needs another skill, or who are busy.
  for _, order in ipairs(orders) do
    for _, client in ipairs(redis.call('ZRANGE', P .. order, 0, LOOKED_AT - 1)) do
      local job = oldest(client)
      if job then
        local needed = skills and needed_skill(job)
        if not skills or needed == '' or skills[needed] then
          if not (busy and busy[client]) then return job end
          of_busy = of_busy or job
        end
      end
    end
  end
  return of_busy
end

-- The same, and a claim is counted.
local function next_job(skills, busy)
  local job = find_job(skills, busy)
  if job then redis.call('INCR', P .. 'claims') end
  return job
end

-- An estimate of the place in line, from 1, as in the rules.
local function position(job)
  local earlier = redis.call('ZRANK', P .. 'c:' .. job.client, job.id) or 0
  local waiting = redis.call('ZCARD', P .. 'act')
  local before = redis.call('ZRANK', P .. 'act', job.client) or 0
  local after = math.max(0, waiting - before - 1)
  return math.max(1, math.min(counted('queued'), 1 + earlier + before * (earlier + 1) + after * earlier))
end

-- How many queued jobs are counted anew by their skill, so that the server does not stand still.
local COUNTED = 100000

-- Counts queued jobs by their skill, if they are not too many.
local function recount_skills()
  local queued = counted('queued')
  if queued > COUNTED then return end
  redis.call('DEL', P .. 'models')
  local lines = { P .. 'delayed' }
  for _, client in ipairs(redis.call('ZRANGE', P .. 'act', 0, -1)) do table.insert(lines, P .. 'c:' .. client) end
  for _, line in ipairs(lines) do
    for _, id in ipairs(redis.call('ZRANGE', line, 0, -1)) do
      local model, params = unpack(redis.call('HMGET', P .. 'j:' .. id, 'model', 'params'))
      if params then count_skill({ model = model or nil, params = params }, 1) end
    end
  end
end

-- Libraries before 4 kept no heads. Their waiting clients are entered as having waited longest. Libraries before 6 did not count queued
-- jobs.
local function upgrade()
  if redis.call('EXISTS', P .. 'models') == 0 and counted('queued') > 0 then recount_skills() end
  for _, client in ipairs(redis.call('ZRANGE', P .. 'act', 0, -1)) do
    redis.call('ZADD', P .. 'heads', 'NX', 0, client)
  end
  return 1
end
