// Package usage counts what users use: the requests and tokens that limits are about, and the ledger of past
// use. It knows nothing of Caddy, of keys or of providers.
package usage
