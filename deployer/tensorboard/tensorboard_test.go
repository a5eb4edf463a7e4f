package tensorboard_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/tensorboard"
	"github.com/metaml/metaml/test/venv"
)

// serve starts a TensorBoard of a run. What it says comes through notes, which is closed when Serve has returned.
func serve(t *testing.T, f folder.Run, python string) (notes <-chan run.Note, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	said := make(chan run.Note, 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(said)
		tensorboard.Serve(ctx, f, python, func(n run.Note) { said <- n })
	}()
	end = func() { cancel(nil); <-done }
	t.Cleanup(end)
	return said, end
}

// runs are those that a TensorBoard shows.
func runs(t *testing.T, address string) (names []string) {
	t.Helper()
	answer, err := http.Get(strings.TrimSuffix(address, "/") + "/data/runs")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestATensorBoardShowsTheTrialsUntilItIsEnded(t *testing.T) {
	f := folder.Run(t.TempDir())
	for _, dir := range []string{
		f.Scalars(0), filepath.Join(f.Output(1), "checkpoints"), filepath.Join(f.Output(1), "attempt-1"),
		// What an attempt before left, and what is kept, is in the output, too.
		f.LeftOutput(1, 1), f.LeftOutput(1, 1) + "-2", filepath.Join(f.LeftOutput(1, 12), "logs"),
		filepath.Join(f.Checkpoints(1), "000001", "files", "logs"), f.Restoring(1),
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "events.out.tfevents.1"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	notes, end := serve(t, f, venv.Python(t))
	n := <-notes
	if n.Code != run.NoteTensorBoard || !strings.HasPrefix(n.Text, "http://127.0.0.1:") {
		t.Fatalf("it said %+v", n)
	}
	want, shown := []string{"00000/tensorboard", "00001/output/attempt-1", "00001/output/checkpoints"}, []string(nil)
	for late := time.Now().Add(30 * time.Second); !slices.Equal(shown, want); <-time.After(50 * time.Millisecond) {
		if shown = runs(t, n.Text); time.Now().After(late) {
			t.Fatalf("after 30 s it shows %q", shown)
		}
	}
	end()
	if answer, err := http.Get(n.Text); err == nil {
		_ = answer.Body.Close()
		t.Error("it still serves")
	}
	if n, more := <-notes; more {
		t.Errorf("it said %+v, too", n)
	}
	if _, err := os.Lstat(f.TensorBoard()); !os.IsNotExist(err) {
		t.Errorf("its temporary files are left: %v", err)
	}
	err := filepath.WalkDir(f.Trials(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "events.out.tfevents.1" {
			t.Errorf("it left %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhyThereIsNoTensorBoardIsSaid(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "env")
	if out, err := exec.Command(venv.Python(t), "-m", "venv", "--without-pip", empty).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	absent, installed := filepath.Join(empty, "none"), filepath.Join(empty, "bin", "python")
	for _, c := range []struct {
		name, python     string
		code, says, hint string
	}{
		{"there is no such Python", absent, run.NoteTensorBoardFailed, absent + ": no such file or directory", ""},
		{
			"it is not installed", installed, run.NoteTensorBoardMissing, "No module named 'tensorboard'",
			"Install it with `" + installed + " -m pip install tensorboard`.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := folder.Run(t.TempDir())
			notes, _ := serve(t, f, c.python)
			if n := <-notes; n.Code != c.code || !strings.Contains(n.Text, c.says) || n.Hint != c.hint {
				t.Errorf("it said %+v", n)
			}
			if n, more := <-notes; more {
				t.Errorf("it said %+v, too", n)
			}
			if _, err := os.Lstat(f.TensorBoard()); !os.IsNotExist(err) {
				t.Errorf("its temporary files are left: %v", err)
			}
		})
	}
}

func TestATensorBoardThatIsNotWantedAnyMoreSaysNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(nil)
	tensorboard.Serve(ctx, folder.Run(t.TempDir()), venv.Python(t), func(n run.Note) { t.Errorf("it said %+v", n) })
}
