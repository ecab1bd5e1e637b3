package main

import "testing"

func TestAMadeUpKeyMayOnlyBeRefused(t *testing.T) {
	for status, want := range map[int]bool{401: true, 429: true, 503: true, 200: false, 400: false, 403: false, 404: false, 500: false, 502: false} {
		if refusal(status) != want {
			t.Errorf("%d: %t", status, !want)
		}
	}
}

func TestAFloodMustStayWithinTheKeystoresBudget(t *testing.T) {
	for calls, want := range map[int]bool{0: false, 1: true, 90: true, 91: true, 92: false} {
		if err := (&bench{got: make(measures)}).noteCalls(calls, 10); (err == nil) != want {
			t.Errorf("%d calls in 10 s: %v", calls, err)
		}
	}
}
