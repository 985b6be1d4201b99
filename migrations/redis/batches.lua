-- Batches.

local function read_batch(id)
  local batch, jobs = hash(P .. 'b:' .. id), {}
  if not batch then return nil end
  for _, job in ipairs(redis.call('LRANGE', P .. 'bj:' .. id, 0, -1)) do table.insert(jobs, load(job)) end
  return { batch = batch, jobs = jobs, hook = standing(id) }
end

-- batch
local function get_batch(_, a) return cjson.encode(read_batch(a[1]) or {}) end

local function drop_batch(batch)
  redis.call('DEL', P .. 'b:' .. batch, P .. 'bj:' .. batch, P .. 'h:' .. batch)
  redis.call('ZREM', P .. 'open', batch)
end

-- One of its jobs is forgotten; the batch goes with the last.
local function forget_batch(batch)
  if redis.call('HINCRBY', P .. 'b:' .. batch, 'kept', -1) <= 0 then drop_batch(batch) end
end

-- Counts the batch's jobs again after some have gone missing. If none of those that are left is open, the batch has ended.
local function recount_batch(batch, now)
  local open, kept = 0, 0
  for _, job in ipairs(redis.call('LRANGE', P .. 'bj:' .. batch, 0, -1)) do
    local status = redis.call('HGET', P .. 'j:' .. job, 'status')
    if status then kept = kept + 1 end
    if status == 'queued' or status == 'processing' then open = open + 1 end
  end
  if kept == 0 or redis.call('EXISTS', P .. 'b:' .. batch) == 0 then return drop_batch(batch) end
  redis.call('HSET', P .. 'b:' .. batch, 'open', open, 'kept', kept)
  -- It may have ended by itself since its jobs were to be counted.
  if open == 0 and redis.call('ZREM', P .. 'open', batch) == 1 then
    arm(batch, now)
    tell(batch)
  end
end
