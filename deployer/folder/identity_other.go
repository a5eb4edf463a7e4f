//go:build !linux

package folder

import (
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/metaml/metaml/internal/process"
)

// BootID names this start of the machine.
var BootID = sync.OnceValue(func() string {
	at, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return ""
	}
	return strconv.FormatInt(at.Sec, 10)
})

// StartTime is when the process pid was started; 0 if there is none. Here only whether it lives is known.
func StartTime(pid int) int64 {
	if process.Signal(pid, 0) != nil {
		return 0
	}
	return 1
}

// IsProcess reports whether a process was started for the run. Here only whether it lives is known.
func (r Run) IsProcess(pid int) bool { return process.Signal(pid, 0) == nil }
