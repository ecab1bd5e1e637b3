package caddyauth

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// The metrics of all handlers. Each configuration has a new registry, but the metrics live as long as the
// process: a reload keeps their values, and requests that it interrupts are still counted. No label can have
// a value that a client made up.
var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "requests_total",
		Help: "Requests by provider and outcome: ok, canceled, an error code of this server, or upstream_ and the kind of upstream error. The provider is none until it is known that this server offers it.",
	}, []string{"provider", "outcome"})

	keyLookupsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "key_lookups_total",
		Help: "Look-ups of users by result: fresh (from memory), refreshed (from memory, renewed in the background), loaded (from the keystore), stale (from memory, because the keystore cannot answer), absent, or error.",
	}, []string{"result"})

	keystoreRequestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "keystore_requests_total",
		Help: "Requests to keystores by operation, read or list, and outcome.",
	}, []string{"operation", "outcome"})

	keystoreRequestDuration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "keystore_request_duration_seconds",
		Help:    "How long requests to keystores take.",
		Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	})

	cacheEntries = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "cache_entries",
		Help: "Users in memory.",
	}, countEntries)

	ledgerPendingRows = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "ledger_pending_rows",
		Help: "Rows of the ledger that wait in memory because it cannot be written. It is 0 while the ledger works.",
	}, countPending)

	tokensTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "tokens_total",
		Help: "Tokens by kind: prompt, completion, and cached, which is part of prompt. The model is other if the provider's settings do not list it.",
	}, []string{"provider", "model", "kind"})

	limitedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "limited_total",
		Help: "Requests that a limit of the user or team refused, by what the limit counts: requests, tokens, or parallel requests.",
	}, []string{"kind"})

	timeToFirstByte = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "time_to_first_byte_seconds",
		Help:    "Time from a request to the first byte of its answer.",
		Buckets: []float64{.05, .1, .25, .5, .75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30, 60, 120}, // models think before they answer
	}, []string{"provider"})

	sharedStoreUp = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "shared_store_up",
		Help: "Whether the store that several servers share answers: 1, or 0 if this server counts by itself.",
	}, allSharedStoresUp)

	sharedStoreDuration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "continue_auth", Name: "shared_store_duration_seconds",
		Help:    "How long requests wait for the store that several servers share.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},
	})
)

// keyLookups are the counters of keyLookupsTotal by result.
var keyLookups = make(map[cache.Source]prometheus.Counter)

// Counters that can be created in advance start at zero, because rate() does not see the step from a missing
// counter to 1.
func init() {
	for _, result := range []cache.Source{cache.Fresh, cache.Refreshed, cache.Loaded, cache.Stale, cache.Absent, cache.Failed} {
		keyLookups[result] = keyLookupsTotal.WithLabelValues(string(result))
	}
	for _, outcome := range keystoreOutcomes {
		keystoreRequestsTotal.WithLabelValues("read", outcome.name)
		keystoreRequestsTotal.WithLabelValues("list", outcome.name)
	}
	for _, kind := range []usage.Kind{usage.Requests, usage.Tokens, usage.Parallel} {
		limitedTotal.WithLabelValues(string(kind))
	}
	for _, code := range []string{"keystore_unavailable", "invalid_api_key", "too_many_failed_attempts"} {
		requestsTotal.WithLabelValues("none", code)
	}
}

// keystoreOutcomes are the outcomes of requests to keystores. For an error, the first match counts.
var keystoreOutcomes = []struct {
	err  error
	name string
}{
	{nil, outcomeOK},
	{keystore.ErrUnauthorized, "unauthorized"},
	{keystore.ErrNamespaceNotFound, "namespace_not_found"},
	{keystore.ErrRateLimited, "rate_limited"},
	{keystore.ErrTimeout, "timeout"},
	{keystore.ErrUnavailable, "unavailable"},
}

// registerMetrics registers the metrics in the registry of a configuration.
func registerMetrics(registry *prometheus.Registry) error {
	return register(registry, requestsTotal, keyLookupsTotal, keystoreRequestsTotal, keystoreRequestDuration, cacheEntries, tokensTotal, timeToFirstByte,
		limitedTotal, ledgerPendingRows)
}

// register registers metrics. Another handler of the same configuration may have done so already.
func register(registry *prometheus.Registry, metrics ...prometheus.Collector) error {
	for _, metric := range metrics {
		if err := registry.Register(metric); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			return err
		}
	}
	return nil
}

// count adds the request to the metrics.
func (rec *record) count() {
	provider := rec.provider
	if provider == "" {
		provider = "none"
	}
	requestsTotal.WithLabelValues(provider, rec.outcome).Inc()
	if rec.firstByte > 0 {
		timeToFirstByte.WithLabelValues(provider).Observe(rec.firstByte.Seconds())
	}
	model := "other"
	if rec.listed {
		model = rec.model
	}
	for _, kind := range []struct {
		name  string
		count int64
	}{{"prompt", rec.usage.Prompt}, {"completion", rec.usage.Completion}, {"cached", rec.usage.Cached}} {
		if kind.count > 0 {
			tokensTotal.WithLabelValues(provider, model, kind.name).Add(float64(kind.count))
		}
	}
}

// countKeystoreRequest counts a request to a keystore.
func countKeystoreRequest(operation string, took time.Duration, err error) {
	outcome := "error"
	for _, known := range keystoreOutcomes {
		if errors.Is(err, known.err) {
			outcome = known.name
			break
		}
	}
	keystoreRequestsTotal.WithLabelValues(operation, outcome).Inc()
	keystoreRequestDuration.Observe(took.Seconds())
}

// countEntries counts the users in all caches.
func countEntries() float64 {
	count := 0
	caches.Range(func(_, value any) bool {
		count += value.(pooled).APIKeys.Len()
		return true
	})
	return float64(count)
}

// observeShared counts an operation of a shared store.
func observeShared(took time.Duration) { sharedStoreDuration.Observe(took.Seconds()) }

// allSharedStoresUp returns 1 if all shared stores answer, and else 0.
func allSharedStoresUp() float64 {
	up := 1.0
	sharedStores.Range(func(_, value any) bool {
		if !value.(sharedStore).Up() {
			up = 0
		}
		return true
	})
	return up
}
