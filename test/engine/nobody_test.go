package engine_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// asNobody runs a program as the user nobody.
func asNobody(t *testing.T, dir, variable string, argv ...string) ([]byte, error) {
	t.Helper()
	c := exec.Command(argv[0], argv[1:]...)
	c.Dir = dir
	c.Env = append(os.Environ(), variable, "HOME="+dir, "TMPDIR="+dir)
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	return c.CombinedOutput()
}
