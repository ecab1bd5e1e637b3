package main

import (
	"slices"
	"testing"
)

func TestAGoalIsMetOnlyInTheWholeInterval(t *testing.T) {
	for name, test := range map[string]struct {
		row       row
		low, high float64
		want      string
	}{
		"all above a lower limit":         {row{}.atLeastOf(0.9), 0.9, 1.1, "yes"},
		"all below a lower limit":         {row{}.atLeastOf(0.9), 0.7, 0.89, "no"},
		"on both sides of a lower limit":  {row{}.atLeastOf(0.9), 0.89, 0.9, "unclear"},
		"all below an upper limit":        {row{}.atMostOf(60), -5, 60, "yes"},
		"all above an upper limit":        {row{}.atMostOf(60), 61, 70, "no"},
		"on both sides of an upper limit": {row{}.atMostOf(60), 50, 61, "unclear"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.row.met(comparison{interval: span{test.low, test.high}, turns: 3}); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestTwoTurnsDecideNothing(t *testing.T) {
	if got := (row{}.atLeastOf(0.9)).met(comparison{interval: span{1, 1}, turns: 2}); got != "unclear" {
		t.Errorf("%s, want unclear", got)
	}
}

func TestEachRowComparesTurnByTurn(t *testing.T) {
	m := make(measures)
	for turn := range int64(6) {
		m.add("rate", "bare", 1000*float64(1+turn))
		m.add("rate", "ours", 960*float64(1+turn))
		m.add("late", "ours", float64(turn/5))
		m.wait("wait", "bare", []int64{0, 200_000 * turn, 1_000_000})
		m.wait("wait", "ours", []int64{0, 200_000*turn + 30_000, 1_000_000})
	}
	for name, test := range map[string]struct {
		row  row
		want []string
	}{
		"a ratio is that of each turn, not that of the medians": {
			ratio("rate", "rate", "ours", "bare", "").atLeastOf(0.95),
			[]string{"rate", "3500", "3360", "0.96", "0.96 to 0.96", "0.96 to 0.96", "≥ 0.95", "yes"},
		},
		"the difference of a percentile, turn by turn": {
			added("p50", "wait p50", "ours", "µs").atMostOf(20),
			[]string{"p50", "500 µs", "530 µs", "+30", "+30 to +30", "+30 to +30", "≤ +20", "no"},
		},
		"a figure without a base has a goal too": {
			alone("late", "late", "ours").atMostOf(0),
			[]string{"late", "", "0", "", "0 to 0", "0 to 1", "≤ 0", "unclear"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := m.cells(test.row); !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
