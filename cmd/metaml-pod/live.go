package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/send"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

const (
	finishTime  = 2 * time.Second  // for what is left at the end of a trial
	lately      = 30 * time.Second // a monitor that answered no later than that may answer again
	mostPrinted = 64 << 10         // bytes of each stream: the log of the pod has all, and may go with its node
	mostStopped = 5                // files of which the log says that they are not sent any further
)

// monitor is where the pod sends its files, as its variables say it.
type monitor struct {
	address, token, uid string
}

// live sends the trial's reports and its files for TensorBoard to the monitor of the run while they grow. Nothing
// depends on it: all that it says are notes in the log.
type live struct {
	sender *send.Sender
	note   func(run.Note)

	// of the sender's goroutine
	missed  bool // it was said that the monitor is not reached
	stopped int
}

// startLive begins to send; it gives nil where there is no monitor, or none that can be used. Whoever calls it calls
// finish. The notes go to the output.
func (t *trial) startLive(ctx context.Context) *live {
	if t.monitor.address == "" {
		return nil
	}
	l := &live{note: t.output.note}
	to, err := t.monitor.parse()
	if err == nil {
		source := collect.Source{
			ID: t.monitor.uid, Trial: t.attempt.Trial, Attempt: t.attempt.Number, Round: t.round,
		}
		l.sender, err = send.Start(ctx, to, source, t.sent(), l.say)
	}
	if err != nil {
		l.note(run.Note{
			Code: run.NoteMonitor, Text: "no live curves: " + err.Error(),
			Hint: harmless + " MetaML sets the variables of a pod: leave those that begin with METAML_ out of --env.",
		})
		return nil
	}
	return l
}

// parse reads the variables. The error does not say the token.
func (m monitor) parse() (send.Monitor, error) {
	address, err := netip.ParseAddrPort(m.address)
	switch {
	case err != nil:
		return send.Monitor{}, fmt.Errorf("%s is %q, which is no IP:PORT", pod.MonitorVariable, m.address)
	case m.token == "":
		return send.Monitor{}, errors.New(pod.MonitorTokenVariable + " is empty")
	case m.uid == "":
		return send.Monitor{}, errors.New(pod.UIDVariable + " is empty")
	}
	return send.Monitor{Address: address, Token: m.token}, nil
}

// sent are the files that are sent: the events, the beginning of what is printed, and of TensorBoard's files those that
// deployer/engine/train/scalars reads.
func (t *trial) sent() send.Files {
	const board = "tensorboard"
	folders := []send.Folder{
		{Name: board, Path: t.folder.Output(t.attempt.Trial)},
		{Name: board, Path: t.folder.Scalars(t.attempt.Trial), Linked: true}, // to files of the working directory
	}
	if t.spec.TrialCwd {
		folders = append(folders, send.Folder{Name: board, Path: t.folder.Cwd(t.attempt.Trial)})
	}
	stream := func(name string) string { return t.folder.Stream(t.attempt.Trial, t.attempt.Number, name) }
	return &send.Folders{
		Files: map[string]string{
			filepath.Base(t.folder.Events()): t.folder.Events(),
			folder.Stdout:                    stream(folder.Stdout), folder.Stderr: stream(folder.Stderr),
		},
		Most:    map[string]int64{folder.Stdout: mostPrinted, folder.Stderr: mostPrinted},
		Folders: folders,
		Want:    func(name string) bool { return strings.Contains(name, "tfevents") },
	}
}

// harmless is what every hint begins with.
const harmless = "Nothing else of the trial depends on it."

// say makes notes of what the sender says.
func (l *live) say(n collect.Note) {
	note := run.Note{Code: run.NoteMonitor}
	switch n.Kind {
	case collect.Unreached:
		l.missed = true
		note.Text = "no live curves: " + n.Text
		note.Hint = harmless + " Where a network policy is in the way, allow TCP from the run's pods to its monitor."
	case collect.Reached:
		if !l.missed {
			return // as it should be
		}
		note.Text = "the monitor is reached now: the curves are live, and have what came before"
	case collect.Stopped:
		if l.stopped++; l.stopped > mostStopped {
			return
		}
		note.Text = fmt.Sprintf("%s is not sent to the monitor any further: %s", n.File, n.Text)
		note.Hint = harmless
	}
	l.note(note)
}

// finish sends what is left, once nothing grows any more, and ends the sender. For a monitor that does not answer the
// pod does not wait.
func (l *live) finish(ctx context.Context) {
	patience := time.Duration(0)
	if silent, ever := l.sender.Silent(); ever && silent < lately {
		patience = finishTime
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = l.sender.Finish(ctx) // what does not arrive is in the log and in the termination message
}
