package services

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func niceness(t *testing.T) int {
	t.Helper()
	priority, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Error(err)
	}
	return 20 - priority
}

func TestGivingWay_OnlyItsOwnThreadIsNicer(t *testing.T) {
	runtime.LockOSThread() // so that it is the same thread before and after
	defer runtime.UnlockOSThread()
	before := niceness(t)
	for range 3 { // a thread that was left over would be nicer still
		within := before
		givingWay(func() { within = niceness(t) })
		if want := min(19, before+hashNiceness); within != want {
			t.Errorf("niceness %d within, want %d", within, want)
		}
	}
	if after := niceness(t); after != before {
		t.Errorf("niceness %d afterwards, %d before", after, before)
	}
}
