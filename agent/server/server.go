// Package server makes of deployer/engine/serve, which decides, of agent, which runs workers, and of agent/front, the
// HTTP side, the two processes that a server has beside its workers: its monitor ([Run]) and its front ([Front]). A
// program that can be the one is the other, too: the monitor starts its own program with `front`.
//
// It imports agent, agent/front, deployer/engine/serve and what those need.
package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/metaml/metaml/agent"
	"github.com/metaml/metaml/agent/front"
	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/engine/serve"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

// Options say which server a monitor has, and where it is.
type Options struct {
	Folder folder.Run
	Name   string
	Resume bool // a server that has ended is started again
	// Listeners are the sockets that a front hands over whose monitor died; on Takeover it waits for the news that
	// there is another front.
	Listeners, Takeover []*os.File
	Leave               <-chan struct{} // see [serve.Options]

	// Pod says that the server has a pod for itself: what the pod has is its own, and its folder goes with the pod.
	Pod         bool
	ExpectedKey string // of the codes in expected.json
}

// Run is the life of a server's monitor. It returns when the server has ended, [folder.ErrLocked] if another monitor is
// there.
func Run(ctx context.Context, o Options) error {
	module, err := pymodule.Dir()
	if err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	procs, err := agent.NewProcesses()
	if err != nil {
		return err
	}
	defer procs.Close()
	err = serve.Run(ctx, serve.Options{
		Folder: o.Folder, Resume: o.Resume, Listeners: o.Listeners, Leave: o.Leave,
		Sweep: func(ctx context.Context, spec run.Spec) error {
			return agent.SweepServer(ctx, procs, o.Folder, spec.Name)
		},
		Supervise: func(job engine.Job) (engine.Supervisor, error) {
			return agent.New(agent.Options{
				Spec: job.Spec, Folder: job.Folder, Module: module, Processes: procs, Environ: job.Environ,
				KeepGPUs: o.Pod, NoLock: o.Pod, KeepLoads: o.Pod, ExpectedKey: o.ExpectedKey,
			})
		},
		StartFront: func(listeners []*os.File, update func(run.FrontUpdate)) (serve.Front, error) {
			return startFront(o.Folder, binary, procs, listeners, update)
		},
		TakenOver: func() {
			for _, waiting := range o.Takeover {
				_, _ = waiting.Write([]byte{1})
				_ = waiting.Close()
			}
		},
	})
	if !errors.Is(err, folder.ErrLocked) {
		_ = agent.RemoveSockets(o.Folder, o.Name) // the next monitor would, too
	}
	return err
}

// startFront starts a front that hands its updates over until it has ended.
func startFront(
	f folder.Run, binary string, procs *agent.Processes, listeners []*os.File, update func(run.FrontUpdate),
) (serve.Front, error) {
	log, err := folder.OpenOwn(f.FrontLog(), os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("make the front's log: %w", err)
	}
	defer log.Close()
	process, err := front.Start(front.Options{
		Folder: string(f), Binary: binary, Log: log, Listeners: listeners,
		Spawn: func(argv []string, files []*os.File) (front.Child, error) { return procs.Spawn(argv, files) },
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for u := range process.Updates() {
			update(u)
		}
	}()
	return process, nil
}

// controlDescriptor is the socket to the monitor that started a front.
const controlDescriptor = 3

// ErrUsage says that the arguments of a command are wrong.
var ErrUsage = errors.New("the arguments are wrong")

// Front is the HTTP side of a server, `PROGRAM front --dir RUNDIR`, with the arguments after `front`. It is started by
// the server's monitor (docs/internals/protocols.md §6). One that is alone ends with its monitor, and starts no other.
func Front(ctx context.Context, args []string, alone bool) error {
	flags := flag.NewFlagSet("front", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("dir", "", "the server's folder")
	descriptors := flags.String("listener", "",
		"the descriptors of the server's listening sockets, which are kept for the monitor after this one: 4,5")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if *dir == "" || flags.NArg() > 0 {
		return ErrUsage
	}
	path, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	// The monitor says when to end; a terminal's signals are for whoever sits there.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	return front.Main(ctx, front.MainOptions{
		Folder: path, Control: os.NewFile(controlDescriptor, "control"), Listeners: Inherited(*descriptors),
		Log: os.Stderr, Alone: alone,
	})
}

// Inherited gives the files behind a list of descriptors, "4,5".
func Inherited(list string) []*os.File {
	var files []*os.File
	for number := range strings.SplitSeq(list, ",") {
		if n, err := strconv.Atoi(number); err == nil && n > 2 {
			syscall.CloseOnExec(n)
			files = append(files, os.NewFile(uintptr(n), "descriptor "+number))
		}
	}
	return files
}
