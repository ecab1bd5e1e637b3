package usage_test

import (
	"math"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

func TestEmptyLimits(t *testing.T) {
	rates := []usage.Rate{{Max: 1}}
	for _, test := range []struct {
		name   string
		limits *usage.Limits
		want   bool
	}{
		{"none", nil, true},
		{"zero", &usage.Limits{}, true},
		{"lists without an entry", &usage.Limits{Requests: []usage.Rate{}, Tokens: []usage.Rate{}}, true},
		{"requests", &usage.Limits{Requests: rates}, false},
		{"tokens", &usage.Limits{Tokens: rates}, false},
		{"parallel", &usage.Limits{Parallel: 1}, false},
	} {
		if got := test.limits.Empty(); got != test.want {
			t.Errorf("%s: Empty() is %v", test.name, got)
		}
	}
}

func TestALimitIsReachedWhenNothingRemains(t *testing.T) {
	for _, test := range []struct {
		used, remaining int64
		reached         bool
	}{{0, 10, false}, {9, 1, false}, {10, 0, true}, {11, 0, true}} {
		s := usage.State{Rate: usage.Rate{Max: 10}, Used: test.used}
		if s.Remaining() != test.remaining || s.Reached() != test.reached {
			t.Errorf("with %d of 10 used, %d remain and reached is %v", test.used, s.Remaining(), s.Reached())
		}
	}
}

func TestAReservationIsAtMostATenthOfTheLimit(t *testing.T) {
	for _, test := range []struct{ maximum, prompt, want int64 }{
		{1000, 0, 0},
		{1000, 99, 99},
		{1000, 100, 100},
		{1000, 101, 100},
		{1000, math.MaxInt64, 100},
		{1000, -5, 0},
		{9, 100, 0},
		{math.MaxInt64, 5, 5},
	} {
		if got := (usage.Rate{Max: test.maximum}).Reservation(test.prompt); got != test.want {
			t.Errorf("a prompt of %d reserves %d of %d, want %d", test.prompt, got, test.maximum, test.want)
		}
	}
}
