package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/serve"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

const (
	monitorToken = "the-token-of-the-run"
	podUID       = "0f5c1a2e-uid"
)

// testMonitor is a monitor of a run.
type testMonitor struct {
	t       *testing.T
	dir     string
	address string
	end     func()
}

func startMonitor(t *testing.T) *testMonitor {
	t.Helper()
	m := &testMonitor{t: t, address: "127.0.0.1:0"}
	m.start()
	t.Cleanup(func() { m.end() })
	return m
}

// start starts it with an empty disk, at the address that it had.
func (m *testMonitor) start() {
	m.t.Helper()
	m.dir = m.t.TempDir()
	disk, err := serve.OpenDisk(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	store, err := collect.OpenStore(disk, rand.Text(), collect.DefaultLimits)
	if err != nil {
		m.t.Fatal(err)
	}
	outputs, err := serve.OpenOutputs(filepath.Join(m.dir, "outputs"), collect.MaxOutputs)
	if err != nil {
		m.t.Fatal(err)
	}
	server, err := serve.New(store, outputs, "", monitorToken)
	if err != nil {
		m.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", m.address)
	if err != nil {
		m.t.Fatal(err)
	}
	m.address = listener.Addr().String()
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	m.end = sync.OnceFunc(func() {
		cancel(nil)
		if err := errors.Join(<-done, disk.Close(), outputs.Close()); err != nil {
			m.t.Error(err)
		}
	})
}

// file is what it has of a file of the pod.
func (m *testMonitor) file(name string) string {
	data, _ := os.ReadFile(filepath.Join(m.dir, "sources", podUID, name)) // what is not there is empty
	return string(data)
}

// monitored gives a container the variables of a monitor.
func (c *container) monitored(address, token string) {
	c.environ = append(c.environ, pod.MonitorVariable+"="+address, pod.MonitorTokenVariable+"="+token,
		pod.UIDVariable+"="+podUID)
}

// events is what the pod has in its run folder.
func (c *container) events() string {
	c.t.Helper()
	data, err := os.ReadFile(folder.Run(filepath.Join(c.dir, "run")).Events())
	if err != nil {
		c.t.Fatal(err)
	}
	return string(data)
}

// notes gives the notes in the pod's log that are about the monitor.
func (c *container) notes() []string {
	var texts []string
	events, _ := lines(bytes.NewBuffer(c.errs.Bytes()))
	for _, e := range events {
		if e.Code == run.NoteMonitor {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// expectNoToken checks that the token is nowhere in the log.
func (c *container) expectNoToken(token string) {
	c.t.Helper()
	if strings.Contains(c.errs.String()+c.out.String(), token) {
		c.t.Error("the token is in the log")
	}
}

// A trial that ends at once leaves no time to send anything while it runs.
func TestAMonitorGetsAllThatATrialReports(t *testing.T) {
	t.Parallel()
	m := startMonitor(t)
	c := newContainer(t, `
import os
import metaml
def fit(x):
    print([name for name in os.environ if "MONITOR" in name or "UID" in name])
    for i in range(1000):
        metaml.report(i, loss=i)
    (metaml.output() / "validation").mkdir()
    (metaml.output() / "validation" / "events.out.tfevents.1.pod.2.0").write_text("abc")
    (metaml.output() / "weights").write_text("large")
`, 2)
	c.environ = []string{pod.IndexVariable + "=1", pod.FailuresVariable + "=2", pod.RoundVariable + "=3"}
	c.monitored(m.address, monitorToken)
	if code, message := c.wait(c.start()); code != 0 {
		t.Errorf("exit code %d, %+v; standard error: %s", code, message, c.errs.String())
	}
	if diff := cmp.Diff(c.events(), m.file("events.jsonl")); diff != "" {
		t.Errorf("the monitor has other events (-want +got):\n%s", diff)
	}
	if !strings.Contains(c.events(), `"step":999`) {
		t.Error("the last report is missing")
	}
	if got := m.file("tensorboard/validation/events.out.tfevents.1.pod.2.0"); got != "abc" {
		t.Errorf("of TensorBoard's file the monitor has %q", got)
	}
	if got := m.file("tensorboard/weights"); got != "" {
		t.Errorf("it has another file, too: %q", got)
	}
	const source = `{"id":"` + podUID + `","trial":1,"attempt":3,"round":3}` + "\n"
	if got := m.file("source.json"); got != source {
		t.Errorf("the source is %q", got)
	}
	if c.out.String() != "[]\n" || len(c.notes()) > 0 {
		t.Errorf("the program has the variables %s; the notes are %q", c.out.String(), c.notes())
	}
	c.expectNoToken(monitorToken)
}

func TestAMonitorGetsFilesForTensorBoardFromTheWorkingDirectory(t *testing.T) {
	t.Parallel()
	m := startMonitor(t)
	c := newContainer(t, `
import os, pathlib, time
import metaml
def fit(x):
    path = pathlib.Path("logs", f"events.out.tfevents.1.pod.{os.getpid()}.0")
    path.parent.mkdir()
    path.write_text("abc")
    link = metaml.output().parent / "tensorboard" / path.name
    while not link.exists():
        time.sleep(0.01)
    path.write_text("abcdef")
    print(path.name)
`, 1)
	c.monitored(m.address, monitorToken)
	if code, message := c.wait(c.start()); code != 0 {
		t.Errorf("exit code %d, %+v; standard error: %s", code, message, c.errs.String())
	}
	if got := m.file("tensorboard/" + strings.TrimSpace(c.out.String())); got != "abcdef" {
		t.Errorf("the monitor has %q", got)
	}
}

// twoParts reports before and after a file is there that a test makes.
const twoParts = `
import os, time
import metaml
home = os.environ["HOME"]
def fit(x):
    for i in range(20):
        metaml.report(i, loss=i)
    open(home + "/half", "w").close()
    while not os.path.exists(home + "/go"):
        time.sleep(0.01)
    for i in range(20, 40):
        metaml.report(i, loss=i)
    return {"accuracy": 0.5}
`

func TestAMonitorThatLostItsDiskGetsAllOfATrial(t *testing.T) {
	t.Parallel()
	m := startMonitor(t)
	c := newContainer(t, twoParts, 1)
	c.monitored(m.address, monitorToken)
	cmd := c.start()
	c.waitForFile("half")
	waitFor(t, "the monitor has the first part", func() bool {
		return strings.Contains(m.file("events.jsonl"), `"step":19`)
	})
	m.end()
	m.start()
	c.write("go", nil)
	if code, message := c.wait(cmd); code != 0 {
		t.Errorf("exit code %d, %+v; standard error: %s", code, message, c.errs.String())
	}
	if diff := cmp.Diff(c.events(), m.file("events.jsonl")); diff != "" || len(c.notes()) > 0 {
		t.Errorf("the notes are %q, the monitor has other events (-want +got):\n%s", c.notes(), diff)
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after 30 seconds not: %s", what)
		}
	}
}

// seen is a log that says when a text is in it.
type seen struct {
	text string
	is   chan struct{}
	log  strings.Builder
	once sync.Once
}

func (s *seen) Write(data []byte) (int, error) {
	s.log.Write(data)
	if strings.Contains(s.log.String(), s.text) {
		s.once.Do(func() { close(s.is) })
	}
	return len(data), nil
}

// ends lets a trial of twoParts go to its end, and gives how it ended and how long that took.
func (c *container) ends(cmd *exec.Cmd) (int, pod.Message, time.Duration) {
	c.t.Helper()
	start := time.Now()
	c.write("go", nil)
	code, message := c.wait(cmd)
	return code, message, time.Since(start)
}

// reportedLast is when the trial reported last, as its pod has written it down.
func (c *container) reportedLast() (at time.Time) {
	c.t.Helper()
	var parser run.EventParser
	for line := range strings.Lines(c.events()) {
		e, err := parser.Parse([]byte(line))
		if err != nil {
			c.t.Fatal(err)
		}
		if e.Type == run.EventTrialReport {
			at = e.Time
		}
	}
	return at
}

func TestATrialEndsAsWithoutAMonitorThatDoesNotTakeItsFiles(t *testing.T) {
	t.Parallel()
	m := startMonitor(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connects, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	without := newContainer(t, twoParts, 1)
	cmd := without.start()
	without.waitForFile("half")
	wantCode, want, usual := without.ends(cmd)
	cases := []struct{ name, address, token, note string }{
		{
			"nobody there", "127.0.0.1:1", monitorToken,
			"no live curves: the monitor cannot be reached: connect to 127.0.0.1:1: connection refused",
		},
		{"no answer", silent.Addr().String(), monitorToken, "no live curves: the monitor does not answer: "},
		{
			"another token", m.address, "of-another-run",
			"no live curves: the monitor answers 401: this is not the token of the run",
		},
	}
	// All begin at the same time, since each says nothing for ten seconds.
	pods, cmds, logs := make([]*container, len(cases)), make([]*exec.Cmd, len(cases)), make([]*seen, len(cases))
	for i, c := range cases {
		pods[i], logs[i] = newContainer(t, twoParts, 1), &seen{text: c.note, is: make(chan struct{})}
		pods[i].monitored(c.address, c.token)
		pods[i].log = logs[i]
		cmds[i] = pods[i].start()
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pods[i].t = t
			select {
			case <-logs[i].is:
			case <-time.After(30 * time.Second):
				t.Error("there is no note")
			}
			code, message, took := pods[i].ends(cmds[i])
			t.Logf("%v, without a monitor %v", took, usual)
			want := want
			want.Reported = pods[i].reportedLast()
			if code != wantCode || !cmp.Equal(message, want) || took > usual+2500*time.Millisecond {
				t.Errorf("after %v: exit code %d, %+v, want %+v", took, code, message, want)
			}
			if notes := pods[i].notes(); len(notes) != 1 {
				t.Errorf("the notes are %q", notes)
			}
			pods[i].expectNoToken(c.token)
		})
	}
}

// A monitor that hangs is waited for, since it answered before, and not for long.
func TestAMonitorThatHangsAtTheEndOfATrial(t *testing.T) {
	t.Parallel()
	first, hung := make(chan struct{}), make(chan struct{})
	var answered, hanging sync.Once
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-first:
			hanging.Do(func() { close(hung) })
			<-r.Context().Done()
		default:
			_, _ = w.Write(collect.Answer{Store: "s"}.Encode())
			answered.Do(func() { close(first) })
		}
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	t.Cleanup(func() { server.Close() })
	c := newContainer(t, twoParts, 1)
	c.monitored(listener.Addr().String(), monitorToken)
	cmd := c.start()
	c.waitForFile("half")
	<-hung
	code, message, took := c.ends(cmd)
	t.Log(took)
	if code != 0 || message.State != run.Succeeded || took < finishTime || took > finishTime+3*time.Second {
		t.Errorf("after %v: exit code %d, %+v", took, code, message)
	}
}

func TestAMonitorThatCannotBeUsedIsNoted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, address, token, uid, want string }{
		{"a name", "monitor:7070", "x", "uid", `METAML_MONITOR is "monitor:7070", which is no IP:PORT`},
		{"no token", "10.0.0.1:7070", "", "uid", "METAML_MONITOR_TOKEN is empty"},
		{"a token that is none", "10.0.0.1:7070", "of-this-run\n", "uid", "the token must be made of"},
		{"no UID", "10.0.0.1:7070", "x", "", "METAML_POD_UID is empty"},
		{"a UID that is none", "10.0.0.1:7070", "x", "../uid", `the name of the source "../uid" has other`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newContainer(t, "def fit(x):\n    return {'accuracy': 1}\n", 1)
			p.environ = append(p.environ, pod.MonitorVariable+"="+c.address, pod.MonitorTokenVariable+"="+c.token,
				pod.UIDVariable+"="+c.uid)
			code, message := p.wait(p.start())
			notes := p.notes()
			if code != 0 || message.Metrics["accuracy"] != 1 || len(notes) != 1 || !strings.Contains(notes[0], c.want) {
				t.Errorf("exit code %d, %+v, notes %q", code, message, notes)
			}
			p.expectNoToken("of-this-run")
		})
	}
}

func TestWhatTheLogSaysOfTheMonitor(t *testing.T) {
	stopped := collect.Note{Kind: collect.Stopped, File: "tensorboard/a b", Text: "the name has the character ' '"}
	const stays = "tensorboard/a b is not sent to the monitor any further: the name has the character ' '"
	unreached := collect.Note{Kind: collect.Unreached, Text: "the monitor cannot be reached: why"}
	const missing = "no live curves: the monitor cannot be reached: why"
	for _, c := range []struct {
		name string
		said []collect.Note
		want []string
	}{
		{"reached, as it should be", []collect.Note{{Kind: collect.Reached}}, nil},
		{"not reached", []collect.Note{unreached}, []string{missing}},
		{
			"reached late",
			[]collect.Note{unreached, {Kind: collect.Reached}},
			[]string{missing, "the monitor is reached now: the curves are live, and have what came before"},
		},
		{
			"files that stay",
			[]collect.Note{stopped, stopped, stopped, stopped, stopped, stopped},
			[]string{stays, stays, stays, stays, stays},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			l := &live{note: func(n run.Note) {
				if got = append(got, n.Text); n.Code != run.NoteMonitor {
					t.Errorf("the code of %q is %q", n.Text, n.Code)
				}
			}}
			for _, n := range c.said {
				l.say(n)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
