package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// attempt runs an attempt of trial 0 and gives how it ended.
func (b *bench) attempt(n int) run.AttemptEnd {
	b.t.Helper()
	id := run.AttemptID{Trial: 0, Number: n}
	b.Start(run.Attempt{AttemptID: id})
	return *b.next(func(u run.Update) bool { return u.Ended != nil && u.ID == id }).Ended
}

// savesAndDies keeps what it wrote, writes more and is killed, but for the second attempt, which says what it finds.
const savesAndDies = `
import metaml, os, signal

def train():
    saved = metaml.output() / "model"
    found = saved.read_text() if saved.exists() else ""
    if metaml.attempt() == 2:
        return {"found": int(found), "files": len(list(metaml.output().iterdir()))}
    for i in range(3):
        saved.write_text(found + str(i))
        metaml.checkpoint()
    saved.write_text("more")
    (metaml.output() / "junk").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
`

func TestAnAttemptFindsWhatWasKept(t *testing.T) {
	t.Parallel()
	//nolint:thelper // it is the test, not a helper
	eachWay(t, func(t *testing.T, change func(*Options)) {
		b := newBench(t, savesAndDies, change)
		if end := b.attempt(1); end.Signal != int(syscall.SIGKILL) {
			t.Fatalf("%+v", end)
		}
		end := b.attempt(2)
		if !end.Returned || end.Metrics["found"] != 2 || end.Metrics["files"] != 1 {
			t.Errorf("%+v", end)
		}
		left := b.opts.Folder.LeftOutput(0, 1)
		if readFile(t, filepath.Join(left, "model")) != "more" || readFile(t, filepath.Join(left, "junk")) != "x" {
			t.Error("what the first attempt left is lost")
		}
	})
}

func TestAnAttemptFindsNothingWhereNothingWasKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, `
import metaml, os
def train():
    found = os.listdir(metaml.output())
    (metaml.output() / "model").write_text("x")
    if metaml.attempt() < 3: os._exit(3)
    return {"found": len(found)}
`, nil)
	b.attempt(1)
	b.attempt(2)
	b.attempt(2) // its monitor was killed before it had written that it was started
	if end := b.attempt(3); !end.Returned || end.Metrics["found"] != 0 {
		t.Errorf("%+v", end)
	}
	for _, left := range []string{"attempt-1/output", "attempt-2/output", "attempt-2/output-2"} {
		t.Run(left, func(t *testing.T) {
			t.Parallel()
			if readFile(t, filepath.Join(b.opts.Folder.Trial(0), left, "model")) != "x" {
				t.Error("it is lost")
			}
		})
	}
}

func TestALinkInPlaceOfTheOutputFolder(t *testing.T) {
	t.Parallel()
	b := newBench(t, `
import metaml, os
def train(there):
    output = metaml.output()
    if metaml.attempt() == 2:
        return {"link": os.path.islink(output), "found": len(list(output.iterdir()))}
    output.rmdir()
    output.symlink_to(there)
    (output / "model").write_text("x")
    metaml.checkpoint()
    os._exit(3)
`, nil)
	there := t.TempDir()
	b.opts.Table = []run.Row{{{Name: "there", Value: json.RawMessage(strconv.Quote(there))}}}
	b.attempt(1)
	if end := b.attempt(2); end.Metrics["link"] != 0 || end.Metrics["found"] != 1 {
		t.Errorf("%+v", end)
	}
	if readFile(t, filepath.Join(b.opts.Folder.LeftOutput(0, 1), "model")) != "x" {
		t.Error("the link is lost")
	}
}

func TestASingleAttemptHasNoFoldersOfCheckpoints(t *testing.T) {
	t.Parallel()
	b := newBench(t, "def train():\n    pass\n", nil)
	b.end()
	entries, err := os.ReadDir(b.opts.Folder.Trial(0))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v %v", entries, err)
	}
}

func TestWhatWasRestoredIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t, savesAndDies, nil)
	b.attempt(1)
	id := run.AttemptID{Trial: 0, Number: 2}
	b.Start(run.Attempt{AttemptID: id})
	started := b.next(func(u run.Update) bool { return u.Started != nil }).Started
	want := filepath.Join(b.opts.Folder.Output(0), "model")
	if size, ok := started.Restored[want]; size != 1 || !ok || len(started.Restored) != 1 {
		t.Errorf("%v", started.Restored)
	}
	b.next(func(u run.Update) bool { return u.Ended != nil })
}

// keeper is one that a test makes of functions; nil does nothing.
type keeper struct {
	keep, restore func(ctx context.Context, id run.AttemptID, dir string) error
}

func (k keeper) Keep(ctx context.Context, id run.AttemptID, dir string) error {
	if k.keep == nil {
		return nil
	}
	return k.keep(ctx, id, dir)
}

func (k keeper) Restore(ctx context.Context, id run.AttemptID, dir string) error {
	if k.restore == nil {
		return nil
	}
	return k.restore(ctx, id, dir)
}

// An attempt is not started on nothing, and what was there is not lost.
func TestAnAttemptWhoseOutputCannotBeRestored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		reason run.Reason
	}{
		"it is damaged":    {errors.New("damaged"), run.ReasonOutput},
		"it is gone":       {os.ErrNotExist, run.ReasonOutput},
		"the disk is full": {syscall.ENOSPC, run.ReasonDisk},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const source = "import metaml\ndef train(): (metaml.output() / 'model').write_text('x')\n"
			b := newBench(t, source, func(o *Options) {
				o.Keeper = keeper{restore: func(_ context.Context, id run.AttemptID, dir string) error {
					if id.Number == 1 {
						return nil
					}
					return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o600), c.err)
				}}
			})
			b.attempt(1)
			end := b.attempt(2)
			if end.Reason != c.reason || !strings.Contains(end.Internal, "give attempt 2 of trial 0 what was kept") {
				t.Errorf("%+v", end)
			}
			if readFile(t, filepath.Join(b.opts.Folder.LeftOutput(0, 1), "model")) != "x" {
				t.Error("what the first attempt left is lost")
			}
			for _, dir := range []string{b.opts.Folder.Restoring(0), b.opts.Folder.Output(0)} {
				if _, err := os.Lstat(dir); err == nil {
					t.Errorf("%s is there", dir)
				}
			}
		})
	}
}

func TestAnAttemptThatIsToEndWhileItsOutputIsRestored(t *testing.T) {
	t.Parallel()
	restoring := make(chan struct{})
	b := newBench(t, "def train(): pass\n", func(o *Options) {
		o.Keeper = keeper{restore: func(ctx context.Context, _ run.AttemptID, _ string) error {
			close(restoring)
			<-ctx.Done()
			return context.Cause(ctx)
		}}
	})
	b.Start(run.Attempt{AttemptID: firstAttempt})
	<-restoring
	b.Signal(firstAttempt, false)
	if end := b.next(func(u run.Update) bool { return u.Ended != nil }).Ended; end.Signal != int(syscall.SIGTERM) {
		t.Errorf("%+v", end)
	}
}

// Reports come while it is kept, and an error is raised with its cause.
func TestReportsComeWhileItIsKept(t *testing.T) {
	t.Parallel()
	//nolint:thelper // it is the test, not a helper
	eachWay(t, func(t *testing.T, change func(*Options)) {
		reported := make(chan struct{})
		b := newBench(t, `
import metaml, threading, time
def train():
    keeping = threading.Thread(target=metaml.checkpoint)
    keeping.start()
    metaml.report(x=1)
    keeping.join()
    try:
        metaml.checkpoint()
    except OSError as error:
        print(error)
        return {"errno": error.errno}
`, func(o *Options) {
			change(o)
			calls := 0
			o.Keeper = keeper{keep: func(context.Context, run.AttemptID, string) error {
				if calls++; calls == 2 {
					return fmt.Errorf("copy model: %w", syscall.ENOSPC)
				}
				<-reported
				return nil
			}}
		})
		b.Start(run.Attempt{AttemptID: firstAttempt})
		b.next(func(u run.Update) bool { return u.Report != nil })
		close(reported)
		end := b.next(func(u run.Update) bool { return u.Ended != nil }).Ended
		if end.Metrics["errno"] != float64(syscall.ENOSPC) {
			t.Errorf("%+v", end)
		}
		got := readFile(t, b.opts.Folder.Stream(0, 1, folder.Stdout))
		if !strings.Contains(got, "since the disk is full: free") {
			t.Errorf("%q", got)
		}
	})
}

// An error that nobody takes in ends the trial as the full disk that it is.
func TestACheckpointOnAFullDiskIsTheDisksFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t, "import metaml\ndef train():\n    metaml.checkpoint()\n", func(o *Options) {
		o.Keeper = keeper{keep: func(context.Context, run.AttemptID, string) error { return syscall.EDQUOT }}
	})
	if end := b.end(); !end.Error.DiskFull() || end.Error.Type != "OSError" {
		t.Errorf("%+v %+v", end, end.Error)
	}
}

func TestAnAttemptThatEndsWhileItIsKept(t *testing.T) {
	t.Parallel()
	over := make(chan error, 1)
	b := newBench(t, `
import metaml, os, threading, time
def train():
    threading.Thread(target=metaml.checkpoint, daemon=True).start()
    while not os.path.exists("keeping"): time.sleep(0.005)
    os._exit(3)
`, func(o *Options) {
		o.Keeper = keeper{keep: func(ctx context.Context, _ run.AttemptID, _ string) error {
			if err := os.WriteFile(filepath.Join(o.Spec.Cwd, "keeping"), nil, 0o600); err != nil {
				return err
			}
			<-ctx.Done()
			over <- context.Cause(ctx)
			return context.Cause(ctx)
		}}
	})
	if end := b.end(); end.Exit != 3 {
		t.Errorf("%+v", end)
	}
	select {
	case err := <-over:
		if !errors.Is(err, errAttemptOver) {
			t.Error(err)
		}
	default:
		t.Error("the attempt has ended, and it is still being kept")
	}
}

// A fork, a thread and the trial itself keep at the same time; one that was interrupted leaves its answer to others.
func TestManyInATrialKeep(t *testing.T) {
	t.Parallel()
	//nolint:thelper // it is the test, not a helper
	eachWay(t, func(t *testing.T, change func(*Options)) {
		b := newBench(t, `
import metaml, os, signal, threading, time

def many(count):
    for _ in range(count): metaml.checkpoint()

def train():
    interrupted = 0
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    for i in range(20):
        signal.setitimer(signal.ITIMER_REAL, 0.001 * (i % 5) + 0.0005)
        try:
            many(100)
        except KeyboardInterrupt:
            interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    children = []
    threads = [threading.Thread(target=many, args=(10,)) for _ in range(3)]
    for t in threads: t.start()
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                many(10)
            finally:
                os._exit(0)
        children.append(pid)
    many(10)
    for t in threads: t.join()
    return {"interrupted": interrupted, "failed": sum(os.waitpid(pid, 0)[1] != 0 for pid in children)}
`, func(o *Options) {
			change(o)
			o.Keeper = keeper{keep: func(context.Context, run.AttemptID, string) error {
				<-time.After(time.Millisecond)
				return nil
			}}
		})
		if end := b.end(); !end.Returned || end.Metrics["interrupted"] != 20 || end.Metrics["failed"] != 0 {
			t.Errorf("%+v %+v", end, end.Error)
		}
	})
}

// Requests that come while one is carried out share the next one, each is answered, and none after the end.
func TestRequestsAreAnsweredInTheirOrder(t *testing.T) {
	t.Parallel()
	ours, theirs, err := eventsPair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	var mu sync.Mutex
	calls := 0
	begun, goOn := make(chan struct{}, 8), make(chan struct{})
	k := newKeeping(func(context.Context) error {
		begun <- struct{}{}
		<-goOn
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls > 1 {
			return errors.New(strings.Repeat("x", 2*maxAnswer))
		}
		return nil
	}, ours)
	k.request("1")
	<-begun
	for range 2 * maxKeeps { // a trial that does not wait for its answers
		k.request("more")
	}
	close(goOn)
	var got []string
	for lines := bufio.NewScanner(theirs); len(got) < 3 && lines.Scan(); {
		var m keptMessage
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.Type != "kept" || len(m.Error) > 2*maxAnswer {
			t.Errorf("%+v %v", m, err)
		}
		got = append(got, fmt.Sprint(m.ID, m.Error != ""))
	}
	if !slices.Equal(got, []string{"1false", "moretrue", "moretrue"}) {
		t.Errorf("%q", got)
	}
	k.close()
	k.request("late")
	k.close()
	mu.Lock()
	defer mu.Unlock()
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}

// A trial that does not read its answers holds nobody up for long when it has ended.
func TestAnswersThatNobodyReads(t *testing.T) {
	t.Parallel()
	ours, theirs, err := eventsPair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	k := newKeeping(func(context.Context) error { return nil }, ours)
	for i := range 20 * maxKeeps {
		k.request(fmt.Sprint(i))
	}
	begin := time.Now()
	k.close()
	if took := time.Since(begin); took > answerWithin+time.Second {
		t.Errorf("it took %s", took)
	}
}

// What is kept after the call was interrupted would be a mixture of what was there then and what came later.
func TestARequestThatIsAbandoned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ask  func(k *keeping, begun <-chan struct{})
		want []string // in this order
	}{
		"while it is carried out": {func(k *keeping, begun <-chan struct{}) {
			k.request("1")
			<-begun
			k.abandon("1")
		}, []string{"1"}},
		"while it waits": {func(k *keeping, begun <-chan struct{}) {
			k.request("1")
			<-begun
			k.request("2")
			k.abandon("2")
			k.abandon("1")
		}, []string{"1", "2"}},
		"before it came": {func(k *keeping, _ <-chan struct{}) { k.abandon("1") }, []string{"1"}},
		"one of two": {func(k *keeping, begun <-chan struct{}) {
			k.request("1")
			<-begun
			k.request("2")
			k.request("3")
			k.abandon("1")
			<-begun
			k.abandon("2")
			k.abandon("3")
		}, []string{"1", "2", "3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs, err := eventsPair()
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			defer theirs.Close()
			begun := make(chan struct{}, 8)
			k := newKeeping(func(ctx context.Context) error {
				begun <- struct{}{}
				<-ctx.Done()
				return context.Cause(ctx)
			}, ours)
			defer k.close()
			c.ask(k, begun)
			for lines := bufio.NewScanner(theirs); len(c.want) > 0; c.want = c.want[1:] {
				var m keptMessage
				if !lines.Scan() || json.Unmarshal(lines.Bytes(), &m) != nil || m.ID != c.want[0] ||
					!strings.Contains(m.Error, errAbandoned.Error()) {
					t.Errorf("%q, want %s", lines.Text(), c.want[0])
				}
			}
			if len(begun) != 0 {
				t.Error("what nobody waits for was carried out")
			}
		})
	}
}

// A trial that is interrupted in checkpoint() and then writes something else leaves the checkpoint before as the last.
func TestAnInterruptedCheckpointIsNotKept(t *testing.T) {
	t.Parallel()
	//nolint:thelper // it is the test, not a helper
	eachWay(t, func(t *testing.T, change func(*Options)) {
		var mu sync.Mutex
		var log []string
		b := newBench(t, `
import metaml, os, signal
def train():
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 1)
    try:
        metaml.checkpoint()
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        return {"interrupted": 1}
`, func(o *Options) {
			change(o)
			o.Keeper = keeper{keep: func(ctx context.Context, _ run.AttemptID, _ string) error {
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				log = append(log, context.Cause(ctx).Error())
				return context.Cause(ctx)
			}}
		})
		if end := b.end(); end.Metrics["interrupted"] != 1 {
			t.Errorf("%+v %+v", end, end.Error)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(log, []string{errAbandoned.Error()}) {
			t.Errorf("%q", log)
		}
	})
}
