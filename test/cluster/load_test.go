//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

const (
	loadTrials = 50
	loadRate   = 100 // reports a second, of each trial
)

// loads is a sweep whose trials wait for one another and then report by the clock: who is late reports faster.
const loads = `
import pathlib, time
import metaml

rows = [{"x": i} for i in range(%d)]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": %[1]d})
def fit(x):
    while not pathlib.Path("/gate/open").exists():
        time.sleep(0.1)
    begin = time.monotonic()
    for i in range(%[2]d):
        metaml.report(step=i, loss=i + x / 100)
        time.sleep(max(0, begin + (i + 1) / %[3]d - time.monotonic()))
`

// Fifty trials report a hundred times a second each, for METAML_TEST_LOAD_SECONDS, else for 20: each report is in the
// record once, neither monitor nor follower grows, and who looks at the run is shown at most ten pictures a second. It
// runs by itself, since so many pods take all that a small machine has. Of a trial that reports so often for more than
// 100 seconds, not every report is kept.
func TestEachOfManyReportsArrivesOnce(t *testing.T) {
	// Bytes, of the median in the first third of the time and that in the last. Buffers grow by less where a machine is
	// slow; whoever kept the 66,000 reports between the two would grow by more.
	const mostGrowth = 16_000_000
	seconds, err := strconv.Atoi(os.Getenv("METAML_TEST_LOAD_SECONDS"))
	if err != nil {
		seconds = 20
	}
	reports := seconds * loadRate
	space := namespace(t)
	gate := claim(t, space, "gate")
	p := newPerson(t, inside.Admin, space)
	p.env = append(p.env, "METAML_CPU=10m")
	begin := time.Now()
	name := p.submits(fmt.Sprintf(loads, loadTrials, reports, loadRate), "--mount", "pvc:gate:/gate")
	p.sees(name, "all trials run", func(s shown) bool { return s.counts("running") == loadTrials })
	t.Logf("%d trials run after %s", loadTrials, time.Since(begin).Round(time.Second))

	follower, monitor := holds(t, followerOf(t, name)), holds(t, monitorOf(t, space, name))
	watcher := p.draws("attach", name)
	if err := os.WriteFile(filepath.Join(gate, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opened, last := time.Now(), time.Now()
	times := make([][]int, loadTrials) // how often the record has each report of each trial
	for i := range times {
		times[i] = make([]int, reports)
	}
	var late []time.Duration
	ended := arrivals(t, filepath.Join(p.detail(name).Folder, "events.jsonl"), func(e event, at time.Time) {
		if e.Type == "trial.report" && !e.Last {
			times[*e.Trial][int(e.Step)]++
			late, last = append(late, at.Sub(e.Time)), at
		}
	})
	<-watcher.ended
	slices.Sort(late)
	if ended != "succeeded" || len(late) != loadTrials*reports {
		t.Fatalf("the run %s, with %d reports in its record, want %d", ended, len(late), loadTrials*reports)
	}
	t.Logf("%d reports within %s, each in the record after %s (median), %s (99 %%)", len(late),
		last.Sub(opened).Round(time.Second/10), late[len(late)/2].Round(time.Millisecond),
		late[len(late)*99/100].Round(time.Millisecond))
	for trial, steps := range times {
		if i := slices.IndexFunc(steps, func(n int) bool { return n != 1 }); i >= 0 {
			t.Errorf("the record has step %d of trial %d %d times", i, trial, steps[i])
		}
	}
	grew := func(who string, held func(from, to time.Time) int) {
		third := last.Sub(opened) / 3
		before, after := held(opened, opened.Add(third)), held(opened.Add(2*third), last)
		t.Logf("the %s held %.1f MB in the first third, and %.1f MB in the last", who, float64(before)/1e6,
			float64(after)/1e6)
		if before == 0 || after == 0 || after-before > mostGrowth {
			t.Errorf("the %s held %d bytes, and %d in the end", who, before, after)
		}
	}
	grew("follower", follower)
	grew("monitor", monitor)
	t.Logf("%d pictures in %s", watcher.drawn, watcher.lasted.Round(time.Second/10))
	if most := 2 + int(watcher.lasted.Seconds()*10); watcher.drawn < 10 || watcher.drawn > most {
		t.Errorf("%d pictures were drawn in %s, want at most %d", watcher.drawn, watcher.lasted, most)
	}
	d := p.detail(name)
	if d.LastOnly {
		t.Error("it is said that values are missing")
	}
	for _, row := range d.History {
		step, trial := row[0].(float64), row[2].(float64)
		times[int(trial)][int(step)]++
		if value := row[4].(float64); value != step+trial/100 {
			t.Errorf("trial %v reported %v in step %v", trial, value, step)
		}
	}
	for trial, steps := range times {
		if i := slices.IndexFunc(steps, func(n int) bool { return n != 2 }); i >= 0 {
			t.Errorf("of trial %d step %d is not shown once", trial, i)
		}
	}
}

// monitorOf is the process of a run's monitor.
func monitorOf(t *testing.T, space, name string) (pid int) {
	t.Helper()
	eventually(t, "the monitor of "+name+" runs", func(ctx context.Context) (bool, error) {
		list, err := client(t, inside.Admin).CoreV1().Pods(space).List(ctx, metav1.ListOptions{
			LabelSelector: "metaml/run=" + bare(name) + ",app.kubernetes.io/component=monitor",
		})
		if err != nil || len(list.Items) != 1 {
			return false, err
		}
		found, err := inside.InPod(string(list.Items[0].UID), "metaml-monitor")
		if err != nil || len(found) != 1 {
			return false, fmt.Errorf("%d, %w", found, err)
		}
		pid = found[0]
		return true, nil
	})
	return pid
}

// holds looks four times a second at what a process holds by itself, until the test ends. It gives the median of what
// it held in a time, in bytes; 0 where it was not there.
func holds(t *testing.T, pid int) (held func(from, to time.Time) int) {
	t.Helper()
	type sample struct {
		at    time.Time
		bytes int
	}
	var mu sync.Mutex
	var all []sample
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(time.Second / 4):
				if now, ok := memoryOf(pid); ok {
					mu.Lock()
					all = append(all, sample{time.Now(), now.own})
					mu.Unlock()
				}
			}
		}
	})
	t.Cleanup(looking.Wait) // the test's context has ended by then
	return func(from, to time.Time) int {
		mu.Lock()
		defer mu.Unlock()
		var sizes []int
		for _, one := range all {
			if one.at.After(from) && one.at.Before(to) {
				sizes = append(sizes, one.bytes)
			}
		}
		if len(sizes) == 0 {
			return 0
		}
		slices.Sort(sizes)
		return sizes[len(sizes)/2]
	}
}
