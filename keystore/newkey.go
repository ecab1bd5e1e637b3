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

// KeyID is what a key goes by in logs: the beginning of its hash. The zero KeyID is of no key.
type KeyID [4]byte

// IDOf returns the KeyID of key.
func IDOf(key string) KeyID {
	sum := sha256.Sum256([]byte(key))
	return KeyID(sum[:4])
}

// String returns the first 8 digits of the key's hash, as they stand in its record; "" for the zero
// KeyID.
func (id KeyID) String() string {
	if id == (KeyID{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

const hashPrefix = "sha256:"
