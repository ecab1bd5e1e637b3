package keystore

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strings"
)

// keyPrefix is what secret scanners know our keys by.
const keyPrefix = "cca_"

// keyDigits is how many digits of base 62 hold 32 bytes.
const keyDigits = 43

// NewKey makes a user's key: the prefix, and 32 random bytes as a number in base 62, whose digits a
// double click selects whole.
func NewKey() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process first
	return keyOf(random)
}

func keyOf(random [32]byte) string {
	digits := new(big.Int).SetBytes(random[:]).Text(62)
	return keyPrefix + strings.Repeat("0", keyDigits-len(digits)) + digits
}

// HashKey returns what a record holds as apiKeyHash for key.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(sum[:])
}

const hashPrefix = "sha256:"
