-- Ends a lease and counts the tokens of its request.
--
-- ARGV: the lease; the tokens; how long the keys live; "again" if an earlier attempt may have succeeded, else
-- "first"; and for each limit of tokens its window and length.

local live = redis.call('ZREM', KEYS[2], ARGV[1]) == 1
if live then
  release(ARGV[1])
end
-- A lease can have ended by itself, so it need not be live. But if an earlier attempt may have succeeded, a
-- lease that is not live has been settled.
if ARGV[2] == '0' or ARGV[4] == 'again' and not live then
  return 0
end
for i = 5, #ARGV, 2 do
  local window, length = ARGV[i], tonumber(ARGV[i + 1])
  local field = 'tokens/' .. window
  local counter = load(redis.call('HGET', KEYS[1], field), window, length)
  add(counter, length, tonumber(ARGV[2]))
  redis.call('HSET', KEYS[1], field, save(counter))
end
keep(tonumber(ARGV[3]))
return 1
