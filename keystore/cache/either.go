package cache

import (
	"context"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// Asker is on whose behalf Either asks the store.
type Asker int

const (
	// Nobody lets the store be asked only for a record that is known to be there.
	Nobody Asker = iota

	// Stranger lets the store be asked.
	Stranger

	// Vouched lets the store be asked by somebody who has shown the key of the record that is known.
	// While the store is slow, that record is used after a moment.
	Vouched
)

// Either returns the record of name or, where there is none, that of other, and which of the two it is.
// Names that neither memory nor the store has are looked up in one read.
//
// That there is no such name is believed for as long as the record of other is, if there is one: for
// MaxAge, and renewed with it. Only the store's absent names hold what is known of name, so that the many
// ways to write another push nobody out, and an invalidation of other reaches all of them. A name whose
// record cannot be read does not give way to other; one of which the store cannot say anything does.
//
// The errors are Look's. from is where the record, or its absence, is from.
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

// askEither is Either where the store has to be asked for name, and known is what is known of other.
func (t *Table[V]) askEither(ctx context.Context, name, other string, ages Ages, by Asker, known *entry[V]) (value V, found string, from Source, err error) {
	var first, second *call[V]
	switch {
	case known.fresh(ages):
		if by == Nobody {
			return value, name, NotAsked, ErrMayNotAsk
		}
		first = t.ask(name, stranger, 0)
	case known.there():
		// Once for each record that is there and each max_age: name may come along at once.
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

// Known returns what memory has of name or, where no record of it is there, of other, however old it is;
// V's zero value where it has neither.
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

// known returns what memory has of a name: that it is there, that it is not, or nil.
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

// askBoth starts one look-up of two names, or joins those under way. Where the first is under way, the
// second is not asked for, and nil unless it is under way too.
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
