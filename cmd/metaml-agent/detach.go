package main

import (
	"fmt"
	"os"
	"syscall"
)

// detach starts the monitor of the run in dir, in a session of its own and with our files. Since we end at once it is
// nobody's child: a front end that interrupts a kernel with all its descendants, as VS Code does, does not find it.
func detach(dir string, resume bool) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find metaml-agent: %w", err)
	}
	args := []string{binary, "monitor", "--dir", dir}
	if resume {
		args = append(args, "--resume")
	}
	process, err := os.StartProcess(binary, args, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start the run's monitor: %w", err)
	}
	return process.Release()
}
