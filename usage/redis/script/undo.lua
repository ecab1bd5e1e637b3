-- Takes back the admission of a request.
--
-- ARGV: the lease; the time of use that the admission returned; and for each limit of requests its window and
-- length.

if redis.call('ZREM', KEYS[2], ARGV[1]) == 1 then
  release(ARGV[1])
end
local used = tonumber(ARGV[2])
for i = 3, #ARGV, 2 do
  local window, length = ARGV[i], tonumber(ARGV[i + 1])
  local field = 'requests/' .. window
  local counter = load(redis.call('HGET', KEYS[1], field), window, length)
  local parts = counter.parts
  local changed = false
  if not parts then
    changed = counter.used > 0 and period(window, used) == counter.period
    counter.used = counter.used - 1
  else
    for part = #parts - 2, 1, -3 do
      if parts[part] <= used then -- the newest part that had begun is the one with the request
        changed = parts[part + 2] > 0
        parts[part + 2] = parts[part + 2] - 1
        break
      end
    end
  end
  if changed then
    redis.call('HSET', KEYS[1], field, save(counter))
  end
end
return 0
