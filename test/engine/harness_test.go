package engine_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/test/alike"
	"github.com/metaml/metaml/test/elsewhere"
	"github.com/metaml/metaml/test/venv"
)

// agentBinary builds metaml-agent once for all tests.
var agentBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "metaml-agent-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "metaml-agent")
	args := []string{"build", "-o", path}
	if raced {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/metaml/metaml/cmd/metaml-agent")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build metaml-agent: %w\n%s", err, out)
	}
	built = append(built, dir)
	return path, nil
})

// built are the folders of the binaries.
var built []string

func TestMain(m *testing.M) {
	if elsewhere.Mirror() {
		return
	}
	code := m.Run()
	for _, dir := range built {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code) //nolint:forbidigo // what TestMain is for
}

// bench is a target in a folder of the test's own, whose runs are over when the test is.
type bench struct {
	*local.Target
	t   *testing.T
	cwd string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	agent, err := agentBinary()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Target: local.In(filepath.Join(t.TempDir(), "runs"), agent), t: t, cwd: t.TempDir()}
	t.Cleanup(b.noneLeft)
	return b
}

// noneLeft ends what a failed test left running, and checks that no process of any run is there.
func (b *bench) noneLeft() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, name := range b.names() {
		if l, err := b.Load(ctx, name); err == nil && l.Active() {
			_ = b.Stop(ctx, name, nil, true)
			_ = b.Follow(ctx, name, "", func(run.Event, string) error { return nil })
		}
		b.waitFor("the monitor of "+name+" to end", func() bool { return !b.Folder(name).Monitored() })
		if log, _ := os.ReadFile(b.Folder(name).MonitorLog()); strings.Contains(string(log), "DATA RACE") ||
			strings.Contains(string(log), "goroutine ") {
			b.t.Errorf("the monitor of %s: %s", name, log)
		}
	}
	b.waitFor("no process of the run to be left", func() bool { return len(b.processes("")) == 0 })
}

// names lists the run folders.
func (b *bench) names() []string {
	var names []string
	entries, _ := os.ReadDir(b.Dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// events hands out the events of a run that are there now, also while the test is being cleaned up.
func (b *bench) events(name string, fn func(run.Event) error) error {
	return b.Events(context.Background(), name, fn)
}

// processes lists processes whose environment names a run of this bench and whose command line has text.
func (b *bench) processes(text string) []int {
	var found []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		// One that is starting a program has none for a moment. It has a program, which a zombie and a kernel thread
		// have not.
		for n := 0; len(env) == 0 && n < 1000; n++ {
			if _, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe")); err != nil {
				break
			}
			env, _ = os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		}
		cmd, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if strings.Contains(string(env), "METAML_BENCH_MARK="+b.cwd) &&
			strings.Contains(strings.ReplaceAll(string(cmd), "\x00", " "), text) && len(cmd) > 0 {
			found = append(found, pid)
		}
	}
	return found
}

func (b *bench) waitFor(what string, ok func() bool) {
	b.t.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for end := time.After(30 * time.Second); !ok(); {
		select {
		case <-end:
			b.t.Fatalf("waited in vain for %s", what)
		case <-look.C:
		}
	}
}

// spec describes a run of main.py's train function.
func (b *bench) spec(trials int) run.Spec {
	return run.Spec{
		V: 1, Series: "train", Key: b.t.Name(), Kind: run.Train, Entry: "train", Python: venv.Python(b.t), Cwd: b.cwd,
		Completions: trials, Parallelism: 2, Retries: 1, Env: map[string]string{"METAML_BENCH_MARK": b.cwd},
	}
}

// program writes a program folder.
func (b *bench) program(source string) string { return alike.Program(b.t, source) }

// rows makes a table with one column.
func rows[T any](name string, values ...T) []run.Row { return alike.Rows(name, values...) }

func (b *bench) submit(spec run.Spec, source string, table []run.Row) string {
	b.t.Helper()
	done, err := b.Submit(b.t.Context(), run.Submission{Spec: spec, Program: b.program(source), Table: table}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return done.Spec.Name
}

// await follows a run to its end and gives its state then.
func (b *bench) await(name string) run.Listed {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 60*time.Second)
	defer cancel()
	if err := b.Follow(ctx, name, "", func(run.Event, string) error { return nil }); err != nil {
		log, _ := os.ReadFile(b.Folder(name).MonitorLog())
		b.t.Fatalf("follow %s: %v\nmonitor: %s", name, err, log)
	}
	l, err := b.Load(ctx, name)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// run submits and awaits.
func (b *bench) run(spec run.Spec, source string, table []run.Row) run.Listed {
	b.t.Helper()
	return b.await(b.submit(spec, source, table))
}

func (b *bench) log(name string, trial int, stream string) string {
	b.t.Helper()
	var text strings.Builder
	if err := b.Log(b.t.Context(), name, trial, 0, stream, false, &text); err != nil {
		b.t.Fatal(err)
	}
	return text.String()
}

// waitForEvent waits until the run has an event that ok accepts.
func (b *bench) waitForEvent(name, what string, ok func(run.Event) bool) {
	b.t.Helper()
	found := false
	b.waitFor(what, func() bool {
		_ = b.events(name, func(e run.Event) error { found = found || ok(e); return nil })
		return found
	})
}

func (b *bench) describe(l run.Listed) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s %s %s\n", l.Spec.Name, l.State.Phase, l.State.Reason, l.State.Text)
	for _, t := range l.State.Trials {
		fmt.Fprintf(&s, "trial %d attempt %d %s %s %s %v", t.Index, t.Attempt, t.Phase, t.Reason, t.Text, t.Metrics)
		if t.Error != nil {
			fmt.Fprintf(&s, " %s: %s\n%s", t.Error.Type, t.Error.Text, t.Error.Traceback)
		}
		s.WriteByte('\n')
	}
	for _, n := range l.State.Notes {
		fmt.Fprintf(&s, "note %s: %s\n", n.Code, n.Text)
	}
	log, _ := os.ReadFile(b.Folder(l.Spec.Name).MonitorLog())
	s.Write(log)
	log, _ = os.ReadFile(filepath.Join(b.Folder(l.Spec.Name).Loader(), folder.Stderr))
	s.Write(log)
	return s.String()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
