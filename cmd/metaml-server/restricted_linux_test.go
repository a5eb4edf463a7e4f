package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/test/venv"
)

// restricted runs what follows as a container of the Pod Security Standard restricted does: as the first process of its
// pod, in a root file system that is read only but for the working directory, as a user without a name, without rights
// and a HOME.
const restricted = `
set -e
mount --make-rprivate /
mount --bind "$SCRATCH" "$SCRATCH"
mount --bind "$SCRATCH" /mnt
mount -o remount,bind,ro /
for path in /tmp /root /home /var; do
	if mountpoint -q $path; then mount -o remount,bind,ro $path; fi
done
cd "$SCRATCH"
unset HOME USER LOGNAME
exec setpriv --reuid "$ID" --regid "$ID" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
	sh -c 'exec "$@"' sh "$@"
`

// restrict gives the command as restricted runs it, for a user.
func (c *container) restrict(uid int, command ...string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "unshare", append([]string{
		"--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", restricted, "sh",
	}, command...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SCRATCH=" + c.dir, fmt.Sprint("ID=", uid)}
	return cmd
}

func TestAServerInARestrictedPod(t *testing.T) {
	t.Parallel()
	c := newContainer(t, `
import os, subprocess
def serve(x: int):
    subprocess.run(["sh", "-c", "sleep 0.2 &"], check=True)
    try:
        open("/opened", "w")
    except OSError as e:
        return [os.getuid(), os.environ.get("HOME"), e.strerror]
`)
	for dir := c.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	python := venv.Python(t)
	uid := 65532
	if c.restrict(uid, python, "-c", "").Run() != nil {
		uid = os.Getuid() // the interpreter of the tests is in somebody's home
	}
	if out, err := c.restrict(uid, python, "-c", "").CombinedOutput(); err != nil {
		t.Skipf("no such container can be had here: %v: %s", err, out)
	}
	for _, path := range []string{"run", "home"} {
		if err := os.Mkdir(c.path(path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	program := c.path("metaml-server")
	if err := exec.CommandContext(t.Context(), "cp", os.Args[0], program).Run(); err != nil {
		t.Fatal(err)
	}
	owner := fmt.Sprintf("%[1]d:%[1]d", uid)
	if err := exec.CommandContext(t.Context(), "chown", "-R", owner, c.dir).Run(); err != nil {
		t.Fatal(err)
	}
	cmd := c.restrict(uid, program, "--in", c.path("in"), "--dir", c.path("run"), "--message", c.path("message"),
		"--port", fmt.Sprint(c.port), "--linger", "0", "--python", python)
	cmd.Env = append(cmd.Env, "METAML_TEST_SERVER=1", "TMPDIR=/mnt") // short enough for sockets
	c.begin(cmd)
	c.awaitReady()
	want := fmt.Sprintf(`[%d,null,"Read-only file system"]`, uid)
	if status, body := c.post("1"); status != 200 || body != want {
		t.Errorf("%d, %s", status, body)
	}
	outer := children(t, cmd.Process.Pid)
	if len(outer) != 1 {
		t.Fatalf("unshare has %+v", outer)
	}
	c.await("nothing to be left of the orphan", func() bool {
		all := children(t, outer[0].pid)
		for _, child := range all {
			if child.state == "Z" {
				return false
			}
		}
		return len(all) == 2 // the loader and the front
	})
	if err := process.Signal(outer[0].pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := c.wait(); code != 0 {
		t.Errorf("exit code %d; %s", code, c.printed())
	}
	if out := c.errs.String(); strings.Contains(out, "metaml-server:") {
		t.Errorf("it complained: %s", out)
	}
}
