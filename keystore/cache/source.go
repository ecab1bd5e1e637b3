package cache

// Source says where an answer is from.
type Source string

// The sources of answers.
const (
	Fresh     Source = "fresh"     // from memory
	Refreshed Source = "refreshed" // from memory, and being renewed in the background
	Loaded    Source = "loaded"    // from the store
	Stale     Source = "stale"     // from memory though it is too old, as the store could not answer
	Absent    Source = "absent"    // that there is no such name, from memory or from the store
	Failed    Source = "error"     // none: the store could not answer
	NotAsked  Source = ""          // none: the store may not be asked, or nobody waits any more
)

// source is where the entry is from, which is at hand from there.
func (e *entry[V]) source(from Source) Source {
	if e.err == ErrAbsent {
		return Absent
	}
	return from
}
