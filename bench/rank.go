package main

import (
	"math"
	"slices"
	"sort"
	"time"
)

// ranking compares two sets of durations by rank (Mann and Whitney): how
// probable it is that one of the first takes longer than one of the second,
// where 0.5 means that they cannot be told apart, with its 95 % interval
// (DeLong's variance, normal approximation).
type ranking struct{ auc, low, high float64 }

func rank(a, b []time.Duration) ranking {
	x, y := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	above, below := placements(x, y), placements(y, x)
	auc := mean(above)
	half := 1.96 * math.Sqrt(variance(above)/float64(len(x))+variance(below)/float64(len(y)))
	return ranking{auc, max(0, auc-half), min(1, auc+half)}
}

// placements gives for each value the part of the others that are smaller, and
// half of those that are equal. The others are sorted.
func placements(values, others []time.Duration) []float64 {
	list := make([]float64, len(values))
	for i, v := range values {
		less := sort.Search(len(others), func(j int) bool { return others[j] >= v })
		upTo := sort.Search(len(others), func(j int) bool { return others[j] > v })
		list[i] = float64(less+upTo) / 2 / float64(len(others))
	}
	return list
}

func mean(list []float64) float64 {
	total := 0.0
	for _, v := range list {
		total += v
	}
	return total / float64(len(list))
}

func variance(list []float64) float64 {
	m, total := mean(list), 0.0
	for _, v := range list {
		total += (v - m) * (v - m)
	}
	return total / float64(max(1, len(list)-1))
}

// differs reports whether the interval leaves 0.5 out.
func (r ranking) differs() bool { return r.low > 0.5 || r.high < 0.5 }

// toTell is how many samples of each kind make somebody right 95 times in a
// hundred about which is which (Noether): by the figure where it differs from
// 0.5, else by the end of its interval that is farthest from it, which is the
// least that it can take.
func (r ranking) toTell() (samples int, atLeast bool) {
	distance := math.Abs(r.auc - 0.5)
	if !r.differs() {
		distance, atLeast = max(r.high-0.5, 0.5-r.low), true
	}
	const bothErrors = 2 * 1.645
	return int(math.Ceil(bothErrors * bothErrors / (6 * distance * distance))), atLeast
}
