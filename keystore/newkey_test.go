package keystore

import (
	"regexp"
	"testing"
	"time"
)

func TestKeysAreInBase62(t *testing.T) {
	form := regexp.MustCompile(`^cca_[0-9A-Za-z]{43}$`)
	seen := map[string]bool{}
	for range 1000 {
		key := NewKey()
		if !form.MatchString(key) || seen[key] {
			t.Fatalf("key %q", key)
		}
		seen[key] = true
	}
}

func TestEveryBitChangesTheKey(t *testing.T) {
	seen := map[string]int{keyOf([32]byte{}): -1}
	for bit := range 256 {
		var random [32]byte
		random[bit/8] = 1 << (bit % 8)
		key := keyOf(random)
		if other, twice := seen[key]; twice || len(key) != len(keyPrefix)+keyDigits {
			t.Fatalf("bit %d and %d make %q", bit, other, key)
		}
		seen[key] = bit
	}
	var most [32]byte
	for i := range most {
		most[i] = 0xff
	}
	if key := keyOf(most); len(key) != len(keyPrefix)+keyDigits {
		t.Errorf("the largest key is %q", key)
	}
}

func TestAHashLetsInItsKey(t *testing.T) {
	key := NewKey()
	k, err := ParseAPIKey([]byte(`{"apiKeyHash":"` + HashKey(key) + `","status":"Enabled"}`))
	if err != nil || !k.Check(key, time.Now()) || k.Check(key+"x", time.Now()) {
		t.Errorf("%+v, %v", k, err)
	}
}
