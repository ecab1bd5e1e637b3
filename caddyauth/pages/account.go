package pages

import (
	"fmt"
	"time"
)

// Key is the key that a developer has signed in with.
type Key struct {
	// ID is the beginning of the key's hash.
	ID string

	// Ends is when the key ends. The zero time means never. Left says how long it is until then.
	Ends time.Time
	Left string

	// Soon reports whether it ends within a week.
	Soon bool

	// Previous reports whether the key has been replaced by another one.
	Previous bool
}

// NewKey returns what is shown of a key.
func NewKey(id string, ends time.Time, previous bool, now time.Time) Key {
	k := Key{ID: id, Ends: ends, Previous: previous}
	if !ends.IsZero() {
		k.Left, k.Soon = Until(ends, now), ends.Sub(now) < 7*24*time.Hour
	}
	return k
}

// Limit is how much of a limit is used.
type Limit struct {
	// Title says what is limited, such as "Requests per minute".
	Title string

	// Team is the team that shares the limit, or "".
	Team string

	Max, Used, Left int64

	// Back says when all of it is there again, or is "" if none of it is used.
	Back string
}

// Share is how much is used, in percent.
func (l Limit) Share() int64 { return min(100, int64(100*float64(l.Used)/float64(max(1, l.Max)))) }

// Low reports whether less than a tenth is left.
func (l Limit) Low() bool { return l.Left*10 < l.Max }

// windows are words for common windows of limits.
var windows = map[string]string{"1s": "second", "1m": "minute", "1h": "hour", "24h": "24 hours", "day": "day", "month": "month"}

// NewLimit returns what is shown of a limit. kind is requests, tokens or parallel. window is as in a limit, such as
// 1m or day. resets is when nothing will be used any more, or nil.
func NewLimit(kind, window, team string, maximum, used int64, resets *time.Time, now time.Time) Limit {
	l := Limit{Team: team, Max: maximum, Used: used, Left: max(0, maximum-used)}
	word, known := windows[window]
	switch {
	case kind == "parallel":
		l.Title = "Requests at once"
	case known:
		l.Title = fmt.Sprintf("%s per %s", capital(kind), word)
	default:
		l.Title = fmt.Sprintf("%s in %s", capital(kind), window)
	}
	if resets != nil && used > 0 && resets.After(now) {
		l.Back = Until(*resets, now)
	}
	return l
}
