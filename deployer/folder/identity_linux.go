package folder

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
)

// BootID names this start of the machine.
var BootID = sync.OnceValue(func() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
})

// StartTime is when the process pid was started, in clock ticks since the machine's start; 0 if there is none. With the
// pid it names a process for as long as the machine runs.
func StartTime(pid int) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The command's name, in brackets, may hold anything; field 22 is the 20th after it.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return 0
	}
	ticks, _ := strconv.ParseInt(string(fields[19]), 10, 64)
	return ticks
}

// IsProcess reports whether a process was started for the run. After a restart of the machine or of its container the
// number may be another process's.
func (r Run) IsProcess(pid int) bool {
	if pid == 0 {
		return false
	}
	command, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && bytes.Contains(command, []byte("\x00"+string(r)+"\x00"))
}
