package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

const (
	// maxQueue limits what waits for a store that is away. The oldest of more is lost.
	maxQueue = 10_000

	// batch is the most commands that are sent at once in the background, and the most leases in one of them.
	batch = 100

	// maxEnded limits how many leases that have ended a request releases in each of its scopes.
	maxEnded = 16
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
		s.end(&all[i], min(max(0, tokens), maxTokens))
	}
}

// maxTokens is the most that one request can count, as in the local counters. No answer has as many tokens.
const maxTokens = math.MaxUint32

// end ends a lease in one scope. The caller holds s.mu.
func (s *Store) end(h *held, tokens int64) {
	s.enqueue(h.settle(tokens))
	s.rememberEnded(h.keys, h.member)
}

// rememberEnded remembers a lease until the store knows that it has ended. The caller holds s.mu.
func (s *Store) rememberEnded(keys []string, member string) {
	if known := s.ended[keys[0]]; len(known) < maxEnded {
		s.ended[keys[0]] = append(known, member)
	}
}

// endedIn returns the leases of a scope that have ended here, but may still be in the store. The next request
// releases them. So a client can send it at once, although Settle does not wait. Their tokens are counted in the
// background all the same.
func (s *Store) endedIn(keys []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.ended[keys[0]], " ")
}

// forgetEnded forgets leases that are no longer in the store. They are in the form of endedIn.
func (s *Store) forgetEnded(keys []string, members string) {
	if members == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for member := range strings.FieldsSeq(members) {
		s.forgetMember(keys, member)
	}
}

// forgetMember forgets a lease that has ended. The caller holds s.mu.
func (s *Store) forgetMember(keys []string, member string) {
	left := slices.DeleteFunc(s.ended[keys[0]], func(one string) bool { return one == member })
	if len(left) == 0 {
		delete(s.ended, keys[0])
	} else {
		s.ended[keys[0]] = left
	}
}

// forgetSent forgets the leases that commands have ended. The caller holds s.mu.
func (s *Store) forgetSent(commands []command) {
	for _, c := range commands {
		if c.script == settleScript || c.script == undoScript {
			s.forgetMember(c.keys, c.args[0].(string))
		}
	}
}

// abandon releases the leases of a request of which nobody knows whether the store has admitted it.
func (s *Store) abandon(scopes []usage.Scope, lease usage.Lease, prompt int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range scopes {
		if leased(scopes[i].Limits) {
			h := s.hold(&scopes[i], lease, prompt)
			s.end(&h, 0)
		}
	}
}

// settle returns the command that ends the lease and counts tokens.
func (h *held) settle(tokens int64) command {
	args := []any{h.member, number(tokens), milliseconds(lifetime(h.limits)), "first"}
	return command{settleScript, h.keys, appendWindows(args, h.limits.Tokens)}
}

// again returns the command for another attempt, after one that may have succeeded. ok is false if another
// attempt could count something twice. Of what undo takes back, only the lease can be released again.
func (c command) again() (again command, ok bool) {
	switch c.script {
	case settleScript:
	case undoScript:
		return command{settleScript, c.keys, []any{c.args[0], "0", "0", "again"}}, true
	default:
		return command{}, false
	}
	c.args = slices.Clone(c.args)
	c.args[3] = "again"
	return c, true
}

// undo takes back the admission of a request to a scope, because another scope refuses it. It corrects the
// answer too.
func (s *Store) undo(scope *usage.Scope, lease usage.Lease, prompt int64, a *admission) {
	h := s.hold(scope, lease, prompt)
	args := appendWindows([]any{h.member, number(a.stamp)}, scope.Limits.Requests)
	s.mu.Lock()
	s.enqueue(command{undoScript, h.keys, args})
	if leased(scope.Limits) {
		s.rememberEnded(h.keys, h.member)
	}
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
		s.forgetSent(s.queue[:batch])
		s.queue = slices.Delete(s.queue, 0, batch)
	}
	s.queue = append(s.queue, c)
	s.wakeUp()
}

// wakeUp makes keep send the queue.
func (s *Store) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // it has been woken
	}
}

// flush sends the queue. If ever more comes, it goes on later, so that leases are renewed in time.
func (s *Store) flush(conn *connection) {
	for range maxQueue / batch {
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
	s.wakeUp()
}

// send sends commands. If that fails, those that can be sent again go back to the queue.
func (s *Store) send(conn *connection, some []command) (ok bool) {
	_, err := s.run(context.Background(), conn, patience, some)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.forgetSent(some)
		return true
	}
	var again []command
	for _, c := range some {
		if c, ok := c.again(); ok {
			again = append(again, c)
		}
	}
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
			s.end(&all[i], 0)
		}
	}
}
