// Package redis is the usage.Shared of servers that share a Redis 6 or later, or a Valkey: a single one, one
// that Sentinels watch, or a Cluster.
//
// Each user and each team has its keys in one slot of a Cluster. Only hashes of names are stored, and every
// key expires. Redis's own clock counts, so the servers' clocks need not agree.
package redis

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// The library's own log can contain what the server answered, and that can be anything. Store logs what is
// wrong itself.
func init() { logging.Disable() }

// Config says where the store is.
type Config struct {
	// Addresses are the store's, as host:port. Several are nodes of a Cluster, or Sentinels.
	Addresses []string

	// Username and Password may be empty. Sentinels get them too, if they want a password.
	Username, Password string

	// DB is the number of the database. A Cluster has only 0.
	DB int

	// TLS is nil for a connection without TLS.
	TLS *tls.Config

	// Prefix is what the names of all keys and of the channel begin with. Servers with the same prefix share.
	Prefix string

	// Timeout is how long a request waits for the store at most.
	Timeout time.Duration

	// Log returns the logger. It is called for each message, because a store can outlive the configuration
	// that it was made under.
	Log func() *zap.Logger

	// Observe is called with the duration of each operation that a request waits for.
	Observe func(took time.Duration)
}

const (
	// leaseLength is how long the lease of a request lasts without being renewed.
	leaseLength = 30 * time.Second

	// renewEvery is how often leases are renewed.
	renewEvery = 10 * time.Second

	// patience limits what no request waits for, such as connecting.
	patience = time.Second
)

// pace says how soon failures are noticed.
type pace struct {
	// probe is how often a store that is away is tried.
	probe time.Duration

	// ping is how long a channel may be silent before its connection is tested, and how long the test may
	// take.
	ping time.Duration
}

// Store is a usage.Shared in Redis.
type Store struct {
	Config
	pace
	server string // distinguishes the leases of this store from those of others

	// conn is nil while the store is away.
	conn atomic.Pointer[connection]

	// why says why the store is away. suspect is the key with which it failed.
	why, suspect atomic.Pointer[string]

	mu     sync.Mutex
	leases map[usage.Lease][]held
	queue  []command           // what is sent in the background
	ended  map[string][]string // by a scope's first key: leases that have ended, until the store knows
	last   uint64              // the number of the last lease

	wake    chan struct{}   // the queue has something
	tried   chan struct{}   // closed after the first attempt to connect
	closing context.Context // ends when the store is closed
	close   func()
	tasks   sync.WaitGroup

	// Only the goroutine of keep uses these.
	latest    *connection // conn, or what it was before the store was away
	logged    time.Time   // when the last message was logged
	complains bool        // whether that message said that the store is away
}

// connection is a client of the store.
type connection struct {
	goredis.UniversalClient

	// spoiled says that nonsense may wait to be read on some of the client's connections.
	spoiled atomic.Bool
}

// Open returns a store. If Redis does not answer at once, Open waits up to a second for it and then returns a
// store that is away.
func Open(c Config) *Store { return openAt(c, pace{probe: time.Second, ping: 2 * time.Second}) }

func openAt(c Config, p pace) *Store {
	s := &Store{
		Config: c, pace: p,
		server: newServer(), leases: make(map[usage.Lease][]held), ended: make(map[string][]string),
		wake: make(chan struct{}, 1), tried: make(chan struct{}),
	}
	s.closing, s.close = context.WithCancel(context.Background())
	s.tasks.Go(s.keep)
	select {
	case <-s.tried:
	case <-time.After(patience):
	}
	return s
}

// Up reports whether the store answered last.
func (s *Store) Up() bool { return s.conn.Load() != nil }

// Close ends all leases that are still held, and closes the connections.
func (s *Store) Close() error {
	s.close()
	s.tasks.Wait()
	s.releaseAll()
	if conn := s.conn.Load(); conn != nil {
		s.flush(conn)
	}
	s.conn.Store(nil)
	if s.latest == nil {
		return nil
	}
	return s.latest.Close()
}

// hash returns the name that a user, a team or another name has in the store.
func hash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// key returns the name of a key of that kind. What is in braces decides about the slot in a Cluster.
func (s *Store) key(kind, hashed string) string { return s.Prefix + kind + ":{" + hashed + "}" }

// command is a script and its arguments, or a command of Redis if script is nil.
type command struct {
	script *script
	keys   []string
	args   []any
}

// full returns the command as it is sent. text says to send a script's text instead of its hash.
func (c *command) full(text bool) []any {
	if c.script == nil {
		return c.args
	}
	full := make([]any, 0, 3+len(c.keys)+len(c.args))
	if text {
		full = append(full, "EVAL", c.script.text)
	} else {
		full = append(full, "EVALSHA", c.script.sha)
	}
	full = append(full, len(c.keys))
	for _, key := range c.keys {
		full = append(full, key)
	}
	return append(full, c.args...)
}

// operate runs commands that a request waits for. The request's end does not stop them: then nobody would
// know what they did.
func (s *Store) operate(ctx context.Context, commands ...command) ([]*goredis.Cmd, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conn := s.conn.Load()
	if conn == nil {
		return nil, s.away()
	}
	began := time.Now()
	results, err := s.run(context.WithoutCancel(ctx), conn, s.Timeout, commands)
	s.Observe(time.Since(began))
	return results, err
}

// run runs commands in one round trip. If one of them fails, the store is away.
func (s *Store) run(ctx context.Context, conn *connection, timeout time.Duration, commands []command) ([]*goredis.Cmd, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	results, failed, err := conn.run(ctx, commands)
	if err != nil {
		s.fail(conn, &commands[failed], err)
		return nil, away(err)
	}
	return results, nil
}

// run runs commands in one round trip, and in a second one if the server does not have a script yet. failed is
// the index of a command that failed.
func (c *connection) run(ctx context.Context, commands []command) (results []*goredis.Cmd, failed int, err error) {
	results = make([]*goredis.Cmd, len(commands))
	send := func(text bool, which func(i int) bool) {
		pipe := c.Pipeline()
		for i := range commands {
			if which(i) {
				results[i] = goredis.NewCmd(ctx, commands[i].full(text)...)
				_ = pipe.Process(ctx, once{results[i]}) // it only queues the command
			}
		}
		if pipe.Len() > 0 {
			_, _ = pipe.Exec(ctx) // each command has its own error
		}
	}
	send(false, func(int) bool { return true })
	send(true, func(i int) bool { return goredis.HasErrorPrefix(results[i].Err(), "NOSCRIPT") })
	for i, result := range results {
		if err := result.Err(); err != nil && err != goredis.Nil {
			return nil, i, err
		}
	}
	return results, 0, nil
}

var _ usage.Shared = (*Store)(nil)
