package models

import (
	"context"
	"errors"
	"testing"
)

func TestRead_WaitsItsTurnAndLeavesWithItsRequest(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		release := occupy(s)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 2)
		go func() { _, err := ListTasks(s.Read(ctx), TaskFilter{}, Page{Limit: 10}); left <- err }()
		go func() { _, err := CountTasks(s.Read(ctx), TaskFilter{}); left <- err }()
		cancel()
		for range 2 {
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("it left with %v", err)
			}
		}
		release()
		if _, err := CountTasks(s.Read(t.Context()), TaskFilter{}); err != nil {
			t.Error(err)
		}
	})
}

func TestRead_GivesItsTurnBackWhateverHappens(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		over, cancel := context.WithCancel(t.Context())
		cancel()
		for range 50 {
			_, _ = TaskByID(s.Read(t.Context()), TaskScope{}, 1) // not there
			_, _ = ListTasks(s.Read(over), TaskFilter{}, Page{Limit: 10})
			_, _ = scalar(s.Read(t.Context()), "no SQL")
			func() {
				defer func() { _ = recover() }()
				_ = each(s.Read(t.Context()), func(row) error { panic("a defect") }, "SELECT at FROM store_probe")
			}()
		}
		if n := busy(s); n != 0 {
			t.Errorf("%d turns are still taken", n)
		}
	})
}
