package services

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// hashNiceness is how much nicer than the rest of the server a thread is that
// hashes (see nice(2)): it is left a quarter of a processor that others could
// use whole.
const hashNiceness = 5

// givingWay runs work on a thread of its own that gives way to all others, and
// returns when it is done.
func givingWay(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked, the thread ends with the goroutine: without privileges
		// it cannot be made less nice again.
		runtime.LockOSThread()
		if priority, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil { // 20 less the niceness
			_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 20-priority+hashNiceness) // it is a favour, and no need
		}
		work()
	}()
	<-done
}
