package board

import "syscall"

// dieWithUs makes a child in a session of its own that ends when its monitor does, however that ends.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
