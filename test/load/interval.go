package main

import (
	"math"
	"slices"
)

// span is a range from low to high.
type span struct{ low, high float64 }

func (s span) show(each func(float64) string) string { return each(s.low) + " to " + each(s.high) }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// half returns the range of the middle half of values.
func half(values []float64) span {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return span{sorted[n/4], sorted[n-1-n/4]}
}

// interval returns a confidence interval of at least 95 % for the median. It leaves out the
// outermost values at both ends, as many as a fair coin that is tossed once for each value shows
// heads at most in 2.5 % of all cases. Fewer than six values are too few for 95 %. The interval
// then has all of them.
func interval(values []float64) span {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	out := 0
	p := math.Pow(0.5, float64(n)) // the probability of exactly out heads
	for rest := 0.025 - p; rest >= 0; rest -= p {
		p *= float64(n-out) / float64(out+1)
		out++
	}
	out = max(0, out-1)
	return span{sorted[out], sorted[n-1-out]}
}

// percentile returns a percentile of sorted times, which are in microseconds.
func percentile(sorted []int64, percent float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(percent/100*float64(len(sorted)-1))]) / 1e3
}
