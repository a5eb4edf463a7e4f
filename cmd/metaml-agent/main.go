// Command metaml-agent is the first process of every trial: `metaml-agent monitor --dir RUNDIR` looks after one run on
// this machine until it has ended (docs/internals/engine.md), and `metaml-agent front --dir RUNDIR` is the HTTP side of
// a server (docs/reference/serving.md).
//
// It joins deployer/engine/train, which decides, with agent, which runs trials; agent/server does so for servers. Start
// with [monitorMain]. Exit status: 0 the run has ended, or another monitor looks after it; 1 it
// cannot go on, said on standard error; 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/agent"
	"github.com/metaml/metaml/agent/server"
	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/engine/train"
	"github.com/metaml/metaml/deployer/engine/train/board"
	"github.com/metaml/metaml/deployer/engine/train/scalars"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/notify"
	"github.com/metaml/metaml/deployer/run"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

const usage = `usage: metaml-agent monitor --dir RUNDIR [--resume] [--detach]
       metaml-agent front --dir RUNDIR
       metaml-agent version`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	switch os.Args[1] {
	case "monitor":
		os.Exit(monitorMain(os.Args[2:]))
	case "front":
		os.Exit(frontMain(os.Args[2:]))
	case "version", "--version":
		fmt.Println("metaml-agent", metaml.Version())
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}

func monitorMain(args []string) int {
	flags := flag.NewFlagSet("metaml-agent monitor", flag.ContinueOnError)
	dir := flags.String("dir", "", "the run's folder")
	resume := flags.Bool("resume", false,
		"go on with the unfinished trials of a run that has ended, or start a server again")
	apart := flags.Bool("detach", false, "start the monitor as nobody's child, and end")
	descriptors := flags.String("listener", "",
		"the descriptors of a server's listening sockets, from a front whose monitor died: 4,5")
	takeover := flags.String("takeover", "",
		"the descriptor on which that front waits for the news that there is another")
	if flags.Parse(args) != nil || *dir == "" || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	path, err := filepath.Abs(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "metaml-agent:", err)
		return 1
	}
	// A terminal's signals are for whoever sits there: a run is stopped by `metaml stop`. They are caught and dropped,
	// since children would inherit that they are ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	if *apart {
		if err := detach(path, *resume); err != nil {
			fmt.Fprintln(os.Stderr, "metaml-agent:", err)
			return 1
		}
		return 0
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		cancel(engine.ErrTerminated)
	}()
	listeners := server.Inherited(*descriptors)
	switch err := monitorRun(ctx, folder.Run(path), *resume, listeners, server.Inherited(*takeover)); {
	case err == nil, errors.Is(err, folder.ErrLocked):
		return 0
	default:
		fmt.Fprintln(os.Stderr, "metaml-agent:", err)
		return 1
	}
}

// frontMain is the HTTP side of a server.
func frontMain(args []string) int {
	err := server.Front(context.Background(), args, false)
	if errors.Is(err, server.ErrUsage) {
		fmt.Fprintln(os.Stderr, usage)
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "metaml-agent:", err)
		return 1
	}
	return 0
}

// monitorRun looks after a run, of whichever kind it is.
func monitorRun(ctx context.Context, f folder.Run, resume bool, listeners, takeover []*os.File) error {
	if spec, err := f.ReadSpec(); err == nil && spec.Kind == run.Serve {
		return server.Run(ctx, server.Options{
			Folder: f, Name: spec.Name, Resume: resume, Listeners: listeners, Takeover: takeover,
		})
	}
	return train.Run(ctx, train.Options{
		Folder: f, Resume: resume, Supervise: supervise,
		Notify: func(ctx context.Context, spec *run.Spec, state *run.State) *run.Note {
			return notify.Run(ctx, spec, f, state, notify.Patience)
		},
	})
}

// supervise makes what runs the attempts, with what is wrapped around it.
func supervise(job engine.Job) (train.Supervisor, error) {
	module, err := pymodule.Dir()
	if err != nil {
		return nil, err
	}
	sup, err := agent.New(agent.Options{Spec: job.Spec, Folder: job.Folder, Table: job.Table, Module: module})
	if err != nil {
		return nil, err
	}
	return board.Wrap(scalars.Wrap(sup, job), job), nil
}
