-- Which workers there are.

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
  if #said == 0 then return '{"workers":[],"now":' .. string.format('%d', now) .. '}' end
  return cjson.encode({ workers = said, now = now })
end
