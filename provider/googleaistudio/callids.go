package googleaistudio

import "strconv"

// callIDs makes the ids of a conversation's calls unique, because Google mixes up the results of calls with
// the same id. The first call with an id keeps it. A later part of a conversation never changes the ids of an
// earlier part.
type callIDs struct {
	taken map[string]bool
	next  map[string]int // by a client's id: the number to try first for its next repetition
}

// unique returns the id to send to Google for the next call. id is the client's id and may be empty.
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
