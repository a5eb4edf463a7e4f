//go:build !linux

package bridge

import "syscall"

// dieWithParent: elsewhere ipykernel's own parent poller notices within a second.
func dieWithParent() *syscall.SysProcAttr { return nil }
