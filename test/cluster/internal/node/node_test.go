//go:build linux

package node_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/test/cluster/internal/node"
	"github.com/metaml/metaml/test/cluster/internal/parts"
	"github.com/metaml/metaml/test/cluster/internal/sandbox"
)

// mark is an environment variable whose value only the processes of one cluster have.
const mark = "METAML_CLUSTER_TEST"

// source is the folder test/cluster.
const source = "../.."

// TestMain is also the process that runs a cluster for a test, which can be killed.
func TestMain(m *testing.M) {
	if code, done := sandbox.Stage(node.Inside); done {
		os.Exit(code)
	}
	if os.Getenv(mark) == "" {
		os.Exit(m.Run())
	}
	ctx := context.Background()
	code := 1
	made, err := parts.Make(ctx, source, node.Unpack, os.Stderr)
	if err == nil {
		made.Cache = os.Getenv("RUNS")
		code, err = node.Run(ctx, made, 0, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// usable skips a test where no cluster can run, and fails it under CI.
func usable(t *testing.T) {
	t.Helper()
	list, err := os.ReadFile(filepath.Join(source, "packages.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := parts.Usable(parts.Packages(string(list))); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// running is a cluster in a process of its own that runs a shell script.
type running struct {
	command *exec.Cmd
	token   string
	// cache is where the cluster keeps its folder, and nobody else's.
	cache string
}

// runCluster starts a cluster in which a pod runs when it returns, and what then says goes on in a shell.
func runCluster(t *testing.T, then string) running {
	t.Helper()
	usable(t)
	all, err := parts.CacheFolder()
	if err != nil {
		t.Fatal(err)
	}
	// On the same disk as the parts, which are linked to.
	cache, err := os.MkdirTemp(all, "test-") //nolint:usetesting // t.TempDir may be on another disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(cache) })
	ready := filepath.Join(cache, "ready")
	token := filepath.Base(cache)
	command := exec.CommandContext(t.Context(), os.Args[0], "sh", "-c", podThenReady+then)
	command.Env = append(os.Environ(), mark+"="+token, "READY="+ready, "RUNS="+cache)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A pipe would be waited for until the last process has closed it, and this is about which that are.
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	cluster := running{command, token, cache}
	for until := time.Now().Add(startLimit); ; <-time.After(50 * time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			return cluster
		}
		if time.Now().After(until) {
			t.Fatalf("no pod runs after %s: %q", startLimit, cluster.there(t))
		}
	}
}

// The parts may have to be made first.
const startLimit = 25 * time.Minute

// there is everything on this machine that belongs to the cluster, outside of its own namespaces.
func (r running) there(t *testing.T) []string {
	t.Helper()
	var all []string
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		// A process that nobody has waited for yet has no environment.
		environment, err := os.ReadFile(filepath.Join(process, "environ"))
		if err == nil && strings.Contains(string(environment), mark+"="+r.token) {
			line, _ := os.ReadFile(filepath.Join(process, "cmdline"))
			all = append(all, "process "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, r.cache) {
			all = append(all, "mount "+line)
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range interfaces {
		if one.Name == "node0" {
			all = append(all, "interface "+one.Name)
		}
	}
	for _, pattern := range []string{
		filepath.Join(r.cache, "run-*"), "/var/log/pods/*" + r.token + "*", "/var/log/containers/*" + r.token + "*",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// groups are the control groups of the cluster, while it runs.
func (r running) groups(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(r.cache, "run-*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("the cluster has the folders %q (%v), want one", folders, err)
	}
	found := sandbox.Groups(sandbox.Group(folders[0]))
	if len(found) == 0 {
		t.Fatal("the cluster has no control group")
	}
	return found
}

// left is what there is of the cluster and of the control groups that it had.
func (r running) left(t *testing.T, groups []string) []string {
	t.Helper()
	all := r.there(t)
	for _, group := range groups {
		if _, err := os.Stat(group); err == nil {
			all = append(all, group)
		}
	}
	return all
}

// podThenReady starts a pod with the token in its name, and makes a file when it runs.
const podThenReady = `pod=$METAML_CLUSTER_TEST; mkfifo "$READY.pipe"
kubectl run "$pod" --image=localhost:5000/python:3.11-bare --restart=Never -- sleep 1000 >/dev/null &&
kubectl wait --for=condition=Ready "pod/$pod" --timeout=60s >/dev/null && touch "$READY"
`

func TestEndedClusterLeavesNothing(t *testing.T) {
	cluster := runCluster(t, `read go <"$READY.pipe"; exit 7`)
	groups := cluster.groups(t)
	if len(cluster.there(t)) < 15 {
		t.Errorf("of a cluster that runs there are only %q", cluster.there(t))
	}
	if err := os.WriteFile(filepath.Join(cluster.cache, "ready.pipe"), []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := cluster.command.Wait()
	if code := cluster.command.ProcessState.ExitCode(); code != 7 {
		t.Errorf("the exit code is %d (%v), want the command's, 7", code, err)
	}
	// At once, since whoever waits for the command may look, too.
	if left := cluster.left(t, groups); len(left) > 0 {
		t.Errorf("these are left: %q", left)
	}
}

func TestKilledClusterLeavesNothing(t *testing.T) {
	for _, one := range []struct {
		name   string
		signal syscall.Signal
		group  bool
	}{
		{"its process is killed", syscall.SIGKILL, false},
		{"its process group is killed", syscall.SIGKILL, true},
		{"it gets SIGTERM", syscall.SIGTERM, false},
	} {
		t.Run(one.name, func(t *testing.T) {
			cluster := runCluster(t, "exec sleep 1000")
			groups := cluster.groups(t)
			send := process.Signal
			if one.group {
				send = process.SignalGroup
			}
			if err := send(cluster.command.Process.Pid, one.signal); err != nil {
				t.Fatal(err)
			}
			if err := cluster.command.Wait(); err == nil {
				t.Error("the cluster ended as if its command had succeeded")
			}
			var left []string
			until := time.Now().Add(30 * time.Second)
			for ; time.Now().Before(until); <-time.After(50 * time.Millisecond) {
				if left = cluster.left(t, groups); len(left) == 0 {
					return
				}
			}
			t.Errorf("these are left: %q", left)
		})
	}
}

func TestWhatAKilledJanitorLeftIsRemovedByTheNext(t *testing.T) {
	usable(t)
	cache := t.TempDir()
	left := filepath.Join(cache, "run-1234")
	if err := os.MkdirAll(filepath.Join(left, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	group := sandbox.Group(left)
	if err := sandbox.MakeGroups(group); err != nil {
		t.Fatal(err)
	}
	for _, folder := range sandbox.Groups(group) {
		if err := os.Mkdir(filepath.Join(folder, "kubepods"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The parts are not there, so the start itself fails.
	if code, err := node.Run(t.Context(), parts.Parts{Cache: cache, Unpacked: cache + "/none"}, 0, nil); code == 0 {
		t.Errorf("a cluster without parts started (%v)", err)
	}
	if folders, err := filepath.Glob(filepath.Join(cache, "run-*")); len(folders) > 0 {
		t.Errorf("these folders are left: %v (%v)", folders, err)
	}
	if groups := sandbox.Groups(group); len(groups) > 0 {
		t.Errorf("these control groups are left: %v", groups)
	}
}
