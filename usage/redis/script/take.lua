-- Takes a token out of a bucket. The key has the number of tokens and the microsecond at which it was right.
--
-- ARGV: how many tokens the bucket gets each second, and how many it holds. It returns 0, or how many
-- microseconds later there will be a token.

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local perSecond, burst = tonumber(ARGV[1]), tonumber(ARGV[2])

local function save(tokens)
  redis.call('SET', KEYS[1], string.format('%.6f %.0f', tokens, now), 'PX', math.ceil(burst / perSecond * 1000) + 1000)
end

local tokens = burst
local state = redis.call('GET', KEYS[1])
if state then
  local left, at = string.match(state, '^(%S+) (%S+)$')
  tokens = math.min(burst, tonumber(left) + math.max(0, now - tonumber(at)) * perSecond / 1000000)
  if tonumber(at) > now then
    save(tokens) -- the clock was set back: the bucket fills from now on
  end
end
if tokens < 1 then
  return math.ceil((1 - tokens) / perSecond * 1000000)
end
save(tokens - 1)
return 0
