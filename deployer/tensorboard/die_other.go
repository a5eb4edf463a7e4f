//go:build !linux

package tensorboard

import "syscall"

// dieWithUs makes a child in a session of its own. Only Linux can tie its life to ours.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
