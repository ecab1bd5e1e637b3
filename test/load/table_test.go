package main

import "testing"

// TestInterval holds the interval of a median against those that books print (for 95 %).
func TestInterval(t *testing.T) {
	for n, want := range map[int][2]float64{1: {1, 1}, 5: {1, 5}, 6: {1, 6}, 8: {1, 8}, 9: {2, 8}, 15: {4, 12}, 20: {6, 15}, 25: {8, 18}, 50: {18, 33}} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(n - i)
		}
		if low, high := interval(values); low != want[0] || high != want[1] {
			t.Errorf("of %d: %v to %v, want %v", n, low, high, want)
		}
	}
}

func TestMet(t *testing.T) {
	for name, test := range map[string]struct {
		row       row
		low, high float64
		want      string
	}{
		"all above what must be reached":     {row{}.atLeastOf(0.9), 0.9, 1.1, "yes"},
		"all below it":                       {row{}.atLeastOf(0.9), 0.7, 0.89, "no"},
		"on both sides of it":                {row{}.atLeastOf(0.9), 0.89, 0.9, "unclear"},
		"all below what may not be exceeded": {row{}.atMostOf(60), -5, 60, "yes"},
		"all above it":                       {row{}.atMostOf(60), 61, 70, "no"},
		"on both sides of what may not be":   {row{}.atMostOf(60), 50, 61, "unclear"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.row.met(test.low, test.high); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
