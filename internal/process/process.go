// Package process sends signals to processes by their numbers.
package process

import (
	"fmt"
	"syscall"
)

// Signal sends a signal to one process. It refuses the numbers that kill(2) takes for more than one: a 0 that was read
// from a file which was not there means the caller's own group, with all that started it.
func Signal(pid int, sig syscall.Signal) error {
	if pid <= 1 {
		return fmt.Errorf("send %v to process %d: no process of its own", sig, pid)
	}
	return syscall.Kill(pid, sig) //nolint:forbidigo // the number is one process's
}

// SignalGroup sends a signal to the processes of a group, which has the number of its first one.
func SignalGroup(leader int, sig syscall.Signal) error {
	if leader <= 1 {
		return fmt.Errorf("send %v to process group %d: no group of its own", sig, leader)
	}
	return syscall.Kill(-leader, sig) //nolint:forbidigo // the number is one group's
}
