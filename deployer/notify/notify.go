// Package notify runs a command of the user's when a run is done. What the command has to know is in its environment
// and on its standard input, never in its text, so that no name and no metric is ever read by a shell.
//
// Read [Run] first. The package imports deployer/run, deployer/folder and deployer/view.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/internal/prose"
)

// Patience is how long the command may take.
const Patience = time.Minute

// message is what the command reads on its standard input, one JSON object.
type message struct {
	V         int        `json:"v"`
	Name      string     `json:"name"`
	State     run.Phase  `json:"state"`
	Reason    run.Reason `json:"reason"`
	Summary   string     `json:"summary"`
	Trials    int        `json:"trials"`
	Succeeded int        `json:"succeeded"`
	Failed    int        `json:"failed"`
	Stopped   int        `json:"stopped"`
	Seconds   float64    `json:"seconds"`
	Best      *best      `json:"best"`
	Source    string     `json:"source"`
	Folder    string     `json:"folder"`
}

type best struct {
	Trial   int         `json:"trial"`
	Metric  string      `json:"metric"` // that decided; "" where it is the only trial that succeeded
	Metrics run.Metrics `json:"metrics"`
}

// Run starts the command by /bin/sh in the run's working directory and waits until it has ended, at most [Patience].
// What went wrong comes back as a note; nil is none.
func Run(ctx context.Context, spec *run.Spec, in folder.Run, state *run.State, patience time.Duration) *run.Note {
	if why := in.Own(spec); why != "" {
		return note("--notify was not started: the folder of the run "+why, "")
	}
	m := newMessage(spec, in, state)
	data, err := json.Marshal(m)
	if err != nil {
		return note(fmt.Sprintf("--notify was not started: %v", err), "")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errHung)
	defer cancel()
	output := &tail{}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", spec.Notify)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(data, '\n')), output, output
	cmd.Env = append(os.Environ(),
		"METAML_RUN="+m.Name,
		"METAML_STATE="+string(m.State),
		"METAML_SUMMARY="+strings.ReplaceAll(m.Summary, "\x00", ""))
	cmd.Dir = spec.Cwd
	if info, err := os.Stat(cmd.Dir); err != nil || !info.IsDir() {
		cmd.Dir = string(in)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// With all that it started.
	cmd.Cancel = func() error { return process.SignalGroup(cmd.Process.Pid, syscall.SIGKILL) }
	// for what it leaves in the background
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.Is(context.Cause(ctx), errHung):
		return note(fmt.Sprintf("--notify had not ended after %s and was killed", prose.Duration(patience)),
			output.last())
	default:
		return note(fmt.Sprintf("--notify failed: %v", err), output.last())
	}
}

// errHung is the cause of the end of a command that took longer than its patience.
var errHung = errors.New("the command took too long")

// note is a note of the run, with the last line of what the command printed.
func note(text, output string) *run.Note {
	if output != "" {
		text += ": " + output
	}
	return &run.Note{Code: run.NoteNotify, Text: text}
}

// newMessage says how a run ended.
func newMessage(spec *run.Spec, in folder.Run, s *run.State) message {
	c := s.Count()
	m := message{
		V: 1, Name: spec.Name, State: s.Phase, Reason: s.Reason, Trials: len(s.Trials), Succeeded: c.Succeeded,
		Failed: c.Failed, Stopped: c.Stopped,
		Seconds: s.Ended.Sub(spec.Created).Seconds(), Source: spec.Source, Folder: string(in),
		Summary: view.New(view.Facts{Spec: *spec, NoPage: true}, s, s.Ended).Headline(),
	}
	if i, err := s.Best(); err == nil {
		m.Best = &best{Trial: i, Metrics: s.Trials[i].Metrics}
		if o, err := s.Objective(); err == nil {
			m.Best.Metric = o.Metric
		}
	}
	return m
}

// tail keeps the end of what a command prints.
type tail struct{ data []byte }

// maxTail bounds what is kept, in bytes.
const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if len(t.data) > maxTail {
		t.data = append([]byte(nil), t.data[len(t.data)-maxTail:]...)
	}
	return len(p), nil
}

// last gives the last line.
func (t *tail) last() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.data), "?"))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
