package tensorboard

import "syscall"

// dieWithUs makes a child in a session of its own that ends when we do, however that is.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
