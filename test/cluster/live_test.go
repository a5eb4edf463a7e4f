//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// curves is a sweep of two trials that report 50 times a second for 20 seconds, and write an event file meanwhile.
const curves = `
import pathlib, time
import metaml

rows = [{"x": i} for i in range(2)]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": 2})
def fit(x):
    board = pathlib.Path(metaml.output()) / "events.out.tfevents.1.pod.1.0"
    for i in range(1000):
        metaml.report(step=i, loss=i + x / 10)
        if i % 50 == 0:
            with open(board, "ab") as file:
                file.write(b"%07d\n" % i)
        time.sleep(0.02)
    print("done", flush=True)
`

// scalars is a trial that writes an event file as TensorBoard has them (TFRecord: a length, its checksum, an Event of
// protocol buffers and its checksum), until it is stopped.
const scalars = `
import metaml, pathlib, struct, time

rows = [{"x": 1}]

def masked(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data

@metaml.Train(settings={"hyper_parameters": "rows"})
def fit(x):
    with open(metaml.output() / "events.out.tfevents.1.pod.1.0", "wb", buffering=0) as file:
        for step in range(1000):
            value = field(1, b"loss") + b"\x15" + struct.pack("<f", 1 / (step + 1))
            event = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + bytes([step % 128]) + field(5, field(1, value))
            length = struct.pack("<Q", len(event))
            file.write(length + masked(length) + event + masked(event))
            time.sleep(1)
`

const (
	curveReports = 1000
	boardSize    = 8 * curveReports / 50
)

// detail is what `metaml show --json --history` says.
type detail struct {
	Folder   string   `json:"folder"`
	State    string   `json:"state"`
	History  [][5]any `json:"history"`
	LastOnly bool     `json:"last_only"`
	Notes    []struct {
		Code string `json:"code"`
		Text string `json:"text"`
		Hint string `json:"hint"`
	} `json:"notes"`
}

func (p *person) detail(name string) detail {
	p.t.Helper()
	var d detail
	out := p.must("show", "--json", "--history", name)
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		p.t.Fatalf("%v in %.500s", err, out)
	}
	return d
}

// note is the text of the note about live curves, if there is one.
func (d *detail) note() string {
	for _, n := range d.Notes {
		if n.Code == "monitor" {
			return n.Text
		}
	}
	return ""
}

// complete checks that each report of both trials is there once, in its order.
func (d *detail) complete(t *testing.T) {
	t.Helper()
	if d.LastOnly {
		t.Error("it is said that values are missing")
	}
	steps := map[float64][]float64{}
	for _, row := range d.History {
		trial := row[2].(float64)
		steps[trial] = append(steps[trial], row[0].(float64))
		if value := row[4].(float64); value != row[0].(float64)+trial/10 {
			t.Errorf("trial %v reported %v in step %v", trial, value, row[0])
		}
	}
	for trial := range 2 {
		got := steps[float64(trial)]
		if len(got) != curveReports || !slices.IsSorted(got) || got[0] != 0 || got[len(got)-1] != curveReports-1 {
			t.Errorf("trial %v has %d reports, want those of %d steps, each once", trial, len(got), curveReports)
		}
	}
}

// boards are the event files of both trials, where TensorBoard finds them.
func (d *detail) boards(t *testing.T) {
	t.Helper()
	for trial := range 2 {
		found, err := filepath.Glob(filepath.Join(d.Folder, fmt.Sprintf("trials/%05d/tensorboard/*tfevents*", trial)))
		if err != nil || len(found) != 1 {
			t.Errorf("trial %d has the event files %q, %v", trial, found, err)
			continue
		}
		if data, err := os.ReadFile(found[0]); err != nil || len(data) != boardSize ||
			!bytes.HasSuffix(data, []byte("0000950\n")) {
			t.Errorf("the event file of trial %d has %d bytes, want %d: %v", trial, len(data), boardSize, err)
		}
	}
}

// monitors are the pods of a run's monitor.
func monitors(ctx context.Context, t *testing.T, space, name string) []string {
	t.Helper()
	list, err := client(t, inside.Admin).CoreV1().Pods(space).List(ctx, metav1.ListOptions{
		LabelSelector: "metaml/run=" + bare(name) + ",app.kubernetes.io/component=monitor",
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range list.Items {
		if p := &list.Items[i]; p.DeletionTimestamp == nil {
			names = append(names, p.Name)
		}
	}
	return names
}

func TestCurvesGrowWhileTrialsRun(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	name := p.submits(curves)
	// The record's own events say when each report was made; when they arrive is when they can be read here.
	events := filepath.Join(p.detail(name).Folder, "events.jsonl")
	var late []time.Duration
	ended := arrivals(t, events, func(e event, at time.Time) {
		if e.Type == "trial.report" && !e.Last && e.Step > curveReports/2 {
			late = append(late, at.Sub(e.Time))
		}
	})
	if ended != "succeeded" {
		t.Errorf("the run %s", ended)
	}
	if len(late) == 0 {
		t.Fatal("no report arrived while the trials ran")
	}
	slices.Sort(late)
	t.Logf("a report is here after %s (median), %s (99 %%)", late[len(late)/2].Round(time.Millisecond),
		late[len(late)*99/100].Round(time.Millisecond))
	d := p.detail(name)
	d.complete(t)
	d.boards(t)
	if note := d.note(); note != "" {
		t.Errorf("it says %q", note)
	}
	eventually(t, "the monitor ends with the run", func(ctx context.Context) (bool, error) {
		left := monitors(ctx, t, space, name)
		return len(left) == 0, fmt.Errorf("%q are left", left)
	})
	p.must("delete", name)
	leavesNothing(t, space)
}

// event is one of a record.
type event struct {
	Type  string    `json:"type"`
	Time  time.Time `json:"time"`
	Trial *int      `json:"trial"`
	Step  float64   `json:"step"`
	Last  bool      `json:"last"`
	State string    `json:"state"`
}

// arrivals tells of the events of a record as they come, until the run has ended, and gives how.
func arrivals(t *testing.T, path string, each func(e event, at time.Time)) (state string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, part := bufio.NewReader(file), []byte(nil)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		line, err := lines.ReadBytes('\n')
		part = append(part, line...)
		if err != nil {
			<-time.After(5 * time.Millisecond)
			continue
		}
		var e event
		if err := json.Unmarshal(part, &e); err != nil {
			t.Fatalf("%v in %s", err, part)
		}
		part = nil
		each(e, time.Now())
		if e.Type == "run.ended" {
			return e.State
		}
	}
	t.Fatalf("the run did not end within %s", patience)
	return ""
}

// A monitor that goes, with all that it had, costs nothing: the pods that run send everything again. The Job controller
// makes another pod after 10 seconds, and the next time after 20, so that the trials take a minute.
func TestCurvesAreCompleteAlthoughTheirMonitorGoes(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	name := p.submits(strings.Replace(curves, "sleep(0.02)", "sleep(0.06)", 1))
	pods, gone := client(t, inside.Admin).CoreV1().Pods(space), 0
	grace := []int64{0, 30} // at once, as with its node, and asked to end, as when that is drained
	arrivals(t, filepath.Join(p.detail(name).Folder, "events.jsonl"), func(e event, _ time.Time) {
		if e.Type != "trial.report" || e.Last || e.Step < float64(1+gone)*curveReports/4 || gone == 2 {
			return
		}
		for _, one := range monitors(t.Context(), t, space, name) {
			options := metav1.DeleteOptions{GracePeriodSeconds: &grace[gone]}
			if err := pods.Delete(t.Context(), one, options); err != nil {
				t.Error(err)
			}
		}
		gone++
	})
	if gone != 2 {
		t.Errorf("the monitor was deleted %d times, want 2", gone)
	}
	d := p.detail(name)
	d.complete(t)
	d.boards(t)
}

// Who may not do what live curves need has a run without, and one line about it.
func TestARunNeedsNoMonitor(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	role := p.must("setup", "rbac", "--namespace", space, "--user", inside.Researcher)
	p.may(space, inside.Researcher,
		strings.NewReplacer("- services\n", "- nothings\n", "- pods/portforward\n", "- pods/nothing\n").Replace(role))
	if err := os.WriteFile(filepath.Join(p.home, "sweep.py"), []byte(rates), 0o600); err != nil {
		t.Fatal(err)
	}
	out := p.must("run", "sweep.py", "--python", python(t))
	if strings.Count(out, "no live curves") != 1 || !strings.Contains(out, "create services") {
		t.Errorf("it said %s", out)
	}
	d := p.detail("fit-1")
	if d.State != "succeeded" || !d.LastOnly || len(d.History) == 0 {
		t.Errorf("it is %+v", d)
	}
	if left := monitors(t.Context(), t, space, "fit-1"); len(left) > 0 {
		t.Errorf("there is %q", left)
	}
}

// board waits for the n-th TensorBoard of a run, which answers with the event files of a trial.
func (p *person) board(name string, n int) {
	p.t.Helper()
	addresses := func() (all []string) {
		for _, note := range p.detail(name).Notes {
			if note.Code == "tensorboard" {
				all = append(all, note.Text)
			}
		}
		return all
	}
	eventually(p.t, fmt.Sprintf("TensorBoard %d shows a trial", n), func(ctx context.Context) (bool, error) {
		all := addresses()
		if len(all) < n {
			return false, fmt.Errorf("they are at %q", all)
		}
		address := strings.TrimSuffix(all[len(all)-1], "/")
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/data/runs", nil)
		if err != nil {
			return false, err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return answer.StatusCode == http.StatusOK && bytes.Contains(text, []byte("0")), errors.Join(err,
			fmt.Errorf("%s says %s %s", address, answer.Status, text))
	})
}

// TensorBoard runs beside whoever follows the run, and once more when somebody else does.
func TestATensorBoardShowsWhatTrialsWrite(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	name := p.submits(scalars, "--tensorboard")
	p.board(name, 1)
	if err := process.Signal(followerOf(t, name), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	table := p.begins("attach", name)
	p.board(name, 2)
	p.must("stop", name)
	table.ends(1)
}

// A monitor that the pods cannot reach costs the curves, and no trial or end.
func TestAMonitorThatIsCutOffCostsTheCurvesAlone(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	name := p.submits(curves)
	nobody := []byte(`{"spec":{"selector":{"metaml/run":"nobody"}}}`)
	if _, err := client(t, inside.Admin).CoreV1().Services(space).Patch(t.Context(), "metaml-"+bare(name)+"-monitor",
		types.MergePatchType, nobody, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	var trials []time.Time
	state := arrivals(t, filepath.Join(p.detail(name).Folder, "events.jsonl"), func(e event, _ time.Time) {
		if e.Type == "trial.ended" {
			trials = append(trials, e.Time)
		}
	})
	d := p.detail(name)
	if state != "succeeded" || len(trials) != 2 || !d.LastOnly {
		t.Errorf("the run %s, %d trials ended, values missing: %v", state, len(trials), d.LastOnly)
	}
	if !strings.Contains(d.note(), "no live curves") {
		t.Errorf("the note is %q of %+v", d.note(), d.Notes)
	}
	last := map[float64]float64{}
	for _, row := range d.History {
		last[row[2].(float64)] = row[4].(float64)
	}
	if last[0] != curveReports-1 || last[1] != curveReports-1+0.1 {
		t.Errorf("the last values are %v", last)
	}
}
