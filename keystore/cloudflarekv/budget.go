package cloudflarekv

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"golang.org/x/time/rate"
)

// callsPerSecond and callsAtOnce keep reads below Cloudflare's limit of 1,200 calls of one token in five
// minutes. Beyond that limit, Cloudflare refuses all calls of the token for five minutes
// (https://developers.cloudflare.com/fundamentals/api/reference/limits/). The operator's commands
// use what is left of the limit.
const (
	callsPerSecond = 3
	callsAtOnce    = 60
)

// budgets has the budget of each token, by the token's hash. Budgets are never removed: the calls
// of a token still count after a configuration has ended. There are few tokens.
var budgets sync.Map

// Budget limits how often the store may be called. A caller that acts for users takes one token of
// it for each call. All stores with the same API token share one budget. Get, List and Edit do not
// check it.
func (s *Store) Budget() *rate.Limiter { return s.budget }

// BudgetName returns the same name for all stores that share one budget, on whatever server. It does not give
// the API token away.
func (s *Store) BudgetName() string { return s.budgetName }

// budgetNameOf hashes the token once more, so that the name is not the hash of anything that is used elsewhere.
func budgetNameOf(token string) string {
	sum := sha256.Sum256([]byte("budget\x00" + token))
	return hex.EncodeToString(sum[:16])
}

func budgetOf(token string) *rate.Limiter {
	limiter, _ := budgets.LoadOrStore(sha256.Sum256([]byte(token)), rate.NewLimiter(callsPerSecond, callsAtOnce))
	return limiter.(*rate.Limiter)
}
