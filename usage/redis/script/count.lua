-- Adds 1 to a counter that lives for a window from its first use.
--
-- ARGV: the length of the window. It returns the counter's value and how long it still lives.

local n = redis.call('INCR', KEYS[1])
if n == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return { n, redis.call('PTTL', KEYS[1]) }
