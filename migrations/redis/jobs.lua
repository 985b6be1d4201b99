-- Jobs as they are kept, and how they move from one status to another.

local LEGAL = {
  queued = { processing = true, canceled = true },
  processing = { queued = true, succeeded = true, failed = true, canceled = true },
  succeeded = { expired = true },
  failed = { queued = true },
}

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

local function count(status, by) redis.call('HINCRBY', P .. 'n', status, by) end
local function counted(status) return tonumber(redis.call('HGET', P .. 'n', status) or '0') end

-- Counts queued jobs by the skill that they need.
local function count_skill(job, by) redis.call('HINCRBY', P .. 'models', needed_skill(job), by) end

local function move(job, to)
  if not (LEGAL[job.status] or {})[to] then
    error('a job that is ' .. job.status .. ' cannot become ' .. to)
  end
  count(job.status, -1)
  count(to, 1)
  if job.status == 'queued' then count_skill(job, -1) end
  if to == 'queued' then count_skill(job, 1) end
  set(job, 'status', to)
end

-- The hash of something that is listed is gone: a server that evicts takes what it likes. What was counted with it is counted again later.
local function lose(status)
  redis.call('INCR', P .. 'lost')
  redis.call('SET', P .. 'mend', '1')
  if status then count(status, -1) end
end

-- The jobs that `zset` lists up to `latest`, in the order of their arrival. One whose hash is gone is taken off the list, so that it
-- holds up nothing.
local function listed(zset, latest, status)
  local jobs = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. zset, '-inf', latest, 'LIMIT', 0, STEP)) do
    local job = load(id)
    if job then
      table.insert(jobs, job)
    else
      redis.call('ZREM', P .. zset, id)
      lose(status)
    end
  end
  table.sort(jobs, function(one, other) return tonumber(one.seq) < tonumber(other.seq) end)
  return jobs
end

-- from, to: whether a job may go there. A test compares this table with the one in shared/src/job/status.rs.
local function legal(_, a)
  return (LEGAL[a[1]] or {})[a[2]] and 1 or 0
end
