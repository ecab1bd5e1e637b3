package googleaistudio

import "strconv"

// callIDs gives the calls of a conversation ids that are theirs alone. Google mixes up the results of calls whose
// ids are the same. The first call with an id keeps it; what comes later in a conversation changes none before.
type callIDs struct {
	taken map[string]bool
	next  map[string]int // by a client's id: the number that its next repetition tries
}

// unique returns the id that Google gets for the next call, which has a client's id or an empty one.
func (c *callIDs) unique(id string) string {
	if c.taken == nil {
		c.taken, c.next = map[string]bool{}, map[string]int{}
	}
	ours := id
	if id == "" {
		id = "call"
	}
	for n := max(c.next[id], 1); ours == "" || c.taken[ours]; n++ {
		ours = id + "_" + strconv.Itoa(n)
		c.next[id] = n + 1
	}
	c.taken[ours] = true
	return ours
}
