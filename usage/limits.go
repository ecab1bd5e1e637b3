package usage

import "time"

// Limits are what one user, or all users of a team together, may use. The zero value limits nothing.
type Limits struct {
	// Requests and Tokens are maximums within windows. All of them apply. Tokens are those of the prompt,
	// cached ones included, and of the answer.
	Requests, Tokens []Rate

	// Parallel is how many requests may be in flight at once. 0 means any number.
	Parallel int64
}

// Empty reports whether nothing is limited.
func (l *Limits) Empty() bool {
	return l == nil || len(l.Requests) == 0 && len(l.Tokens) == 0 && l.Parallel == 0
}

// Scope is a user or a team whose use is counted.
type Scope struct {
	// Name distinguishes the scope from all others: two scopes with the same name share their counters.
	Name string

	// Team is the team's name, or "" if the scope is a user.
	Team string

	// Limits must not be empty.
	Limits *Limits
}

// Kind is what a limit counts.
type Kind string

// The kinds of limits, as metrics and messages name them.
const (
	Requests Kind = "requests"
	Tokens   Kind = "tokens"
	Parallel Kind = "parallel"
)

// State says how much of one limit is used.
type State struct {
	Kind Kind

	// Rate is the limit. Its window is the zero Window if Kind is Parallel.
	Rate

	// Team is the team's name, or "" for a limit of the user's own.
	Team string

	// Used is what has been used and what requests in flight have reserved. It can be larger than Max.
	Used int64

	// Resets is when nothing will be used any more, if no further request comes. A window of the calendar
	// resets when it ends. A window that slides and in which nothing is used resets now. What is reserved counts
	// as if it was used now. Resets is the zero time if Kind is Parallel.
	Resets time.Time

	// Free is when Used will be below Max, if no further request comes. It is the zero time if Used is below Max
	// now, or if Kind is Parallel. Reservations of requests in flight count as if they stayed. But if the limit
	// is reached only because of them, Free is at most 10 seconds from now: these requests may soon end and use
	// fewer tokens than they reserved.
	Free time.Time
}

// Remaining returns how much of the limit is left, at least 0.
func (s *State) Remaining() int64 { return max(0, s.Max-s.Used) }

// Reached reports whether the limit refuses the next request.
func (s *State) Reached() bool { return s.Used >= s.Max }

// Reservation returns how many tokens a request whose prompt probably has that many reserves: at most a tenth
// of the limit, so that one long prompt does not block other requests.
func (r Rate) Reservation(prompt int64) int64 { return max(0, min(prompt, r.Max/10)) }
