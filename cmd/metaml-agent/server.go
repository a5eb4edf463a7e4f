package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/metaml/metaml/agent"
	"github.com/metaml/metaml/agent/front"
	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/engine/serve"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

// serverMain is the life of a server's monitor: it joins deployer/engine/serve, which decides, with agent, which runs
// the workers, and agent/front, the HTTP side. listeners are the sockets that a front hands over whose monitor died; on
// takeover it waits for the news that there is another front.
func serverMain(ctx context.Context, f folder.Run, name string, resume bool, listeners, takeover []*os.File) error {
	module, err := pymodule.Dir()
	if err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find metaml-agent: %w", err)
	}
	procs, err := agent.NewProcesses()
	if err != nil {
		return err
	}
	defer procs.Close()
	err = serve.Run(ctx, serve.Options{
		Folder: f, Resume: resume, Listeners: listeners,
		Sweep: func(ctx context.Context, spec run.Spec) error { return agent.SweepServer(ctx, procs, f, spec.Name) },
		Supervise: func(job engine.Job) (engine.Supervisor, error) {
			return agent.New(agent.Options{
				Spec: job.Spec, Folder: job.Folder, Module: module, Processes: procs, Environ: job.Environ,
			})
		},
		StartFront: func(listeners []*os.File, update func(run.FrontUpdate)) (serve.Front, error) {
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
		},
		TakenOver: func() {
			for _, waiting := range takeover {
				_, _ = waiting.Write([]byte{1})
				_ = waiting.Close()
			}
		},
	})
	if !errors.Is(err, folder.ErrLocked) {
		_ = agent.RemoveSockets(f, name) // the next monitor would, too
	}
	return err
}
