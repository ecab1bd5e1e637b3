package cache

import "time"

// Stats is what a Table can tell of itself.
type Stats struct {
	// Entries and Absent count what is in memory: names that are there, and names that are not.
	Entries, Absent int

	// Oldest is when the oldest of the entries was asked for; zero where there is none.
	Oldest time.Time

	// LastAnswer is when the store last answered, and LastError why and LastErrorAt when it last
	// could not; zero where it never did.
	LastAnswer, LastErrorAt time.Time
	LastError               error
}

// failure is a look-up that the store could not answer.
type failure struct {
	err error
	at  time.Time
}

// Len is about how many names that are there are in memory.
func (t *Table[V]) Len() int { return t.present.EstimatedSize() }

// Stats returns the table's. It reads through all entries.
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
