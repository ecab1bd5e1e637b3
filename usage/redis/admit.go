package redis

import (
	"context"
	"slices"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// Admit admits a request to all scopes, or to none.
func (s *Store) Admit(ctx context.Context, scopes []usage.Scope, prompt int64, states []usage.State) (usage.Lease, bool, []usage.State, error) {
	lease := s.newLease()
	answers, err := s.admit(ctx, scopes, prompt, lease)
	if err != nil {
		return "", false, states, err
	}
	admitted := !slices.ContainsFunc(answers, func(a admission) bool { return !a.admitted })
	var leases []held
	for i := range answers {
		scope := &scopes[i] //nolint:gosec // there is an answer for each scope
		if admitted {
			if leased(scope.Limits) {
				leases = append(leases, s.hold(scope, lease, prompt))
			}
		} else if answers[i].admitted {
			s.undo(scope, lease, prompt, &answers[i])
		}
		states = answers[i].appendStates(states, scope)
	}
	if !admitted {
		return "", false, states, nil
	}
	s.keepLease(lease, leases)
	return lease, true, states, nil
}

// States appends the state of each limit, and counts nothing.
func (s *Store) States(ctx context.Context, scopes []usage.Scope, states []usage.State) ([]usage.State, error) {
	answers, err := s.admit(ctx, scopes, 0, "")
	if err != nil {
		return states, err
	}
	for i := range scopes {
		states = answers[i].appendStates(states, &scopes[i])
	}
	return states, nil
}

// admit runs the script that admits a request, for each scope. If lease is empty, nothing is counted.
func (s *Store) admit(ctx context.Context, scopes []usage.Scope, prompt int64, lease usage.Lease) ([]admission, error) {
	commands := make([]command, len(scopes))
	ended := make([]string, len(scopes))
	for i := range scopes {
		keys := s.keys(scopes[i].Name)
		if lease != "" {
			ended[i] = s.endedIn(keys)
		}
		commands[i] = command{admitScript, keys, admitArgs(&scopes[i], prompt, lease, ended[i])}
	}
	if len(commands) == 0 || ctx.Err() != nil {
		return nil, ctx.Err()
	}
	conn := s.conn.Load()
	if conn == nil {
		return nil, s.away()
	}
	answers := make([]admission, len(scopes))
	results, err := s.operate(ctx, commands...)
	for i := 0; err == nil && i < len(scopes); i++ {
		if err = answers[i].read(results[i], scopes[i].Limits); err != nil {
			s.fail(conn, &commands[i], err)
			err = away(err)
		}
	}
	switch {
	case lease == "":
	case err != nil:
		s.abandon(scopes, lease, prompt)
	default:
		for i := range commands {
			s.forgetEnded(commands[i].keys, ended[i])
		}
	}
	return answers, err
}

// keys returns the names of a scope's keys: its counters and its leases.
func (s *Store) keys(name string) []string {
	hashed := hash(name)
	return []string{s.key("use", hashed), s.key("leases", hashed)}
}

// admitArgs returns the arguments of the script. ended are leases that have ended here, but may still be in the
// store.
func admitArgs(scope *usage.Scope, prompt int64, lease usage.Lease, ended string) []any {
	l := scope.Limits
	args := make([]any, 0, 5+5*(len(l.Requests)+len(l.Tokens)))
	member, length := "", time.Duration(0)
	if lease != "" {
		member = leaseMember(lease, l, prompt)
	}
	if leased(l) {
		length = leaseLength
	}
	args = append(args, member, milliseconds(length), milliseconds(lifetime(l)), number(l.Parallel), ended)
	for _, r := range l.Requests {
		args = append(args, string(usage.Requests), r.Window.String(), milliseconds(r.Window.Sliding()), number(r.Max), "0")
	}
	for _, r := range l.Tokens {
		args = append(args, string(usage.Tokens), r.Window.String(), milliseconds(r.Window.Sliding()), number(r.Max), number(reservation(l, r.Window, prompt)))
	}
	return args
}

// leased reports whether requests in flight matter for limits.
func leased(l *usage.Limits) bool { return len(l.Tokens) > 0 || l.Parallel > 0 }

// reservation returns how many tokens a request reserves within a window: as many as the smallest limit for
// that window wants.
func reservation(l *usage.Limits, window usage.Window, prompt int64) int64 {
	least := prompt
	for _, r := range l.Tokens {
		if r.Window == window {
			least = min(least, r.Reservation(prompt))
		}
	}
	return least
}

// windows returns the windows of rates, each once.
func windows(rates []usage.Rate) []usage.Window {
	var all []usage.Window
	for _, r := range rates {
		if !slices.Contains(all, r.Window) {
			all = append(all, r.Window)
		}
	}
	return all
}

// appendWindows appends the arguments that scripts want of each window.
func appendWindows(args []any, rates []usage.Rate) []any {
	for _, w := range windows(rates) {
		args = append(args, w.String(), milliseconds(w.Sliding()))
	}
	return args
}

// lifetime returns how long a scope's keys must live after they were used.
func lifetime(l *usage.Limits) time.Duration {
	longest := 2 * leaseLength
	for _, rates := range [][]usage.Rate{l.Requests, l.Tokens} {
		for _, r := range rates {
			length := r.Window.Sliding()
			if length == 0 { // a day or a month, which begin now at the latest
				now := time.Now()
				length = r.Window.End(now).Sub(r.Window.Begin(now)) + 72*time.Hour
			}
			longest = max(longest, length+length/30+time.Minute)
		}
	}
	return longest
}

func milliseconds(d time.Duration) string { return number(d.Milliseconds()) }

func number(n int64) string { return strconv.FormatInt(n, 10) }

// admission is the answer of the script that admits a request to a scope.
type admission struct {
	admitted bool
	now      time.Time
	stamp    int64 // when the request was counted, in the store's milliseconds
	inFlight int64
	limits   []limit
}

// limit is what a script says of a limit. The times are the store's, in milliseconds.
type limit struct{ used, reserved, resets, free int64 }

func (a *admission) read(result *goredis.Cmd, l *usage.Limits) error {
	numbers, err := result.Int64Slice()
	if err != nil || len(numbers) != 4+4*(len(l.Requests)+len(l.Tokens)) || slices.Min(numbers) < 0 {
		return errNonsense
	}
	*a = admission{numbers[0] == 1, time.UnixMilli(numbers[1]), numbers[2], numbers[3], nil}
	for some := range slices.Chunk(numbers[4:], 4) {
		a.limits = append(a.limits, limit{some[0], some[1], some[2], some[3]})
	}
	if !a.admitted && !a.reached(l) {
		return errNonsense // nobody is refused without a reason
	}
	return nil
}

// reached reports whether a limit is reached.
func (a *admission) reached(l *usage.Limits) bool {
	if l.Parallel > 0 && a.inFlight >= l.Parallel {
		return true
	}
	for i, r := range slices.Concat(l.Requests, l.Tokens) {
		if a.limits[i].used+a.limits[i].reserved >= r.Max {
			return true
		}
	}
	return false
}

// inFlightGuess is how soon a request in flight may end and use fewer tokens than it reserved.
const inFlightGuess = 10 * time.Second

// appendStates appends the state of each limit of a scope.
func (a *admission) appendStates(states []usage.State, scope *usage.Scope) []usage.State {
	limits := a.limits
	for _, some := range []struct {
		kind  usage.Kind
		rates []usage.Rate
	}{{usage.Requests, scope.Limits.Requests}, {usage.Tokens, scope.Limits.Tokens}} {
		for i, r := range some.rates {
			state := usage.State{Kind: some.kind, Rate: r, Team: scope.Team}
			a.fill(&state, &limits[i])
			states = append(states, state)
		}
		limits = limits[len(some.rates):]
	}
	if p := scope.Limits.Parallel; p > 0 {
		states = append(states, usage.State{Kind: usage.Parallel, Rate: usage.Rate{Max: p}, Team: scope.Team, Used: a.inFlight})
	}
	return states
}

// fill sets what the state of a limit says of its use.
func (a *admission) fill(s *usage.State, l *limit) {
	s.Used = l.used + l.reserved
	free := time.UnixMilli(l.free)
	if s.Window.Sliding() == 0 {
		s.Resets = s.Window.End(a.now)
		free = s.Resets
	} else {
		s.Resets = time.UnixMilli(l.resets)
	}
	if !s.Reached() {
		return
	}
	s.Free = free
	if soon := a.now.Add(inFlightGuess); l.used < s.Max && soon.Before(free) {
		s.Free = soon
	}
}
