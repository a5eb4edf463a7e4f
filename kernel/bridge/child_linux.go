package bridge

import "syscall"

// dieWithParent: a kernel that is killed takes the wrapped one with it at once.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
