-- Prolongs leases that have not ended yet.
--
-- ARGV: the length of a lease; and the leases.

for i = 2, #ARGV do
  redis.call('ZADD', KEYS[2], 'XX', stamp + ARGV[1], ARGV[i])
end
keep(2 * ARGV[1])
return 0
