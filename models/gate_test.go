package models

import (
	"context"
	"errors"
	"testing"
)

func TestRead_WaitsItsTurnAndLeavesWithItsRequest(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
	idle := s.engine.(*sqliteEngine).direct.idle
	taken := make([]queryer, cap(idle))
	for i := range taken {
		taken[i] = <-idle
	}
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
	for _, conn := range taken {
		idle <- conn
	}
	if _, err := CountTasks(s.Read(t.Context()), TaskFilter{}); err != nil {
		t.Error(err)
	}
}

func TestRead_GivesItsTurnBackWhateverHappens(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
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
	if idle := s.engine.(*sqliteEngine).direct.idle; len(idle) != cap(idle) {
		t.Errorf("%d of %d connections are back", len(idle), cap(idle))
	}
}
