package keystore

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strings"
)

// keyPrefix begins every key, so that secret scanners recognize it.
const keyPrefix = "cca_"

// keyDigits is the number of base-62 digits that 32 bytes need.
const keyDigits = 43

// NewKey makes a user's key: the prefix, followed by 32 random bytes as a number in base 62. A
// double click selects the whole key.
func NewKey() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // Read never returns an error: it ends the process instead
	return keyOf(random)
}

func keyOf(random [32]byte) string {
	digits := new(big.Int).SetBytes(random[:]).Text(62)
	return keyPrefix + strings.Repeat("0", keyDigits-len(digits)) + digits
}

// HashKey returns the apiKeyHash of key.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// KeyID identifies a key in logs. It is the beginning of the key's hash. The zero KeyID means no
// key.
type KeyID [4]byte

// IDOf returns the KeyID of key.
func IDOf(key string) KeyID {
	sum := sha256.Sum256([]byte(key))
	return KeyID(sum[:4])
}

// String returns the first 8 digits of the key's hash, which its record has too. For the zero KeyID
// it returns "".
func (id KeyID) String() string {
	if id == (KeyID{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

const hashPrefix = "sha256:"
