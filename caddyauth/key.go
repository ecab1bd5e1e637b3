package caddyauth

import (
	"crypto/rand"
	"encoding/base64"
)

// keyPrefix is what secret scanners know our keys by.
const keyPrefix = "cca_"

// newKey makes a user's key: the prefix and 32 random bytes in 43 characters.
func newKey() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process first
	return keyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
}
