package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch"
)

func exportCommand(a *app) *cobra.Command {
	var o fileOptions
	var (
		dockerfile     string
		serviceMonitor bool
	)
	c := &cobra.Command{
		Use:   "export NOTEBOOK.ipynb|SCRIPT.py|PROGRAM-FOLDER",
		Short: "Print what would run on a cluster as YAML that kubectl apply takes, and start nothing",
		Long: "Print what would run on a cluster as YAML that kubectl apply takes, and start nothing:\n\n" +
			"  metaml export sweep.py --target kubernetes --image IMAGE | kubectl apply -f -\n\n" +
			"What is printed needs nothing of MetaML to run. A sweep's name is the one that the next run of the " +
			"function would get. Once it is applied, metaml runs\n--target kubernetes lists it, and every command " +
			"takes it like any other run. Apply it once: another run is exported anew.\n\n" +
			"A server that is exported is its Deployment and all that this needs, without MetaML: metaml runs does " +
			"not list it. Its pods say to\nPrometheus by annotations where their metrics are; --service-monitor " +
			"adds a ServiceMonitor of the Prometheus Operator.\n\n" +
			"The value of a secret is not exported; --secret takes only one that the namespace has: " +
			"--secret NAME=SECRET/KEY.\n\n" +
			"With --dockerfile FOLDER the image of the run is exported in place of the run: Dockerfile, " +
			"requirements.txt, the program as a script\nwith a command line, and a module that stands in for " +
			"metaml. docker build FOLDER makes the same environment.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := o.source(cmd, args)
			if err != nil {
				return err
			}
			if dockerfile != "" {
				return a.exportDockerfile(cmd.Context(), source, dockerfile)
			}
			return a.exportFile(cmd.Context(), source, serviceMonitor)
		},
	}
	fileFlags(c, &o)
	c.Flags().BoolVar(&serviceMonitor, "service-monitor", false,
		"add a ServiceMonitor of a server, for a cluster that has the Prometheus Operator")
	c.Flags().StringVar(&dockerfile, "dockerfile", "", "write a `FOLDER` that docker build makes the image of")
	return c
}

// exportDockerfile writes what docker makes the image of what is in a file of.
func (a *app) exportDockerfile(ctx context.Context, source launch.Source, folder string) error {
	return a.ofImage(ctx, source, func(ctx context.Context, s *launch.Submission, to launch.Progress) error {
		return s.WriteDockerfile(ctx, folder, to)
	})
}

// exportFile prints what would run and starts nothing.
func (a *app) exportFile(ctx context.Context, source launch.Source, serviceMonitor bool) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	source.Export = true
	s, plan, err := a.planned(ctx, source)
	if err != nil {
		return err
	}
	defer s.Close()
	if serviceMonitor && plan.Spec.Kind != run.Serve {
		return usage("--service-monitor is for a server, and %s is a run", plan.Spec.Name)
	}
	plan.ServiceMonitor = serviceMonitor
	text, err := s.Export(ctx, plan)
	if err != nil {
		return launch.OrInterrupted(ctx, err)
	}
	for _, remark := range slices.Concat(plan.Before, plan.Notes) {
		fmt.Fprintln(a.err, remark)
	}
	_, err = view.Raw(a.out).Write(text)
	return err
}
