//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/metaml/metaml/deployer/folder"
	runs "github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/test/cluster/internal/faultproxy"
	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// lines is a sweep whose trials print numbered lines on both streams, of all lengths, and report as often, until they
// are released; then they do the rest at once. Trial 1 fails then, and the process of trial 2 is killed once.
var lines = strings.ReplaceAll(`
import os, signal, sys, time
import metaml

rows = [{"x": i} for i in range(4)]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": 4})
def fit(x):
    i, left = 0, 200
    while left > 0:
        print("out", i, "x" * (i * 37 % 1500), flush=True)
        print("err", i, file=sys.stderr, flush=True)
        metaml.report(step=i, loss=i + x / 10)
        i += 1
        if os.path.exists("RELEASED"):
            left -= 1
        else:
            time.sleep(0.04)
        if x == 2 and i == 100 and metaml.attempt() == 1:
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
    if x == 1:
        sys.exit(3)
    return {"reports": i}
`, "RELEASED", released)

// groupSize is how many follow a run at the same time, each with a seed.
const groupSize = 10

// faultSeeds are the seeds to play, in groups that follow a run together. METAML_SEEDS says how many,
// SIMULATION_SEED=n plays the group of seed n.
func faultSeeds(t *testing.T) (groups [][]uint64) {
	t.Helper()
	first, count := uint64(0), number(t, "METAML_SEEDS", groupSize)
	if seed := number(t, "SIMULATION_SEED", 0); os.Getenv("SIMULATION_SEED") != "" {
		first, count = seed/groupSize*groupSize, groupSize
	}
	var seeds []uint64
	for n := range count {
		seeds = append(seeds, first+n)
	}
	return slices.Collect(slices.Chunk(seeds, groupSize))
}

// number is what a variable says, or otherwise where it says nothing.
func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// follower is somebody who follows a run over connections on which things go wrong.
type follower struct {
	*person
	seed  uint64
	proxy *faultproxy.Proxy
}

// String says how to repeat what happened to somebody.
func (f *follower) String() string {
	return fmt.Sprintf("seed %d (SIMULATION_SEED=%[1]d repeats it)", f.seed)
}

// newFollower is a new machine, with a network of its own.
func newFollower(t *testing.T, space string, seed uint64) *follower {
	t.Helper()
	p := newPerson(t, inside.Admin, space)
	config, err := clientcmd.LoadFromFile(here(t).Kubeconfig(inside.Admin))
	if err != nil {
		t.Fatal(err)
	}
	var proxy *faultproxy.Proxy
	for _, one := range config.Clusters {
		server, err := url.Parse(one.Server)
		if err != nil {
			t.Fatal(err)
		}
		if proxy, err = faultproxy.Start(t.Context(), server.Host, faultproxy.Rough(seed)); err != nil {
			t.Fatal(err)
		}
		one.Server, one.TLSServerName = "https://"+proxy.Address(), server.Hostname()
	}
	t.Cleanup(proxy.Close)
	path := filepath.Join(p.home, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "KUBECONFIG="+path)
	return &follower{p, seed, proxy}
}

// attach attaches to a run, again and again where the cluster cannot be reached, until the run has ended.
func (f *follower) attach(ctx context.Context, name string) error {
	for {
		c := exec.CommandContext(ctx, binary(f.t), "attach", name)
		c.Env, c.Dir = f.env, f.home
		text, err := c.CombinedOutput()
		exit, ended := errors.AsType[*exec.ExitError](err)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("attach did not end: %s", text)
		case err == nil:
			return nil
		case !ended || exit.ExitCode() != 2 || !bytes.Contains(text, []byte("cluster ")):
			return fmt.Errorf("attach: %w: %s", err, text)
		}
		f.t.Logf("seed %d: attach once more after %s", f.seed, text)
	}
}

// record is the folder of a run on somebody's machine.
func (p *person) record(name string) (r folder.Run, is bool) {
	found, err := filepath.Glob(filepath.Join(p.home, "data/metaml/runs/.mirrors/kubernetes/*", bare(name)))
	if err != nil || len(found) != 1 {
		return "", false
	}
	return folder.Run(found[0]), true
}

// hears reports whether the record of a run has a report that was made since then, and came from the monitor.
func (p *person) hears(name string, since time.Time) bool {
	const tail = 32 << 10
	r, is := p.record(name)
	if !is {
		return false
	}
	file, err := os.Open(r.Events())
	if err != nil {
		return false
	}
	defer file.Close()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-tail), io.SeekStart)
	}
	events, err := io.ReadAll(file)
	if err != nil {
		return false
	}
	var parser runs.EventParser
	for line := range bytes.Lines(events) {
		e, err := parser.Parse(line)
		if err == nil && e.Type == runs.EventTrialReport && !e.Last && e.Time.After(since) {
			return true
		}
	}
	return false
}

// story is what a record says of a run: of each attempt how it ended, and what it reported and printed.
type story map[runs.AttemptID]*attemptStory

type attemptStory struct {
	ends    []string // state and reason
	reports []string // step and value
	log     string
}

// knows reads the record of a run.
func (p *person) knows(name string) (story, error) {
	r, is := p.record(name)
	if !is {
		return nil, errors.New("there is no record")
	}
	all := story{}
	err := r.EachEvent(func(e runs.Event) error {
		if e.Trial == nil || e.Attempt == 0 {
			return nil
		}
		id := runs.AttemptID{Trial: *e.Trial, Number: e.Attempt}
		if all[id] == nil {
			all[id] = &attemptStory{}
		}
		switch {
		case e.Type == runs.EventTrialEnded:
			all[id].ends = append(all[id].ends, fmt.Sprint(e.State, " ", e.Reason))
		case e.Type == runs.EventTrialReport && !e.Last:
			all[id].reports = append(all[id].reports, reported(*e.Step, e.Metrics))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for id, one := range all {
		log, err := os.ReadFile(r.Stream(id.Trial, id.Number, folder.Stdout))
		if err != nil {
			return nil, err
		}
		one.log = string(log)
	}
	return all, nil
}

// ways are how the attempts of lines end.
var ways = map[runs.AttemptID]string{
	{Trial: 0, Number: 1}: "succeeded ", {Trial: 1, Number: 1}: "failed exit",
	{Trial: 2, Number: 1}: "failed signal", {Trial: 2, Number: 2}: "succeeded ", {Trial: 3, Number: 1}: "succeeded ",
}

// right checks what is known by what the trials do; without logs of a story out of the cluster, which has their ends.
func (k story) right(logs bool) error {
	var wrong []error
	for id := range k {
		if _, is := ways[id]; !is {
			wrong = append(wrong, fmt.Errorf("there is an attempt %d of trial %d", id.Number, id.Trial))
		}
	}
	for id, way := range ways {
		one := k[id]
		if one == nil {
			wrong = append(wrong, fmt.Errorf("attempt %d of trial %d is missing", id.Number, id.Trial))
			continue
		}
		note := func(what string, want, got []string) {
			if d := differs(want, got); d != "" {
				wrong = append(wrong, fmt.Errorf("attempt %d of trial %d %s %s", id.Number, id.Trial, what, d))
			}
		}
		note("ended as", []string{way}, one.ends)
		steps := len(one.reports)
		if logs {
			steps = strings.Count(one.log, "out ")
		}
		if id == (runs.AttemptID{Trial: 2, Number: 1}) {
			steps = 100
		}
		var out, errs, reports []string
		for i := range max(steps, 100) {
			out = append(out, fmt.Sprintln("out", i, strings.Repeat("x", i*37%1500)))
			errs = append(errs, fmt.Sprintln("err", i))
			reports = append(reports, reported(float64(i), runs.Metrics{"loss": float64(i) + float64(id.Trial)/10}))
		}
		note("reported", reports, one.reports)
		if logs {
			lines := slices.Collect(strings.Lines(one.log))
			without := func(other string) (its []string) {
				for _, line := range lines {
					if !strings.HasPrefix(line, other) {
						its = append(its, line)
					}
				}
				return its
			}
			note("printed on standard output", out, without("err "))
			note("printed on standard error", errs, without("out "))
		}
	}
	return errors.Join(wrong...)
}

func reported(step float64, metrics runs.Metrics) string {
	return fmt.Sprint(step, " ", metrics["loss"])
}

// differs says where a list differs first from what it is to be; "": nowhere.
func differs(want, got []string) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%d of %d, the first that is missing is %.60q", len(got), len(want), want[i])
		case i >= len(want):
			return fmt.Sprintf("%d instead of %d, the first too many is %.60q", len(got), len(want), got[i])
		case want[i] != got[i]:
			from := 0
			for from < min(len(want[i]), len(got[i])) && want[i][from] == got[i][from] {
				from++
			}
			from = max(0, from-20)
			return fmt.Sprintf("%.60q in number %d of %d, want %.60q", got[i][from:], i, len(want), want[i][from:])
		}
	}
	return ""
}

// same checks that a log is byte for byte that of another record.
func (k story) same(other story) error {
	var wrong []error
	for id, one := range other {
		if k[id] != nil && k[id].log != one.log {
			wrong = append(wrong, fmt.Errorf("the log of attempt %d of trial %d is another one: %s", id.Number,
				id.Trial, differs(strings.SplitAfter(one.log, "\n"), strings.SplitAfter(k[id].log, "\n"))))
		}
	}
	return errors.Join(wrong...)
}

// tells is what the record of a run on somebody's machine is made of, for whoever looks for what went wrong: its events
// with their times, reports that follow each other in one line; how far logs were copied; what came from the monitor;
// and what the process that followed the run said.
func (p *person) tells(name string) string {
	r, is := p.record(name)
	if !is {
		return "there is no record"
	}
	var text strings.Builder
	const clock = "15:04:05.000"
	type kind struct {
		runs.AttemptID
		last bool
	}
	var (
		of    kind
		count int
		until runs.Event
	)
	reports := func() {
		if count > 0 {
			fmt.Fprintf(&text, "  %d reports of %d/%d, last ones: %t, to event %d, %s, step %v\n", count, of.Trial,
				of.Number, of.last, until.N, until.Time.Format(clock), deref(until.Step))
		}
		count = 0
	}
	err := r.EachEvent(func(e runs.Event) error {
		if e.Type == runs.EventTrialReport && e.Trial != nil {
			is := kind{runs.AttemptID{Trial: *e.Trial, Number: e.Attempt}, e.Last}
			if is != of {
				reports()
			}
			of, until = is, e
			count++
			return nil
		}
		reports()
		fmt.Fprintf(&text, "  %d %s %s", e.N, e.Time.Format(clock), e.Type)
		if e.Trial != nil {
			fmt.Fprintf(&text, " %d/%d", *e.Trial, e.Attempt)
		}
		fmt.Fprintln(&text, "", e.State, e.Reason, e.Code, e.Text)
		return nil
	})
	reports()
	if err != nil {
		fmt.Fprintln(&text, err)
	}
	for _, pattern := range []string{
		"trials/*/attempts/*/log.json", "collected/*/source.json", "collected/*/*", "monitor.log", "outputs.json",
	} {
		files, _ := filepath.Glob(filepath.Join(string(r), pattern)) // the pattern is right
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				continue
			}
			path, _ := filepath.Rel(string(r), file)
			fmt.Fprintf(&text, "  %s %s: %d bytes", info.ModTime().Format(clock), path, info.Size())
			if data, err := os.ReadFile(file); err == nil && len(data) < 1000 {
				fmt.Fprintf(&text, " %s", strings.TrimSpace(string(data)))
			}
			fmt.Fprintln(&text)
		}
	}
	return text.String()
}

func deref(step *float64) any {
	if step == nil {
		return nil
	}
	return *step
}

// looks checks what a person sees of the run.
func (p *person) looks(name string) error {
	s, d := p.show(name), p.detail(name)
	var wrong []error
	if s.State != "succeeded" || s.counts("succeeded") != 3 || s.counts("failed") != 1 {
		wrong = append(wrong, fmt.Errorf("it is %+v", s))
	}
	if d.LastOnly {
		wrong = append(wrong, errors.New("it is said that values are missing"))
	}
	steps := map[int]int{}
	for _, row := range d.History {
		trial := int(row[2].(float64))
		if row[0] == 0.0 && trial == 2 && steps[trial] == 100 {
			steps[trial] = 0 // it began again
		}
		if row[0] != float64(steps[trial]) {
			wrong = append(wrong, fmt.Errorf("of trial %d step %v is where %d should be", trial, row[0], steps[trial]))
			break
		}
		steps[trial]++
	}
	for i, one := range s.Trials {
		if n := one.Metrics["reports"]; i != 1 && (n != float64(steps[i]) || n == 0) {
			wrong = append(wrong, fmt.Errorf("trial %d made %v reports, and %d are seen", i, n, steps[i]))
		}
	}
	return errors.Join(wrong...)
}

// Whatever happens to the connections of somebody who follows a run, their record is right in the end: nothing of what
// happened in the cluster, was reported or printed is missing, and nothing is there twice.
func TestNothingIsLostOrComesTwiceWhateverConnectionsDo(t *testing.T) { //nolint:tparallel // ten at a time
	t.Parallel()
	sum := map[faultproxy.Kind]int{}
	for _, seeds := range faultSeeds(t) {
		t.Run(fmt.Sprintf("seeds %d to %d", seeds[0], seeds[len(seeds)-1]), func(t *testing.T) {
			for kind, n := range followed(t, seeds) {
				sum[kind] += n
			}
		})
	}
	t.Logf("what went wrong: %v", sum)
	for _, kind := range []faultproxy.Kind{
		faultproxy.Refuse, faultproxy.Silent, faultproxy.FIN, faultproxy.RST, faultproxy.Up, faultproxy.Down,
		faultproxy.Both, faultproxy.Stall, faultproxy.Aged, faultproxy.Outages, faultproxy.Jitter, faultproxy.Slow,
	} {
		if sum[kind] == 0 {
			t.Errorf("%q did not happen", kind)
		}
	}
}

// faulty is how long connections are bad.
const faulty = 15 * time.Second

// followed has a run followed by one for each seed, checks what each has of it, and gives what went wrong on their
// ways.
func followed(t *testing.T, seeds []uint64) map[faultproxy.Kind]int {
	t.Helper()
	space := namespace(t)
	calm := newPerson(t, inside.Admin, space)
	name := calm.submits(lines)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var (
		all      []*follower
		attached sync.WaitGroup
	)
	for _, seed := range seeds {
		f := newFollower(t, space, seed)
		all = append(all, f)
		attached.Go(func() {
			if err := f.attach(ctx, name); err != nil {
				f.t.Errorf("%s: %v", f, err)
			}
		})
	}
	defer attached.Wait()
	defer cancel()
	calm.sees(name, "all run", func(s shown) bool { return s.counts("running") == 4 })
	since := time.Now()
	<-time.After(faulty)
	calm.sees(name, "trial 2 runs again", func(s shown) bool {
		return s.Trials[2].Attempt == 2 && s.Trials[2].State == "running"
	})
	for _, f := range all {
		f.proxy.Quiet()
	}
	quiet := time.Now()
	// Every other run ends while some connections are still half-open.
	for _, f := range all {
		if seeds[0]/groupSize%2 == 0 {
			eventually(t, f.String()+" follows the run again", func(context.Context) (bool, error) {
				return f.hears(name, quiet), nil
			})
		}
		t.Logf("seed %d: after %s, %v", f.seed, time.Since(quiet).Round(time.Second), f.proxy.Counts())
	}
	again := time.Now()
	releases(t, space)
	attached.Wait()
	calm.sees(name, "it has ended", func(s shown) bool { return s.State == "succeeded" })
	t.Logf("%s until all run, %s with faults, %s until all follow it again, %s until all have ended",
		since.Sub(began).Round(time.Second), quiet.Sub(since).Round(time.Second), again.Sub(quiet).Round(time.Second),
		time.Since(again).Round(time.Second))

	undisturbed, err := calm.knows(name)
	if err == nil {
		err = errors.Join(undisturbed.right(true), calm.looks(name))
	}
	if err != nil {
		t.Errorf("who followed it undisturbed: %v\n%s", err, calm.tells(name))
	}
	sum := map[faultproxy.Kind]int{}
	for _, f := range all {
		for kind, n := range f.proxy.Counts() {
			sum[kind] += n
		}
		has, err := f.knows(name)
		if err == nil {
			err = errors.Join(has.right(true), has.same(undisturbed), f.looks(name))
		}
		if err != nil {
			t.Errorf("%s: %v\nits record:\n%s", f, err, f.tells(name))
		}
	}
	// What is kept in the cluster is all that somebody has who comes later.
	withoutPods(t, space, name)
	later := newPerson(t, inside.Admin, space)
	later.must("runs", "--target", "kubernetes", "--namespace", space)
	if err := later.looks(name); err != nil {
		t.Errorf("the record in the cluster: %v", err)
	}
	if has, err := later.knows(name); err != nil {
		t.Error(err)
	} else if err := has.right(false); err != nil {
		t.Errorf("the record in the cluster: %v", err)
	}
	return sum
}
