package tfevents_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/engine/train/tfevents"
	"github.com/metaml/metaml/test/venv"
)

// write makes an event file with TensorBoard's own writer: simple values as PyTorch writes them, tensors as TensorFlow
// does.
const write = `
import sys
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter
w = EventFileWriter(sys.argv[1])
for step in range(3):
    loss = Summary.Value(tag="loss", simple_value=1.0 / (1 + step))
    w.add_event(Event(wall_time=1700000000.0 + step, step=step, summary=Summary(value=[loss])))
w.add_event(Event(wall_time=1700000003.0, step=7, summary=scalar_pb("accuracy", 0.5)))
big = Summary.Value(tag="big", image=Summary.Image(encoded_image_string=b"x" * (2 << 20)))
w.add_event(Event(wall_time=1700000003.0, step=8, summary=Summary(value=[big])))
w.add_event(Event(wall_time=1700000003.0, step=9, summary=scalar_pb("accuracy", 0.75)))
w.close()
`

func eventFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	python := venv.Python(t)
	if out, err := exec.CommandContext(t.Context(), python, "-c", write, dir).CombinedOutput(); err != nil {
		t.Fatalf("write an event file with %s: %v\n%s", python, err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("event files: %v, %v", files, err)
	}
	return files[0]
}

type point struct {
	Tag   string
	Step  int64
	Value float64
}

func read(t *testing.T, r *tfevents.Reader) []point {
	t.Helper()
	var got []point
	if err := r.Read(func(s tfevents.Scalar) { got = append(got, point{s.Tag, s.Step, s.Value}) }); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestScalarsOfARealFile(t *testing.T) {
	r := &tfevents.Reader{Path: eventFile(t)}
	want := []point{
		{"loss", 0, 1},
		{"loss", 1, 0.5},
		{"loss", 2, float64(float32(1.0 / 3))},
		{"accuracy", 7, 0.5},
		{"accuracy", 9, 0.75},
	}
	if d := cmp.Diff(want, read(t, r)); d != "" {
		t.Errorf("scalars (-want +got)\n%s", d)
	}
	if more := read(t, r); len(more) != 0 {
		t.Errorf("a second read gave %v again", more)
	}
}

// TestAGrowingFile cuts the file at every length and lets it grow: each scalar is read once, whole.
func TestAGrowingFile(t *testing.T) {
	data, err := os.ReadFile(eventFile(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "events.out.tfevents.1")
	r := &tfevents.Reader{Path: path}
	var got []point
	for n := 0; n < len(data); n += max(1, len(data)/97) {
		if err := os.WriteFile(path, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		got = append(got, read(t, r)...)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got = append(got, read(t, r)...); len(got) != 5 {
		t.Errorf("read %d scalars, want 5: %v", len(got), got)
	}
}

// Of a file that somebody has read before, what was whole then is left out, wherever it was cut.
func TestWhatIsOldIsLeftOut(t *testing.T) {
	path := eventFile(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for old := 0; old <= len(data); old += max(1, len(data)/97) {
		cut := filepath.Join(t.TempDir(), "events.out.tfevents.1")
		if err := os.WriteFile(cut, data[:old], 0o600); err != nil {
			t.Fatal(err)
		}
		before := read(t, &tfevents.Reader{Path: cut})
		after := read(t, &tfevents.Reader{Path: path, Old: int64(old)})
		if got := append(before, after...); len(got) != 5 {
			t.Errorf("cut at %d: %v, then %v", old, before, after)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7f\x4b\x22\x09\x00\x00\xc0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "events")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := &tfevents.Reader{Path: path}
		_ = r.Read(func(tfevents.Scalar) {}) // any answer but a panic
	})
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte("\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x01\x2a\x0b\x0a\x09\x0a\x04loss\x15\x00\x00\x80\x3f"))
	f.Fuzz(func(_ *testing.T, data []byte) { tfevents.ReadEvent(data, func(tfevents.Scalar) {}) })
}
