-- Batches.

local function read_batch(id)
  local batch, jobs = hash(P .. 'b:' .. id), {}
  if not batch then return nil end
  for _, job in ipairs(redis.call('LRANGE', P .. 'bj:' .. id, 0, -1)) do table.insert(jobs, load(job)) end
  return { batch = batch, jobs = jobs, hook = standing(id) }
end

-- batch
local function get_batch(_, a) return cjson.encode(read_batch(a[1]) or {}) end

-- One of its jobs is forgotten; the batch goes with the last.
local function forget_batch(batch)
  if redis.call('HINCRBY', P .. 'b:' .. batch, 'kept', -1) <= 0 then
    redis.call('DEL', P .. 'b:' .. batch, P .. 'bj:' .. batch, P .. 'h:' .. batch)
  end
end
