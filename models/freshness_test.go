package models

import (
	"errors"
	"testing"
	"time"
)

// ms gives a moment in milliseconds.
func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestFreshness_GoesByThePositionThatThePrimaryHad(t *testing.T) {
	primary := func(position int64) progress { return progress{history: "one", position: position} }
	replica := func(position int64) progress {
		return progress{recovering: true, history: "one", position: position}
	}
	gone := progress{err: errors.New("no answer")}
	promoted := progress{history: "two", position: 900}
	other := progress{recovering: true, history: "two", position: 900}
	type look struct {
		at               time.Duration
		primary, replica progress
	}
	// want is a moment at which the replica is looked at by readers.
	type want struct {
		at              time.Duration
		strict, lenient bool
	}
	for name, test := range map[string]struct {
		looks []look
		want  []want
	}{
		"never judged": {nil, []want{{ms(0), false, false}}},
		"one that keeps up is taken for a second after it was asked": {
			[]look{{ms(100), primary(10), replica(10)}},
			[]want{{ms(100), true, true}, {ms(1100), true, true}, {ms(1101), false, false}},
		},
		"one that is idle with its primary is on time": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(5000), primary(10), replica(10)}},
			[]want{{ms(5900), true, true}},
		},
		"one that is a moment behind counts from what it has": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(250), primary(20), replica(10)}, {ms(500), primary(30), replica(21)}},
			[]want{{ms(1250), true, true}, {ms(1251), false, false}},
		},
		"one that stands still is left out, though it answers": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(500), primary(20), replica(10)}, {ms(1001), primary(30), replica(10)}},
			[]want{{ms(1001), false, false}},
		},
		"one that has caught up is taken again": {
			[]look{{ms(0), primary(10), replica(5)}, {ms(2000), primary(20), replica(20)}},
			[]want{{ms(2000), true, true}},
		},
		"more looks than are kept": {
			[]look{
				{ms(0), primary(1), replica(1)}, {ms(100), primary(2), replica(1)}, {ms(200), primary(3), replica(1)}, {ms(300), primary(4), replica(1)},
				{ms(400), primary(5), replica(1)}, {ms(500), primary(6), replica(1)}, {ms(600), primary(7), replica(1)}, {ms(700), primary(8), replica(1)},
				{ms(800), primary(9), replica(1)}, {ms(900), primary(10), replica(2)},
			},
			[]want{{ms(1000), true, true}, {ms(1101), false, false}},
		},
		"without an answer it is left out at once": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(250), primary(10), gone}}, []want{{ms(250), false, false}},
		},
		"one that was promoted is left out": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(250), primary(10), promoted}}, []want{{ms(250), false, false}},
		},
		"one of another history is left out, however far it is": {
			[]look{{ms(0), primary(10), other}}, []want{{ms(0), false, false}},
		},
		"while the primary is away a sound one goes on for those who take it": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(250), gone, replica(10)}, {ms(60_000), gone, replica(10)}},
			[]want{{ms(60_000), false, true}},
		},
		"while the primary is away one that was behind is not taken": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(1500), primary(20), replica(10)}, {ms(1750), gone, replica(10)}},
			[]want{{ms(1750), false, false}},
		},
		"while the primary is away one may go and come back": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(250), gone, gone}, {ms(2000), gone, replica(10)}},
			[]want{{ms(2000), false, true}},
		},
		"a primary that is one no more cannot tell": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(2000), replica(10), replica(10)}}, []want{{ms(2000), false, true}},
		},
		"after a failover one that follows the old history is left out": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(250), gone, replica(12)}, {ms(500), progress{history: "two", position: 11}, replica(12)}},
			[]want{{ms(500), false, false}},
		},
		"and taken when it follows the new one": {
			[]look{{ms(0), primary(10), replica(10)}, {ms(250), progress{history: "two", position: 900}, replica(10)}, {ms(500), progress{history: "two", position: 900}, other}},
			[]want{{ms(500), true, true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var f freshness
			f.leaveOut()
			for _, l := range test.looks {
				f.judge(l.at, l.primary, l.replica)
			}
			for _, w := range test.want {
				if strict, lenient := f.usable(w.at, false), f.usable(w.at, true); strict != w.strict || lenient != w.lenient {
					t.Errorf("at %s it is usable: %t, leniently %t; want %t, %t", w.at, strict, lenient, w.strict, w.lenient)
				}
			}
		})
	}
}

func TestReplicas_SomebodyHasTheSameOneAsLongAsItIsWell(t *testing.T) {
	names := []string{"postgres://a/dueto", "postgres://b/dueto", "postgres://c/dueto"}
	open := func(order ...int) *replicas {
		s := &replicas{began: time.Now()}
		for _, i := range order {
			r := &replica{name: names[i]}
			r.asOf.Store(int64(time.Hour))
			s.list = append(s.list, r)
		}
		return s
	}
	s, otherProcess := open(0, 1, 2), open(2, 0, 1)
	readers := map[string]int{}
	had := map[string]string{}
	for i := range 300 {
		who := "account " + string(rune('0'+i%10)) + string(rune('0'+i/10%10)) + string(rune('0'+i/100))
		r := s.pick(who, false)
		if other := otherProcess.pick(who, false); r.name != other.name {
			t.Fatalf("%s reads from %s in one process and from %s in another", who, r.name, other.name)
		}
		had[who] = r.name
		readers[r.name]++
	}
	for _, name := range names {
		if readers[name] < 50 {
			t.Errorf("%s has %d of 300 readers", name, readers[name])
		}
	}
	s.list[1].leaveOut()
	for who, name := range had {
		now := s.pick(who, false).name
		if now == names[1] || (name != names[1] && now != name) {
			t.Errorf("%s moved from %s to %s", who, name, now)
		}
	}
	for _, r := range s.list {
		r.leaveOut()
	}
	if s.pick("somebody", true) != nil {
		t.Error("one that is left out is taken")
	}
}
