package main

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestInterval holds the interval of a median against those that books print (for 95 %).
func TestInterval(t *testing.T) {
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

func TestAPercentileCountsEachTurnByItsWeight(t *testing.T) {
	all := ranked([][]int64{{1000, 2000, 3000}, {10_000, 20_000}})
	for _, test := range []struct {
		weights []int
		percent float64
		want    float64
	}{
		{[]int{1, 1}, 50, 3}, {[]int{1, 1}, 100, 20}, {[]int{1, 0}, 100, 3}, {[]int{0, 2}, 50, 10}, {[]int{2, 0}, 0, 1},
	} {
		if got := weighted(all, test.percent, test.weights); got != test.want {
			t.Errorf("p%v at weights %v: %v, want %v", test.percent, test.weights, got, test.want)
		}
	}
}

// TestBootstrapHoldsWhatItPromises draws from a machine that is slower in some turns, with a difference
// that is known.
func TestBootstrapHoldsWhatItPromises(t *testing.T) {
	const added = 50_000
	random := rand.New(rand.NewPCG(3, 4))
	turn := func(slow float64, more int64) []int64 {
		times := make([]int64, 20)
		for i := range times {
			times[i] = 200_000 + int64(100_000*slow*random.ExpFloat64()) + more
		}
		slices.Sort(times)
		return times
	}
	const tries = 200
	held := map[float64]int{}
	for range tries {
		var base, ours [][]int64
		for range 50 {
			slow := 1 + random.ExpFloat64()/2
			base, ours = append(base, turn(slow, 0)), append(ours, turn(slow, added))
		}
		for _, percent := range []float64{50, 99} {
			if got := bootstrap(base, ours, percent); got.low <= added/1e3 && added/1e3 <= got.high {
				held[percent]++
			}
		}
	}
	for _, percent := range []float64{50, 99} {
		if held[percent] < tries*92/100 || held[percent] == tries {
			t.Errorf("p%v: the difference is in %d of %d intervals", percent, held[percent], tries)
		}
	}
}
