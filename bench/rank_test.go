package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestRank_KnownCases(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b []time.Duration
		auc  float64
	}{
		"all longer":  {[]time.Duration{5, 4}, []time.Duration{3, 1, 2}, 1},
		"all shorter": {[]time.Duration{1, 2}, []time.Duration{3, 5, 4}, 0},
		"the same":    {[]time.Duration{2, 1, 3}, []time.Duration{3, 2, 1}, 0.5},
		"ties":        {[]time.Duration{2}, []time.Duration{1, 2, 3, 4}, 0.375},
	} {
		if got := rank(c.a, c.b); math.Abs(got.auc-c.auc) > 1e-9 {
			t.Errorf("%s: %+v, want %v", name, got, c.auc)
		}
	}
}

func TestRank_IntervalHoldsTheTruth(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	draw := func(shift float64) (list []time.Duration) {
		for range 200 {
			list = append(list, time.Duration(1e6*(10+random.NormFloat64()+shift)))
		}
		return list
	}
	const runs = 400
	for _, c := range []struct{ shift, truth float64 }{{0, 0.5}, {0.5, 0.6382}} { // the normal distribution at 0.5/√2
		held := 0
		for range runs {
			if r := rank(draw(c.shift), draw(0)); r.low <= c.truth && c.truth <= r.high {
				held++
			}
		}
		if held < runs*92/100 || held > runs*98/100 {
			t.Errorf("the intervals held %v %d times of %d", c.truth, held, runs)
		}
	}
}

func TestRank_SamplesToTell(t *testing.T) {
	t.Parallel()
	if n, atLeast := (ranking{0.6, 0.55, 0.65}).toTell(); n != 181 || atLeast {
		t.Errorf("got %d, %v", n, atLeast)
	}
	if n, atLeast := (ranking{0.51, 0.45, 0.57}).toTell(); n != 369 || !atLeast {
		t.Errorf("got %d, %v", n, atLeast)
	}
}
