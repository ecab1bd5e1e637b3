package usage

// SweepRound is how many requests are admitted until each shard has been looked at.
const SweepRound = shards * sweepEvery

// Scopes returns how many scopes are in memory.
func (c *Counters) Scopes() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.Lock()
		if len(s.byName) != len(s.all) {
			panic("a shard's map and its list differ")
		}
		n += len(s.all)
		s.Unlock()
	}
	return n
}

// Buckets returns how many buckets the fullest window of a scope has.
func (c *Counters) Buckets(name string) (n int) {
	s := c.shard(name)
	s.Lock()
	defer s.Unlock()
	u := s.byName[name]
	for _, counters := range [][]counter{u.requests, u.tokens} {
		for _, c := range counters {
			n = max(n, len(c.sliding.buckets))
		}
	}
	return n
}
