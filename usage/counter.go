package usage

import "time"

// instant is a moment, as both sorts of windows see it.
type instant struct {
	wall    time.Time     // in UTC
	elapsed time.Duration // since the counters were made, by a clock that nobody sets

	// elapsed in ticks, rounded down to ask whether something has left a window, and rounded up for an event.
	tick, nextTick int64
}

func instantSince(start time.Time) instant {
	now := time.Now()
	elapsed := now.Sub(start)
	return instant{
		wall:     now.Round(0).UTC(),
		elapsed:  elapsed,
		tick:     int64(elapsed / tick),
		nextTick: int64((elapsed + tick - 1) / tick),
	}
}

// at returns the time of a tick.
func (now instant) at(t int64) time.Time {
	return now.wall.Add(time.Duration(t)*tick - now.elapsed)
}

// counter counts requests or tokens within one window. Either sliding or period is in use.
type counter struct {
	window   Window
	reserved int64 // by requests in flight, beside what is used
	sliding  sliding
	period   period
}

func (c *counter) length() int64 { return int64((c.window.sliding + tick - 1) / tick) }

// used returns what has been used within the window that now is in.
func (c *counter) used(now instant) int64 {
	if c.window.sliding == 0 {
		c.period.turn(now.wall, c.window)
		return c.period.used
	}
	c.sliding.drop(now, c.length())
	return c.sliding.used
}

// add counts n of what the counter counts.
func (c *counter) add(now instant, n int64) {
	c.used(now)
	if c.window.sliding == 0 {
		c.period.used += n
		return
	}
	c.sliding.add(now, c.length(), n)
}

func (c *counter) idle(now instant) bool { return c.reserved == 0 && c.used(now) == 0 }

// inFlightGuess is how soon a request in flight may end and use fewer tokens than it reserved.
const inFlightGuess = 10 * time.Second

// fill sets what the state of a limit says of the counter.
func (c *counter) fill(s *State, now instant) {
	used := c.used(now)
	s.Used = used + c.reserved
	s.Resets = c.resets(now)
	if !s.Reached() {
		return
	}
	s.Free = s.Resets
	if c.window.sliding > 0 && c.reserved < s.Max {
		s.Free = now.at(c.sliding.below(s.Max-c.reserved, c.length()))
	}
	if soon := now.wall.Add(inFlightGuess); used < s.Max && soon.Before(s.Free) {
		s.Free = soon
	}
}

// resets returns when nothing will be used any more. used must have been called for now.
func (c *counter) resets(now instant) time.Time {
	switch {
	case c.window.sliding == 0:
		return time.Unix(c.period.end, 0).UTC()
	case c.reserved > 0:
		return now.wall.Add(c.window.sliding)
	case c.sliding.used > 0:
		return now.at(c.sliding.last + c.length())
	}
	return now.wall
}
