package usage

import (
	"context"
	"errors"
	"time"
)

// ErrAway is the error of a Shared that cannot be reached, or that answers too slowly. Each server then goes
// on by itself.
var ErrAway = errors.New("the shared store cannot be reached")

// Shared is what several servers have in common. Its methods may be called by many goroutines. None of them
// blocks longer than the store's own timeout. Every error is, or wraps, ErrAway, unless ctx has ended.
//
// Names and keys may be emails and the like, so an implementation must store only hashes of them, and
// everything that it stores must expire.
type Shared interface {
	// Admit admits a request to all scopes, or to none, in one round trip. It appends the state of each limit
	// to states: after the request was counted if it was admitted, otherwise as it is. prompt is how many
	// tokens the request's prompt probably has.
	//
	// An admitted request holds a lease in each scope until Settle is called. The lease of a server that
	// stopped ends within 30 seconds.
	Admit(ctx context.Context, scopes []Scope, prompt int64, states []State) (lease Lease, admitted bool, all []State, err error)

	// Settle ends the lease of an admitted request and counts its tokens instead of the reservation. It does
	// not wait for the store. scopes are those of Admit.
	Settle(scopes []Scope, lease Lease, tokens int64)

	// States appends the state of each limit, and counts nothing.
	States(ctx context.Context, scopes []Scope, states []State) ([]State, error)

	// Count adds 1 to a counter and returns its new value. The counter begins at 0 when it is first used, and
	// again when window has passed since then. left is the time until that.
	Count(ctx context.Context, key string, window time.Duration) (n int64, left time.Duration, err error)

	// Take takes a token out of a bucket that holds up to burst tokens and gets perSecond new ones each
	// second. If it is empty, Take takes nothing and returns the time until there is one.
	Take(ctx context.Context, key string, perSecond float64, burst int) (wait time.Duration, err error)

	// Put stores a value for a time. It does not wait for the store.
	Put(key string, value []byte, keep time.Duration)

	// Get returns the values of keys, in their order. A value that is not there is nil.
	Get(ctx context.Context, keys ...string) ([][]byte, error)

	// Publish sends a message to every server that listens, this one included.
	Publish(ctx context.Context, message string) error

	// Listen calls received with each message, and missed whenever messages may have been lost: after the
	// connection was cut and is back. It returns at once. The calls end when ctx ends.
	Listen(ctx context.Context, received func(message string), missed func())

	// Up reports whether the store answered last.
	Up() bool

	// Close ends all leases that are still held, and closes the connections.
	Close() error
}

// Lease identifies an admitted request in a Shared.
type Lease string
