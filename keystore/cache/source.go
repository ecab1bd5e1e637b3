package cache

// Source says where an answer comes from.
type Source string

// These are the sources of answers.
const (
	Fresh     Source = "fresh"     // from memory
	Refreshed Source = "refreshed" // from memory, with a renewal in the background
	Loaded    Source = "loaded"    // from the store
	Stale     Source = "stale"     // from memory although it is too old, because the store could not answer
	Absent    Source = "absent"    // there is no such name, according to memory or the store
	Failed    Source = "error"     // no answer: the store could not answer
	NotAsked  Source = ""          // no answer: the store may not be asked, or the caller no longer waits
)

// source returns Absent if the entry says that there is no record, and from otherwise.
func (e *entry[V]) source(from Source) Source {
	if e.err == ErrAbsent {
		return Absent
	}
	return from
}
