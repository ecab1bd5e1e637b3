-- Admits a request to a scope if no limit of the scope is reached.
--
-- ARGV: the lease, or "" to count nothing; the length of a lease; how long the keys live; the maximum of
-- requests in flight, or 0; leases that have ended, with spaces between them; and for each other limit its kind,
-- window, length, maximum and reservation.
-- It returns whether the request is admitted, the time, the time of its use, the number of requests in flight,
-- and for each limit what is used and what is reserved, and for a window that slides when nothing will be used
-- any more, and when less than the maximum will be used, or 0.

local lease, leaseLength, parallel = ARGV[1], ARGV[2], tonumber(ARGV[4])

for _, ended in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[2], ended)
  release(ended)
end
for ended in string.gmatch(ARGV[5], '%S+') do
  if redis.call('ZREM', KEYS[2], ended) == 1 then
    release(ended)
  end
end
local inFlight = redis.call('ZCARD', KEYS[2])

local fields = {}
for i = 6, #ARGV, 5 do
  fields[#fields + 1] = ARGV[i] .. '/' .. ARGV[i + 1]
  fields[#fields + 1] = 'reserved/' .. ARGV[i + 1]
end
local values = #fields > 0 and redis.call('HMGET', KEYS[1], unpack(fields)) or {}

local admitted = parallel == 0 or inFlight < parallel
local counters = {}
for i = 6, #ARGV, 5 do
  local kind, window, length, maximum = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local n = #counters
  local counter = load(values[2 * n + 1], window, length)
  counter.kind, counter.window, counter.length, counter.maximum = kind, window, length, maximum
  counter.reserve, counter.reserved = tonumber(ARGV[i + 4]), 0
  if kind == 'tokens' and inFlight > 0 then
    counter.reserved = tonumber(values[2 * n + 2] or 0)
  end
  admitted = admitted and counter.used + counter.reserved < maximum
  counters[n + 1] = counter
end

local counted = admitted and lease ~= ''
if counted then
  local changed = {}
  for _, counter in ipairs(counters) do
    if counter.kind == 'requests' then
      add(counter, counter.length, 1)
      changed[#changed + 1] = counter.kind .. '/' .. counter.window
      changed[#changed + 1] = save(counter)
    else
      counter.reserved = counter.reserved + counter.reserve
      changed[#changed + 1] = 'reserved/' .. counter.window
      changed[#changed + 1] = counter.reserved
    end
  end
  if #changed > 0 then
    redis.call('HSET', KEYS[1], unpack(changed))
  end
  if leaseLength ~= '0' then
    redis.call('ZADD', KEYS[2], stamp + leaseLength, lease)
    inFlight = inFlight + 1
  end
  keep(tonumber(ARGV[3]))
end

-- free returns when a sliding window will have room again. What is reserved stays until then.
local function free(counter)
  local left, parts = counter.used + counter.reserved, counter.parts
  for i = 1, #parts, 3 do
    left = left - parts[i + 2]
    if left < counter.maximum then
      return parts[i + 1] + counter.length
    end
  end
  return now + counter.length
end

-- resets returns when nothing will be used any more in a sliding window. What is reserved counts as used now.
local function resets(counter)
  local last = #counter.parts
  if counter.reserved > 0 then
    return now + counter.length
  end
  return last > 0 and counter.parts[last - 1] + counter.length or now
end

local answer = { admitted and 1 or 0, now, stamp, inFlight }
for _, counter in ipairs(counters) do
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4] = counter.used, counter.reserved, 0, 0
  if counter.parts then
    answer[n + 3] = resets(counter)
    answer[n + 4] = counter.used + counter.reserved >= counter.maximum and free(counter) or 0
  end
end
return answer
