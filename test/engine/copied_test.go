package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
)

// abandoned is a run whose only trial was cut off with its monitor.
func (b *bench) abandoned() string {
	b.t.Helper()
	name := b.submit(b.spec(1),
		"import time, os\ndef train():\n    first = not os.path.exists('up')\n    open('up', 'w').write('x')\n    if "+
			"first: time.sleep(600)\n    return 1\n", nil)
	b.waitForFile("up")
	f := b.Folder(name)
	if err := process.Signal(f.ReadMonitor().PID, syscall.SIGKILL); err != nil {
		b.t.Fatal(err)
	}
	b.waitFor("the monitor to be gone", func() bool { return !f.Monitored() })
	return name
}

// TestACopiedFolder says what a run folder is that was made elsewhere: it is shown, and nothing of it is
// executed until it is resumed.
func TestACopiedFolder(t *testing.T) {
	b := newBench(t)
	name := b.abandoned()
	elsewhere := *b
	elsewhere.Target = local.In(filepath.Join(t.TempDir(), "runs"), b.Agent)
	if err := os.CopyFS(string(elsewhere.Folder(name)), os.DirFS(string(b.Folder(name)))); err != nil {
		t.Fatal(err)
	}
	l := elsewhere.await(name)
	if l.Liveness != run.Copied || l.State.Phase != run.Failed || l.State.Reason != run.ReasonCopied ||
		!strings.Contains(l.State.Text, "metaml resume "+name) {
		t.Error(b.describe(l))
	}
	if err := elsewhere.Stop(t.Context(), name, nil, true); err == nil {
		t.Error("a run that nobody looks after was stopped")
	}
	if active, err := elsewhere.Active(t.Context(), l.Spec.Key); err != nil || active != nil {
		t.Errorf("a submission would attach to %v, %v", active, err)
	}
	if elsewhere.Folder(name).Monitored() {
		t.Error("a monitor was started by itself")
	}
	if err := os.Chmod(string(elsewhere.Folder(name)), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.Resume(t.Context(), name); err == nil ||
		!strings.Contains(err.Error(), "can be written by other users") {
		t.Errorf("resuming what anybody can change: %v", err)
	}
	if err := os.Chmod(string(elsewhere.Folder(name)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.Resume(t.Context(), name); err != nil {
		log, _ := os.ReadFile(elsewhere.Folder(name).MonitorLog())
		t.Fatalf("%v\nmonitor: %s", err, log)
	}
	if l = elsewhere.await(name); l.State.Phase != run.Succeeded || elsewhere.Folder(name).Own(&l.Spec) != "" {
		t.Error(b.describe(l))
	}
	if l = b.await(name); l.State.Phase != run.Succeeded {
		t.Errorf("the original: %s", b.describe(l))
	}
}

// TestARunUnderAnotherName is a copy as well, also among the runs of the same user.
func TestARunUnderAnotherName(t *testing.T) {
	b := newBench(t)
	name := b.abandoned()
	other := name + "1"
	if err := os.CopyFS(string(b.Folder(other)), os.DirFS(string(b.Folder(name)))); err != nil {
		t.Fatal(err)
	}
	spec, err := b.Folder(name).ReadSpec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Name = other
	if err := folder.ReplaceJSON(b.Folder(other).Spec(), spec); err != nil {
		t.Fatal(err)
	}
	if l := b.await(other); l.Liveness != run.Copied {
		t.Error(b.describe(l))
	}
	if l := b.await(name); l.State.Phase != run.Succeeded {
		t.Errorf("the original: %s", b.describe(l))
	}
}

// TestALinkIsNotWrittenThrough: in a folder that came from elsewhere, a file that MetaML writes may be a link to
// anything.
func TestALinkIsNotWrittenThrough(t *testing.T) {
	b := newBench(t)
	name := b.abandoned()
	target := filepath.Join(t.TempDir(), "target")
	if err := errors.Join(os.Remove(b.Folder(name).StopFile()),
		os.Symlink(target, b.Folder(name).StopFile())); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(t.Context(), name, nil, true); err == nil {
		t.Error("a stop was written through a link")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("the link's target was made")
	}
}
