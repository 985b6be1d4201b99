-- The outbox of webhooks.

-- Once the bodies handed out in one call exceed this many bytes, no further host is served in that call.
local HOOK_BYTES = 4000000

-- Sorts the host by the time at which its earliest webhook is due, or removes the host if it has none.
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
  local host, ended = unpack(redis.call('HMGET', key, 'host', 'ended'))
  if not host or ended then return end
  redis.call('HSET', key, 'due', now)
  redis.call('ZADD', P .. 'hk:' .. host, now, subject)
  place_host(host)
  -- All shards share this channel.
  redis.call('PUBLISH', '{rm}:hook', '1')
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

-- What ended is open again: its new end is told from the first attempt on.
local function rearm(subject)
  local key = P .. 'h:' .. subject
  if redis.call('HEXISTS', key, 'target') == 0 then return end
  local host = redis.call('HGET', key, 'host')
  redis.call('ZREM', P .. 'hk:' .. host, subject)
  redis.call('HDEL', key, 'ended', 'due', 'body')
  redis.call('HSET', key, 'attempts', 0)
  place_host(host)
end

-- now, job or batch: whether its webhook is sent again. One whose job or batch has not ended yet is not.
local function resend(_, a)
  local state = redis.call('HMGET', P .. 'h:' .. a[2], 'target', 'ended', 'due')
  local again = state[1] and (state[2] or state[3]) and true or false
  if again then
    rearm(a[2])
    arm(a[2], time(a[1]))
  end
  return cjson.encode({ again = again })
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

-- Whether somebody is still to be told of a job or a batch.
local function untold(subject)
  local state = redis.call('HMGET', P .. 'h:' .. subject, 'host', 'ended')
  return state[1] and not state[2]
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
          local hook = hash(P .. 'h:' .. subject)
          if hook then
            free = free - 1
            redis.call('ZADD', line, now + lease, subject)
            redis.call('HSET', P .. 'h:' .. subject, 'due', now + lease)
            hook.due = string.format('%d', now + lease)
            size = size + #(hook.body or '')
            table.insert(found, hook)
          else
            redis.call('ZREM', line, subject)
            redis.call('INCR', P .. 'lost')
          end
        end
        earliest = place_host(host)
      end
      local wait = earliest and math.max(0, earliest - now)
      if wait and free > 0 and (next < 0 or wait < next) then next = wait end
    end
  end
  -- An empty table would be an object.
  if #found == 0 then return cjson.encode({ next = next }) end
  return cjson.encode({ hooks = found, next = next })
end

-- now, subject, attempts before, the attempt, the body or empty if none was sent, how it goes on: a wait, or the end ("delivered", "failed")
local function hook_attempted(_, a)
  local now, key = time(a[1]), P .. 'h:' .. a[2]
  local hook = hash(key)
  -- A webhook without a due time waits for a new end of its job or batch; this attempt told of the earlier end, so it is ignored.
  if not hook or hook.ended or not hook.due or hook.attempts ~= a[3] then return cjson.encode({}) end
  redis.call('HSET', key, 'attempts', hook.attempts + 1, 'last', a[4])
  local wait, line = tonumber(a[6]), P .. 'hk:' .. hook.host
  if wait then
    redis.call('HSET', key, 'due', now + wait)
    if a[5] ~= '' then redis.call('HSET', key, 'body', a[5]) end
    redis.call('ZADD', line, now + wait, a[2])
  else
    redis.call('HSET', key, 'ended', a[6])
    redis.call('HDEL', key, 'body', 'due')
    redis.call('ZREM', line, a[2])
  end
  place_host(hook.host)
  return cjson.encode({})
end
