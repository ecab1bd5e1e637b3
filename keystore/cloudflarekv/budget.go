package cloudflarekv

import (
	"crypto/sha256"
	"sync"

	"golang.org/x/time/rate"
)

// What is taken of the calls that Cloudflare allows a token, 1,200 in five minutes, before it refuses
// all of them for five (https://developers.cloudflare.com/fundamentals/api/reference/limits/). The
// rest is for the operator's commands.
const (
	callsPerSecond = 3
	callsAtOnce    = 60
)

// budgets are those of the tokens, by their hashes. They are few, and are kept: what a token has
// spent does not come back because a configuration ends.
var budgets sync.Map

// Budget is how often the store may be asked: whoever asks on behalf of others takes one of it for
// each call. All stores of one API token share it. Get, List and Edit do not look at it.
func (s *Store) Budget() *rate.Limiter { return s.budget }

func budgetOf(token string) *rate.Limiter {
	limiter, _ := budgets.LoadOrStore(sha256.Sum256([]byte(token)), rate.NewLimiter(callsPerSecond, callsAtOnce))
	return limiter.(*rate.Limiter)
}
