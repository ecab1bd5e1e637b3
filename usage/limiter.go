package usage

import "context"

// Limiter decides whether requests are admitted. Any number of goroutines may use it.
//
// If there is a Shared, it decides, and the local counters only count. So a server that loses the Shared goes
// on with what it saw itself.
type Limiter struct {
	local  *Counters
	shared Shared
}

// NewLimiter returns a limiter. shared is nil if this is the only server.
func NewLimiter(local *Counters, shared Shared) *Limiter { return &Limiter{local, shared} }

// Admission is a request that was admitted. The zero Admission is that of a refused request.
type Admission struct {
	limiter *Limiter
	ticket  Ticket
	lease   Lease
	leased  bool // whether the Shared admitted the request
}

// Admit admits a request to all scopes, or to none. prompt is how many tokens the request's prompt probably
// has. Admit appends the state of each limit to states: after the request was counted if it was admitted,
// otherwise as it is. If the Shared cannot be reached or ctx has ended, the local counters decide.
//
// Settle must be called for each admitted request. Until then, scopes and their limits must not be changed. The
// names in scopes must differ.
func (l *Limiter) Admit(ctx context.Context, scopes []Scope, prompt int64, states []State) (a Admission, admitted bool, all []State) {
	if l.shared == nil {
		return l.admitLocally(scopes, prompt, states)
	}
	lease, admitted, all, err := l.shared.Admit(ctx, scopes, prompt, states)
	if err != nil {
		return l.admitLocally(scopes, prompt, states)
	}
	if !admitted {
		return Admission{}, false, all
	}
	return Admission{l, l.local.count(scopes, prompt), lease, true}, true, all
}

func (l *Limiter) admitLocally(scopes []Scope, prompt int64, states []State) (a Admission, admitted bool, all []State) {
	t, admitted, all := l.local.Admit(scopes, prompt, states)
	if !admitted {
		return Admission{}, false, all
	}
	return Admission{limiter: l, ticket: t}, true, all
}

// Settle counts the tokens of a request that has ended. It does nothing for a refused request, and nothing when
// it is called again. It does not wait for the Shared.
func (a *Admission) Settle(tokens int64) {
	if a.limiter == nil {
		return
	}
	l := a.limiter
	a.limiter = nil
	l.local.Settle(a.ticket.scopes, a.ticket, tokens)
	if a.leased {
		l.shared.Settle(a.ticket.scopes, a.lease, tokens)
	}
}

// States appends the state of each limit to states, and counts nothing.
func (l *Limiter) States(ctx context.Context, scopes []Scope, states []State) []State {
	if l.shared != nil {
		if all, err := l.shared.States(ctx, scopes, states); err == nil {
			return all
		}
	}
	return l.local.States(scopes, states)
}
