package caddyauth

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailedAttemptsAreForgottenWithTheirWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailedAttempts(2, time.Minute)
		a := netip.MustParsePrefix("192.0.2.1/32")
		f.add(a)
		if wait := f.wait(a); wait != 0 {
			t.Errorf("after one attempt the wait is %v", wait)
		}
		time.Sleep(10 * time.Second)
		f.add(a)
		if wait := f.wait(a); wait != 50*time.Second {
			t.Errorf("after two attempts the wait is %v, want what is left of the window", wait)
		}
		time.Sleep(50 * time.Second)
		if wait := f.wait(a); wait != 0 {
			t.Errorf("in the next window the wait is %v", wait)
		}
	})
}

func TestAFloodFromManyAddressesIsNotRemembered(t *testing.T) {
	f := newFailedAttempts(1, time.Hour)
	address := netip.MustParseAddr("10.0.0.0")
	for range maxAddresses + 1000 {
		f.add(netip.PrefixFrom(address, 32))
		address = address.Next()
	}
	if len(f.counts) != maxAddresses {
		t.Errorf("%d addresses are remembered, want %d", len(f.counts), maxAddresses)
	}
	if f.wait(netip.MustParsePrefix("10.0.0.7/32")) == 0 {
		t.Error("an address that was counted before the flood is forgotten")
	}
}
