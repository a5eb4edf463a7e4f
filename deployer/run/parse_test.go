package run_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/metaml/metaml/deployer/run"
)

// FuzzParseEvent compares the parser with encoding/json, on any line, after any other.
func FuzzParseEvent(f *testing.F) {
	trial, exit, seed, step := 7, 139, int64(1849205755), 1e-7
	for _, e := range []run.Event{
		{Type: run.EventPlanned, Completions: 1000, Parallelism: 2},
		{Type: run.EventTrialStarted, Trial: &trial, Attempt: 1, PID: 44, Seed: &seed},
		{Type: run.EventTrialReport, Trial: &trial, Step: &step, Metrics: run.Metrics{"loss": 0.1, "a\"b": -3e200}},
		{Type: run.EventTrialReport, Trial: &trial, Metrics: run.Metrics{"loss": math.NaN(), "gain": math.Inf(-1)}},
		{
			Type: run.EventTrialEnded, Trial: &trial, State: run.Failed, Reason: run.ReasonSignal, Exit: &exit,
			Error: &run.Error{Type: "ValueError", Text: "<é]}", Frames: []run.Frame{{File: "a.py", Line: 3}}},
		},
		{Type: run.EventTrialWaiting, Trial: &trial, Reason: "unschedulable", Text: "0/1: \\ \"two\"\n> 1", Hint: "…"},
	} {
		e.V, e.Source, e.Seq, e.N, e.Run = 1, "monitor", 3, 3, "train-1"
		e.Time = time.Date(2026, 11, 29, 12, 0, 0, 5, time.UTC)
		line, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	for _, line := range []string{
		`{}`, ``, `{`, `null`, `{"type":"note",}`, `{"type":"note"} `, `{"type":"note"}{}`, ` { "type" : "note" } `,
		`{"Type":"note","new":[1]}`, `{"type":null,"trial":null,"metrics":null,"error":null}`, `{,"v":1}`,
		`{"v":1 "n":2}`,
		`{"v":01}`, `{"v":-0}`, `{"v":1.0}`, `{"v":9223372036854775808}`, `{"seconds":1e999}`, `{"seconds":.5}`,
		`{"type":"a","type":"\ud800","source":"x` + "\xff" + `"}`, `{"metrics":{"a":1,"a":2},"metrics":{"b":"nan"}}`,
		`{"metrics":{"a":"one"}}`, `{"metrics":[]}`, `{"trial":1,"trial":2}`, `{"time":"2026-11-29T12:00:00+01:00"}`,
		`{"time":"2026-11-29"}`, `{"time":null}`, `{"error":{"type":"A"},"error":{"text":"b"}}`, `{"text":"\"}`,
		`{"error":}`, `{"error":{]}`, `{"exit":"1"}`, `{"text":5}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var p run.EventParser
		for range 2 { // the second time it has seen the line before
			got, err := p.Parse(line)
			var want run.Event
			wantErr := json.Unmarshal(line, &want)
			if (err != nil) != (wantErr != nil) {
				t.Fatalf("%q: got the error %v, want %v", line, err, wantErr)
			}
			if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); err == nil && d != "" {
				t.Fatalf("%q (-encoding/json +parser):\n%s", line, d)
			}
		}
	})
}

// BenchmarkParseEvent reads the line that every trial has.
func BenchmarkParseEvent(b *testing.B) {
	line := []byte(`{"v":1,"source":"monitor","seq":3003,"n":3003,"time":"2026-11-29T15:27:16.726161132Z",` +
		`"run":"fit-1","trial":999,"attempt":1,"type":"trial.ended","seconds":0.00875852,"metrics":{"loss":0.999},` +
		`"state":"succeeded","exit":0}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	var p run.EventParser
	for b.Loop() {
		if _, err := p.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}
