package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// newTestOutput makes the output of a trial that has not begun, and gives what comes onto each stream.
func newTestOutput(t *testing.T) (o *output, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return newOutput(folder.Run(t.TempDir()), run.AttemptID{Trial: 3, Number: 1}, stdout, stderr), stdout, stderr
}

// lines gives the events in a log, and what else is in it.
func lines(log *bytes.Buffer) (events []run.Event, rest string) {
	for line := range strings.Lines(log.String()) {
		if e, ok := pod.ParseLine([]byte(line)); ok {
			events = append(events, e)
		} else {
			rest += line
		}
	}
	return events, rest
}

func reported(step, loss float64) run.Event {
	return run.Event{Type: run.EventTrialReport, Step: &step, Metrics: run.Metrics{"loss": loss}}
}

func TestReportsComeOnceASecond(t *testing.T) {
	o, _, stderr := newTestOutput(t)
	now := time.Unix(1e9, 0)
	for i := range 60 { // 50 milliseconds each, half of the time with something to report
		if i < 30 {
			o.take(reported(float64(i), float64(i)))
		}
		o.write(now.Add(time.Duration(i)*lookEvery), false)
	}
	events, rest := lines(stderr)
	if rest != "" {
		t.Errorf("beside events there is %q", rest)
	}
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprint(*e.Trial, *e.Step, e.Metrics["loss"], e.Last))
	}
	if want := []string{"3 0 0 false", "3 20 20 true", "3 29 29 true"}; !slices.Equal(got, want) {
		t.Errorf("trial, step, loss and whether others were in between are %q, want %q", got, want)
	}
}

func TestALineBeginsWhereBothStreamsDo(t *testing.T) {
	for _, c := range []struct {
		name           string
		stdout, stderr string
		after          time.Duration // of waiting
		last           bool
		written        bool
		rest           string
	}{
		{"at their beginning", "", "", 0, false, true, ""},
		{"after whole lines", "one\n", "two\n", 0, false, true, "two\n"},
		{"not in a line of standard error", "one\n", "50%\r", 0, false, false, "50%\r"},
		{"not in a line of standard output", "loss", "two\n", 4 * time.Second, false, false, "two\n"},
		{"but not never", "loss", "50%\r", breakAfter, false, true, "50%\r\n"},
		{"and at the end", "", "50%\r", 0, true, true, "50%\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, _, stderr := newTestOutput(t)
			for i, text := range []string{c.stdout, c.stderr} {
				if _, err := o.streams[i].Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			now := time.Unix(1e9, 0)
			o.take(reported(1, 0.5))
			o.take(run.Event{Type: run.EventNote, Code: "differs", Text: "text"})
			o.write(now, c.last)
			o.write(now.Add(c.after), c.last)
			events, rest := lines(stderr)
			if written := len(events) == 2; written != c.written || rest != c.rest {
				t.Errorf("%d events, %q", len(events), rest)
			}
		})
	}
}

func TestMetricsThatFindNoPlaceComeInTheNextLine(t *testing.T) {
	o, _, stderr := newTestOutput(t)
	many := run.Metrics{strings.Repeat("long", 2000): 1}
	for i := range 300 {
		many["metric "+strings.Repeat("i", i%7)+string(rune('0'+i%10))+strings.Repeat("x", i)] = float64(i)
	}
	now := time.Unix(1e9, 0)
	o.take(run.Event{Type: run.EventTrialReport, Metrics: many})
	got := 0
	for i := range 60 {
		o.write(now.Add(time.Duration(i)*reportEvery), false)
	}
	events, _ := lines(stderr)
	for _, e := range events {
		got += len(e.Metrics)
	}
	if got != 300 || len(o.report.Metrics) != 0 {
		t.Errorf("%d metrics in %d lines, %d are left", got, len(events), len(o.report.Metrics))
	}
}
