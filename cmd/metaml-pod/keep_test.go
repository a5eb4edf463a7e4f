package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/archive"
)

// saver trains for 10 epochs. It keeps each, and goes on from what was kept; attempt 1 is killed in the middle of one.
const saver = `
import json, os, time
import metaml

def fit(x):
    home = os.environ["HOME"]
    state = metaml.output() / "state.json"
    epoch, total = 0, 0
    if state.exists():
        epoch, total = json.loads(state.read_text())
    print("from", epoch, sorted(p.name for p in metaml.output().iterdir()), flush=True)
    while epoch < 10:
        epoch, total = epoch + 1, total + epoch
        state.write_text(json.dumps([epoch, total]))
        metaml.checkpoint()
        if epoch == 6 and metaml.attempt() == 1:
            (metaml.output() / "junk").write_text("half")
            state.write_text("half")
            open(home + "/half", "w").close()
            time.sleep(1000)
    (metaml.output() / "model.txt").write_text(f"{total}")
    return {"total": total}
`

// left is what a monitor has of a trial's files.
func (m *testMonitor) left(trial string, kind collect.Kind) map[string]string {
	m.t.Helper()
	request, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet,
		"http://"+m.address+"/v1/outputs/"+trial+"/"+string(kind), nil)
	if err != nil {
		m.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+monitorToken)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil
	}
	dir := m.t.TempDir()
	if err := archive.Read(m.t.Context(), answer.Body, dir); err != nil {
		m.t.Fatal(err)
	}
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		data, failed := os.ReadFile(filepath.Join(dir, e.Name()))
		files[e.Name()], err = string(data), errors.Join(err, failed)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return files
}

// Training goes on after its pod was killed with all that it had: from the last checkpoint, and from nothing else.
func TestTheNextPodGoesOnFromTheCheckpoint(t *testing.T) {
	t.Parallel()
	m := startMonitor(t)
	first := newContainer(t, saver, 1)
	first.monitored(m.address, monitorToken)
	cmd := first.start()
	first.waitForFile("half")
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if diff := cmp.Diff(map[string]string{"state.json": "[6, 15]"}, m.left("0", collect.Checkpoint)); diff != "" {
		t.Errorf("kept is (-want +got):\n%s", diff)
	}
	second := newContainer(t, saver, 1)
	second.monitored(m.address, monitorToken)
	second.environ = append(second.environ, "METAML_POD_FAILURES=1")
	code, message := second.wait(second.start())
	if code != 0 || message.Metrics["total"] != 45 {
		t.Errorf("exit code %d, %+v; standard error: %s", code, message, second.errs.String())
	}
	if out := second.out.String(); !strings.Contains(out, "from 6 ['state.json']\n") {
		t.Errorf("it printed %q", out)
	}
	want := map[string]string{"state.json": "[10, 45]", "model.txt": "45"}
	if diff := cmp.Diff(want, m.left("0", collect.Latest)); diff != "" {
		t.Errorf("left is (-want +got):\n%s", diff)
	}
}

// What does not fit is said where it is asked for, and the trial may go on.
func TestACheckpointThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	m := startMonitor(t)
	c := newContainer(t, `
import metaml

def fit(x):
    with open(metaml.output() / "large", "wb") as f:
        f.truncate(300 << 20)
    try:
        metaml.checkpoint()
    except OSError as error:
        print("refused:", error, flush=True)
    return {"score": 1}
`, 1)
	c.monitored(m.address, monitorToken)
	code, message := c.wait(c.start())
	if code != 0 || message.Metrics["score"] != 1 {
		t.Errorf("exit code %d, %+v", code, message)
	}
	if out := c.out.String(); !strings.Contains(out, "refused:") || !strings.Contains(out, "at most 256 MiB") {
		t.Errorf("it printed %q", out)
	}
	if log := c.errs.Bytes(); !bytes.Contains(log, []byte("what trial 0 left in metaml.output() is not kept")) {
		t.Errorf("its log is %s", log)
	}
}

// On a volume it is as on one machine: the files lie there as they are, those of the attempt before beside them.
func TestTheFilesOfATrialAreOnItsVolume(t *testing.T) {
	t.Parallel()
	volume := filepath.Join(t.TempDir(), "mine", "trials")
	first := newContainer(t, saver, 1)
	first.flags = append(first.flags, "--trials", volume)
	cmd := first.start()
	first.waitForFile("half")
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	second := newContainer(t, saver, 1)
	second.flags = append(second.flags, "--trials", volume)
	second.environ = append(second.environ, "METAML_POD_FAILURES=1")
	code, message := second.wait(second.start())
	if code != 0 || message.Metrics["total"] != 45 {
		t.Errorf("exit code %d, %+v; standard error: %s", code, message, second.errs.String())
	}
	got := map[string]string{}
	for _, name := range []string{"output/model.txt", "output/state.json", "attempt-1/output/junk"} {
		data, err := os.ReadFile(filepath.Join(volume, "00000", filepath.FromSlash(name)))
		if err != nil {
			t.Error(err)
		}
		got[name] = string(data)
	}
	want := map[string]string{
		"output/model.txt": "45", "output/state.json": "[10, 45]", "attempt-1/output/junk": "half",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("on the volume there is (-want +got):\n%s", diff)
	}
}
