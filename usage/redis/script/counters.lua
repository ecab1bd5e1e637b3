-- What all scripts that count a scope share.
--
-- KEYS[1] is a hash: the field "requests/1m" has what was used within that window, and "reserved/1m" how many
-- tokens the requests in flight have reserved. KEYS[2] is a sorted set with a lease for each request in
-- flight, by the time at which it ends. Both keys have the same hash tag, so they are in the same slot.
--
-- All times are milliseconds of Redis's own clock. So servers whose clocks differ count together.

local clock = redis.call('TIME')
local microseconds = clock[1] * 1000000 + clock[2]
local now = math.floor(microseconds / 1000)
local stamp = math.ceil(microseconds / 1000) -- what is used now leaves a window rather late than early

-- month returns the number of the month of a day. Days count from 1970-01-01. Years begin in March here, so
-- that the day in a leap year is the last one.
local function month(day)
  local d = day + 719468
  local era = math.floor(d / 146097)
  local inEra = d - era * 146097
  local year = math.floor((inEra - math.floor(inEra / 1460) + math.floor(inEra / 36524) - math.floor(inEra / 146096)) / 365)
  local inYear = inEra - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  return (era * 400 + year) * 12 + math.floor((5 * inYear + 2) / 153)
end

-- period returns the number of the day or month that contains a time.
local function period(window, at)
  local day = math.floor(at / 86400000)
  if window == 'month' then
    return month(day)
  end
  return day
end

-- load returns what a field says was used within a window. length is the window's length, or 0 for a day or a
-- month. The result has the total in .used, and what it consists of in .parts: three numbers a part, the
-- times of the first and the last use in it, and how much it is. A part ends with its last use. For a day or
-- a month it is the number of that period and the total.
local function load(text, window, length)
  local parts = text and cjson.decode(text) or {}
  if length == 0 then
    local current = period(window, stamp)
    return { used = parts[1] == current and parts[2] or 0, period = current }
  end
  local live, used = {}, 0
  for i = 1, #parts, 3 do
    if parts[i + 1] + length > now then
      local n = #live
      live[n + 1], live[n + 2], live[n + 3] = parts[i], parts[i + 1], parts[i + 2]
      used = used + parts[i + 2]
    end
  end
  return { used = used, parts = live }
end

-- add counts n more now. A part of a sliding window holds what was used within a thirtieth of the window.
local function add(counter, length, n)
  counter.used = counter.used + n
  local parts = counter.parts
  if not parts then
    return
  end
  local last = #parts
  local at = stamp
  if last > 0 and parts[last - 1] > at then
    at = parts[last - 1] -- the clock was set back
  end
  if last > 0 and at - parts[last - 2] <= length / 30 then
    parts[last - 1], parts[last] = at, parts[last] + n
    return
  end
  parts[last + 1], parts[last + 2], parts[last + 3] = at, at, n
end

-- save returns the text of a counter.
local function save(counter)
  if counter.parts then
    return cjson.encode(counter.parts)
  end
  return cjson.encode({ counter.period, counter.used })
end

-- release gives back what a lease has reserved. A lease is an id, and then ";window=tokens" for each limit of
-- tokens.
local function release(lease)
  for window, tokens in string.gmatch(lease, ';([^=]+)=(%d+)') do
    local field = 'reserved/' .. window
    if redis.call('HINCRBY', KEYS[1], field, -tokens) <= 0 then
      redis.call('HDEL', KEYS[1], field)
    end
  end
end

-- keep makes the keys live at least that long.
local function keep(milliseconds)
  for _, key in ipairs(KEYS) do
    if redis.call('PTTL', key) < milliseconds then
      redis.call('PEXPIRE', key, milliseconds)
    end
  end
end
