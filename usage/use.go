package usage

// use is what one scope uses.
type use struct {
	name             string
	inFlight         int64
	requests, tokens []counter
}

// admits reports whether no limit is reached.
func (u *use) admits(l *Limits, now instant) bool {
	return (l.Parallel <= 0 || u.inFlight < l.Parallel) &&
		below(u.requests, l.Requests, now) && below(u.tokens, l.Tokens, now)
}

func below(counters []counter, rates []Rate, now instant) bool {
	for _, r := range rates {
		var used int64
		if c := find(counters, r.Window); c != nil {
			used = c.used(now) + c.reserved
		}
		if used >= r.Max {
			return false
		}
	}
	return true
}

// admit counts a request that is now in flight. The requests in flight are counted even if they have no limit,
// because a new configuration may give them one.
func (u *use) admit(l *Limits, prompt int64, now instant) {
	u.inFlight++
	for i, r := range l.Requests {
		if !repeated(l.Requests, i) {
			findOrAdd(&u.requests, l.Requests, r.Window).add(now, 1)
		}
	}
	for i, r := range l.Tokens {
		if !repeated(l.Tokens, i) {
			findOrAdd(&u.tokens, l.Tokens, r.Window).reserved += r.Reservation(prompt)
		}
	}
}

// release takes back what admit counted until the end of the request. l and prompt are those of admit.
func (u *use) release(l *Limits, prompt int64) {
	u.inFlight = max(0, u.inFlight-1)
	for i, r := range l.Tokens {
		if c := find(u.tokens, r.Window); c != nil && !repeated(l.Tokens, i) {
			c.reserved = max(0, c.reserved-r.Reservation(prompt))
		}
	}
}

func (u *use) addTokens(l *Limits, n int64, now instant) {
	for i, r := range l.Tokens {
		if !repeated(l.Tokens, i) {
			findOrAdd(&u.tokens, l.Tokens, r.Window).add(now, n)
		}
	}
}

// appendStates appends the state of each limit of the scope.
func (u *use) appendStates(states []State, s Scope, now instant) []State {
	for _, r := range s.Limits.Requests {
		states = append(states, state(u.requests, Requests, r, s.Team, now))
	}
	for _, r := range s.Limits.Tokens {
		states = append(states, state(u.tokens, Tokens, r, s.Team, now))
	}
	if n := s.Limits.Parallel; n > 0 {
		states = append(states, State{Kind: Parallel, Rate: Rate{Max: n}, Team: s.Team, Used: u.inFlight})
	}
	return states
}

func state(counters []counter, kind Kind, r Rate, team string, now instant) State {
	s := State{Kind: kind, Rate: r, Team: team}
	c := find(counters, r.Window)
	if c == nil {
		c = &counter{window: r.Window}
	}
	c.fill(&s, now)
	return s
}

// idle reports whether nothing is used, and forgets the counters at which nothing is used.
func (u *use) idle(now instant) bool {
	u.requests = withoutIdle(u.requests, now)
	u.tokens = withoutIdle(u.tokens, now)
	return u.inFlight == 0 && len(u.requests) == 0 && len(u.tokens) == 0
}

// withoutIdle looks at the counters where they are. A copy of a counter would share its buckets and change them.
func withoutIdle(counters []counter, now instant) []counter {
	kept := counters[:0]
	for i := range counters {
		if !counters[i].idle(now) {
			kept = append(kept, counters[i])
		}
	}
	clear(counters[len(kept):])
	return kept
}

func find(counters []counter, w Window) *counter {
	for i := range counters {
		if counters[i].window == w {
			return &counters[i]
		}
	}
	return nil
}

// findOrAdd adds a counter if there is none. rates are all that there will be counters for.
func findOrAdd(counters *[]counter, rates []Rate, w Window) *counter {
	if c := find(*counters, w); c != nil {
		return c
	}
	if *counters == nil {
		*counters = make([]counter, 0, len(rates))
	}
	*counters = append(*counters, counter{window: w})
	return &(*counters)[len(*counters)-1]
}

// repeated reports whether an earlier rate has the same window as rate i. Both are limits of one counter, which
// must count once.
func repeated(rates []Rate, i int) bool {
	for _, r := range rates[:i] {
		if r.Window == rates[i].Window {
			return true
		}
	}
	return false
}
