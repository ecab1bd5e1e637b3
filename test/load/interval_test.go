package main

import "testing"

// It compares with the 95 % intervals that textbooks print.
func TestTheIntervalOfAMedianIsThatOfTextbooks(t *testing.T) {
	for n, want := range map[int][2]float64{1: {1, 1}, 5: {1, 5}, 6: {1, 6}, 8: {1, 8}, 9: {2, 8}, 15: {4, 12}, 20: {6, 15}, 25: {8, 18}, 50: {18, 33}} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(n - i)
		}
		if got := interval(values); got != (span{want[0], want[1]}) {
			t.Errorf("of %d: %v, want %v", n, got, want)
		}
	}
}

func TestAPercentileIsOneOfTheTimes(t *testing.T) {
	sorted := make([]int64, 201)
	for i := range sorted {
		sorted[i] = int64(i) * 1000
	}
	for percent, want := range map[float64]float64{0: 0, 50: 100, 99: 198, 100: 200} {
		if got := percentile(sorted, percent); got != want {
			t.Errorf("p%v: %v, want %v", percent, got, want)
		}
	}
	if got := percentile(nil, 50); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
