package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

const (
	// maxQueue limits what waits for a store that is away. The oldest of more is lost.
	maxQueue = 10_000

	// batch is the most commands that are sent at once in the background, and the most leases in one of them.
	batch = 100
)

// held is a lease in one scope.
type held struct {
	keys   []string
	member string // what identifies the lease in the store, and says what it has reserved
	limits *usage.Limits
}

// newServer returns a name that no other store has.
func newServer() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

func (s *Store) newLease() usage.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return usage.Lease(s.server + "-" + strconv.FormatUint(s.last, 36))
}

// leaseMember returns a lease as the scripts read it.
func leaseMember(lease usage.Lease, l *usage.Limits, prompt int64) string {
	member := string(lease)
	for _, w := range windows(l.Tokens) {
		if n := reservation(l, w, prompt); n > 0 {
			member += ";" + w.String() + "=" + number(n)
		}
	}
	return member
}

func (s *Store) hold(scope *usage.Scope, lease usage.Lease, prompt int64) held {
	return held{s.keys(scope.Name), leaseMember(lease, scope.Limits, prompt), scope.Limits}
}

// keepLease renews a lease until Settle is called.
func (s *Store) keepLease(lease usage.Lease, all []held) {
	if len(all) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[lease] = all
}

// Settle ends the lease of an admitted request and counts its tokens. If the store is away, they are counted
// when it is back.
func (s *Store) Settle(_ []usage.Scope, lease usage.Lease, tokens int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.leases[lease]
	delete(s.leases, lease)
	for i := range all {
		s.enqueue(all[i].settle(max(0, tokens)))
	}
}

// settle returns the command that ends the lease and counts tokens.
func (h *held) settle(tokens int64) command {
	args := []any{h.member, number(tokens), milliseconds(lifetime(h.limits)), "first"}
	return command{settleScript, h.keys, appendWindows(args, h.limits.Tokens)}
}

// again returns the command for another attempt, after one that may have succeeded. ok is false if another
// attempt could count something twice.
func (c command) again() (again command, ok bool) {
	if c.script != settleScript {
		return command{}, false
	}
	c.args = slices.Clone(c.args)
	c.args[3] = "again"
	return c, true
}

// undo takes back the admission of a request to a scope, because another scope refuses it. It corrects the
// answer too.
func (s *Store) undo(scope *usage.Scope, lease usage.Lease, prompt int64, a *admission) {
	args := appendWindows([]any{leaseMember(lease, scope.Limits, prompt), number(a.stamp)}, scope.Limits.Requests)
	s.mu.Lock()
	s.enqueue(command{undoScript, s.keys(scope.Name), args})
	s.mu.Unlock()
	for i := range scope.Limits.Requests {
		a.limits[i].used--
	}
	for i, r := range scope.Limits.Tokens {
		a.limits[len(scope.Limits.Requests)+i].reserved -= reservation(scope.Limits, r.Window, prompt)
	}
	if leased(scope.Limits) {
		a.inFlight--
	}
}

// enqueue sends a command in the background. The caller holds s.mu.
func (s *Store) enqueue(c command) {
	if len(s.queue) >= maxQueue {
		s.queue = slices.Delete(s.queue, 0, batch)
	}
	s.queue = append(s.queue, c)
	select {
	case s.wake <- struct{}{}:
	default: // it has been woken
	}
}

// flush sends the queue.
func (s *Store) flush(conn *connection) {
	for {
		s.mu.Lock()
		n := min(batch, len(s.queue))
		some := slices.Clone(s.queue[:n])
		s.queue = slices.Delete(s.queue, 0, n)
		s.mu.Unlock()
		if n == 0 {
			return
		}
		if !s.send(conn, some) {
			return
		}
	}
}

// send sends commands. If that fails, those that can be sent again go back to the queue.
func (s *Store) send(conn *connection, some []command) (ok bool) {
	if _, err := s.run(context.Background(), conn, patience, some); err == nil {
		return true
	}
	var again []command
	for _, c := range some {
		if c, ok := c.again(); ok {
			again = append(again, c)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(again, s.queue...)
	return false
}

// renew prolongs all leases.
func (s *Store) renew(conn *connection) {
	scopes := make(map[string]*command)
	s.mu.Lock()
	for _, all := range s.leases {
		for i := range all {
			c := scopes[all[i].keys[0]]
			if c == nil {
				c = &command{renewScript, all[i].keys, []any{milliseconds(leaseLength)}}
				scopes[all[i].keys[0]] = c
			}
			c.args = append(c.args, all[i].member)
		}
	}
	s.mu.Unlock()
	var commands []command
	for c := range maps.Values(scopes) {
		for members := range slices.Chunk(c.args[1:], batch) {
			commands = append(commands, command{renewScript, c.keys, append([]any{c.args[0]}, members...)})
		}
	}
	for some := range slices.Chunk(commands, batch) {
		if _, err := s.run(context.Background(), conn, patience, some); err != nil {
			return
		}
	}
}

// releaseAll ends all leases without counting tokens.
func (s *Store) releaseAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for lease, all := range s.leases {
		delete(s.leases, lease)
		for i := range all {
			s.enqueue(all[i].settle(0))
		}
	}
}
