package notify

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// ended is a run that was made here and has ended, with a name that a shell must not read.
func ended(t *testing.T, command string) (*run.Spec, folder.Run, *run.State) {
	t.Helper()
	in := folder.Run(filepath.Join(t.TempDir(), "train-1"))
	if err := os.Mkdir(string(in), 0o700); err != nil {
		t.Fatal(err)
	}
	spec := &run.Spec{
		ID: folder.NewID(), Name: "train-1", Source: "$(touch oops).ipynb", Cwd: t.TempDir(),
		Created: time.Now().Add(-3 * time.Second), Completions: 2, Notify: command,
	}
	if err := in.Claim(spec.ID, string(in)); err != nil {
		t.Fatal(err)
	}
	state := run.NewState(*spec)
	state.Phase, state.Ended = run.Succeeded, time.Now()
	t0 := &state.Trials[0]
	t0.Phase, t0.Metrics, t0.Returned = run.Succeeded, run.Metrics{"loss": 0.25}, []string{"loss"}
	state.Trials[1].Phase = run.Failed
	return spec, in, state
}

func TestTheCommandIsToldByEnvironmentAndInput(t *testing.T) {
	spec, in, state := ended(t, `cat > input.json; echo "$METAML_RUN is $METAML_STATE: $METAML_SUMMARY" > line`)
	if n := Run(t.Context(), spec, in, state, time.Minute); n != nil {
		t.Fatal(n.Text)
	}
	line, _ := os.ReadFile(filepath.Join(spec.Cwd, "line"))
	if !strings.HasPrefix(string(line), "train-1 is succeeded: train-1   2 trials, 1 failed   succeeded in ") {
		t.Errorf("%q", line)
	}
	data, _ := os.ReadFile(filepath.Join(spec.Cwd, "input.json"))
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	if m.Name != "train-1" || m.State != run.Succeeded || m.Failed != 1 || m.Source != spec.Source || m.Best == nil ||
		m.Best.Metrics["loss"] != 0.25 {
		t.Errorf("%s", data)
	}
	if _, err := os.Stat(filepath.Join(spec.Cwd, "oops")); err == nil {
		t.Error("a shell has read the source's name")
	}
}

func TestACommandThatFailsCostsANote(t *testing.T) {
	spec, in, state := ended(t, "echo first; echo no such host >&2; exit 7")
	if n := Run(t.Context(), spec, in, state, time.Minute); n == nil ||
		n.Text != "--notify failed: exit status 7: no such host" {
		t.Errorf("%+v", n)
	}
	spec.Cwd = filepath.Join(spec.Cwd, "gone")
	if n := Run(t.Context(), spec, in, state, time.Minute); n == nil || !strings.Contains(n.Text, "no such host") {
		t.Errorf("without its working directory: %+v", n)
	}
}

func TestACommandThatHangsIsKilledWithWhatItStarted(t *testing.T) {
	spec, in, state := ended(t, "sleep 1000 & echo $! > pid; echo waiting; wait")
	n := Run(t.Context(), spec, in, state, 300*time.Millisecond)
	if n == nil || n.Text != "--notify had not ended after 300 ms and was killed: waiting" {
		t.Fatalf("%+v", n)
	}
	pid, _ := os.ReadFile(filepath.Join(spec.Cwd, "pid"))
	//nolint:forbidigo // it waits for a state
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Error("what it started lives")
}

func TestACopiedFolderStartsNothing(t *testing.T) {
	spec, in, state := ended(t, "touch ran")
	spec.ID = folder.NewID()
	if n := Run(t.Context(), spec, in, state, time.Minute); n == nil || !strings.Contains(n.Text, "was copied") {
		t.Errorf("%+v", n)
	}
	if _, err := os.Stat(filepath.Join(spec.Cwd, "ran")); err == nil {
		t.Error("the command was started")
	}
}
