package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// span is from low to high.
type span struct{ low, high float64 }

func (s span) show(each func(float64) string) string { return each(s.low) + " to " + each(s.high) }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// half is where the middle half of the values lies.
func half(values []float64) span {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return span{sorted[n/4], sorted[n-1-n/4]}
}

// interval is where the median of what was sampled lies, at 95 % or more: a coin that is tossed once for
// each value shows no more heads than values are left out at an end in 2.5 % of all cases at the most.
// Less than six values do not suffice for that: it is then where all of them lie.
func interval(values []float64) span {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	out := 0
	p := math.Pow(0.5, float64(n)) // of exactly out heads
	for rest := 0.025 - p; rest >= 0; rest -= p {
		p *= float64(n-out) / float64(out+1)
		out++
	}
	out = max(0, out-1)
	return span{sorted[out], sorted[n-1-out]}
}

// percentile is of sorted times, in microseconds.
func percentile(sorted []int64, percent float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(percent/100*float64(len(sorted)-1))]) / 1e3
}

// pooled are the times of all turns in order of size.
func pooled(turns [][]int64) []int64 {
	all := slices.Concat(turns...)
	slices.Sort(all)
	return all
}

// resamples is how often turns are drawn.
const resamples = 1000

// bootstrap is where the difference between a percentile of ours and that of the base lies, at 95 %: as
// many turns as there were are drawn from them at random, each with both its sides, and so over and over.
// Of the differences that this makes, 2.5 % are left out at each end. Whole turns are drawn because the
// requests of one meet the same disturbances.
func bootstrap(base, ours [][]int64, percent float64) span {
	b, o := ranked(base), ranked(ours)
	random := rand.New(rand.NewPCG(1, 2)) // the same times make the same table
	differences := make([]float64, resamples)
	for i := range differences {
		weights := make([]int, len(base))
		for range base {
			weights[random.IntN(len(weights))]++
		}
		differences[i] = weighted(o, percent, weights) - weighted(b, percent, weights)
	}
	slices.Sort(differences)
	out := resamples * 25 / 1000
	return span{differences[out], differences[resamples-1-out]}
}

// taken is a time and the turn that it was taken in.
type taken struct {
	time int64
	turn int
}

// ranked are the times of all turns in order of size.
func ranked(turns [][]int64) []taken {
	var all []taken
	for turn, times := range turns {
		for _, time := range times {
			all = append(all, taken{time, turn})
		}
	}
	slices.SortFunc(all, func(a, b taken) int { return cmp.Compare(a.time, b.time) })
	return all
}

// weighted is the percentile of all times if each turn had been there as often as its weight says.
func weighted(all []taken, percent float64, weights []int) float64 {
	total := 0
	for _, t := range all {
		total += weights[t.turn]
	}
	below := int(percent / 100 * float64(total-1))
	for _, t := range all {
		if below -= weights[t.turn]; below < 0 {
			return float64(t.time) / 1e3
		}
	}
	return 0
}
