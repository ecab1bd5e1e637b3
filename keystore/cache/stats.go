package cache

import "time"

// Stats describes the state of a Table.
type Stats struct {
	// Entries and Absent count the cached names: those that exist, and those that do not.
	Entries, Absent int

	// Oldest is the time of the oldest entry's look-up, or zero if there are no entries.
	Oldest time.Time

	// LastAnswer is when the store last answered. LastErrorAt is when it last could not, and
	// LastError is why. They are zero if that never happened.
	LastAnswer, LastErrorAt time.Time
	LastError               error
}

// failure is a look-up that the store could not answer.
type failure struct {
	err error
	at  time.Time
}

// Len returns about how many existing names are cached.
func (t *Table[V]) Len() int { return t.present.EstimatedSize() }

// Stats returns the state of the table. It goes through all entries.
func (t *Table[V]) Stats() Stats {
	s := Stats{}
	for _, e := range t.present.All() {
		s.Entries++
		if s.Oldest.IsZero() || e.asked.Before(s.Oldest) {
			s.Oldest = e.asked
		}
	}
	for range t.absent.All() {
		s.Absent++
	}
	if at := t.answered.Load(); at != nil {
		s.LastAnswer = *at
	}
	if f := t.failed.Load(); f != nil {
		s.LastError, s.LastErrorAt = f.err, f.at
	}
	return s
}
