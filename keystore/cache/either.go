package cache

import (
	"context"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// Asker says on whose behalf Either asks the store.
type Asker int

const (
	// Nobody allows asking the store only for records that are known to exist.
	Nobody Asker = iota

	// Stranger allows asking the store.
	Stranger

	// Vouched allows asking the store on behalf of a user who has shown the right key of the known
	// record. If the store is slow, that record is used after a moment.
	Vouched
)

// Either returns the record of name or, if there is none, the record of other. found is the name
// that the record belongs to. If neither is cached, both are looked up in one read.
//
// If name is absent and other has a record, the absence of name is believed for MaxAge and renewed
// together with other. Only the table of absent names has an entry for name, so the many spellings
// of one name push out no user, and invalidating other reaches all of them.
//
// If the record of name is broken, Either does not fall back to other. If the store cannot answer
// for name, it does.
//
// The errors are those of Look. from says where the record, or its absence, comes from.
func (t *Table[V]) Either(ctx context.Context, name, other string, ages Ages, by Asker) (value V, found string, from Source, err error) {
	if other == name || !keystore.ValidName(other) {
		value, from, err = t.Look(ctx, name, ages, by != Nobody)
		return value, name, from, err
	}
	if _, there := t.present.GetIfPresent(name); there {
		if value, from, err = t.Look(ctx, name, ages, by != Nobody); err != ErrAbsent {
			return value, name, from, err
		}
	}
	known := t.known(other)
	believed := ages.Absent
	if known.there() {
		believed = ages.MaxAge
	}
	if absent, ok := t.absent.GetIfPresent(name); ok && time.Since(absent.asked) < believed {
		if known.there() && !known.restored && time.Since(known.asked) < ages.MaxAge && time.Since(known.asked) >= ages.RefreshAfter {
			t.askBoth(other, name, renewal, (ages.MaxAge-ages.RefreshAfter)/3)
		}
		value, from, err = t.Look(ctx, other, ages, by != Nobody)
		return value, other, from, err
	}
	return t.askEither(ctx, name, other, ages, by, known)
}

// askEither is Either when the store must be asked for name. known is the cached entry of other.
func (t *Table[V]) askEither(ctx context.Context, name, other string, ages Ages, by Asker, known *entry[V]) (value V, found string, from Source, err error) {
	var first, second *call[V]
	switch {
	case known.fresh(ages):
		if by == Nobody {
			return value, name, NotAsked, ErrMayNotAsk
		}
		first = t.ask(name, stranger, 0)
	case known.there():
		// The read of other includes name. So name costs at most one read for each existing record
		// and max_age.
		second, first = t.askBoth(other, name, acquainted, 0)
		if first == nil && by == Nobody {
			return value, name, NotAsked, ErrMayNotAsk
		}
	case by == Nobody:
		return value, name, NotAsked, ErrMayNotAsk
	default:
		second, first = t.askBoth(other, name, stranger, 0)
	}
	if first == nil {
		first = t.ask(name, stranger, 0)
	}
	ended := first.ends(ctx, known.there() && known.within(ages.StaleIfError) && (by == Vouched || t.down()))
	switch {
	case !ended && ctx.Err() != nil:
		return value, name, NotAsked, ctx.Err()
	case ended && first.entry.there():
		return first.entry.value, name, Loaded, first.entry.err
	case second == nil:
		value, from, err = t.Look(ctx, other, ages, by != Nobody)
	default:
		value, from, err = t.outcome(ctx, second, known, ages)
	}
	if absent, _ := t.absent.GetIfPresent(name); err == ErrAbsent && ended && first.entry == nil && !absent.within(ages.StaleIfError) {
		return value, name, Failed, first.err // there may be such a name
	}
	return value, other, from, err
}

// Known returns the cached record of name or, if there is none, that of other, whatever its age. If
// neither is cached, it returns the zero value of V.
func (t *Table[V]) Known(name, other string) (value V) {
	e := t.known(name)
	if !e.there() {
		e = t.known(other)
	}
	if e.there() {
		return e.value
	}
	return value
}

// known returns the cached answer for a name: that it exists, that it does not, or nil.
func (t *Table[V]) known(name string) *entry[V] {
	if e, ok := t.present.GetIfPresent(name); ok {
		return e
	}
	e, _ := t.absent.GetIfPresent(name)
	return e
}

// fresh reports whether the entry, which may be nil, can be used without asking the store.
func (e *entry[V]) fresh(ages Ages) bool {
	maxAge := ages.MaxAge
	if !e.there() {
		maxAge = ages.Absent
	}
	return e != nil && !e.restored && time.Since(e.asked) < maxAge
}

// askBoth starts one look-up of two names, or joins those that are under way. If a look-up of first
// is under way, it does not start one of second. b is then nil unless a look-up of second is under
// way too.
func (t *Table[V]) askBoth(first, second string, urgency class, patience time.Duration) (a, b *call[V]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, b = t.calls[first], t.calls[second]
	switch {
	case a != nil:
		if urgency != renewal {
			a.hurry()
		}
	case b != nil:
		a = t.begin(urgency, patience, first)
	default:
		a = t.begin(urgency, patience, first, second)
		b = t.calls[second]
	}
	return a, b
}
