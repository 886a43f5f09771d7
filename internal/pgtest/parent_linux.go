package pgtest

import "syscall"

// dieWithParent has the kernel end a process whose parent was killed.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
