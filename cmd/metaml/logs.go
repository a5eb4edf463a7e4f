package main

import (
	"errors"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/report"
)

func logsCommand(a *app) *cobra.Command {
	var (
		trial, attempt int
		follow         bool
		stream         string
	)
	c := &cobra.Command{
		Use: "logs [RUN[:TRIAL]]", Short: "Print what a trial, or a server's worker, printed",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				name, n, err := parseTrial(args[0])
				if err != nil {
					return err
				}
				args[0] = name
				if n != nil {
					trial = *n
				}
			}
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT)
			defer stop()
			single := cmd.Flags().Changed("worker") || cmd.Flags().Changed("trial") || trial > 0 || attempt > 0
			out, end := report.LogWriter(a.out)
			if listed.Spec.Kind == run.Serve && !single {
				err = report.ServerLogs(ctx, out, client, &listed, stream, follow)
			} else {
				err = client.Runs.Log(ctx, listed.Spec.Name, trial, attempt, stream, follow, out)
			}
			err = errors.Join(err, end())
			if ctx.Err() != nil && cmd.Context().Err() == nil {
				return launch.ErrInterrupted
			}
			return err
		},
	}
	c.Flags().IntVar(&trial, "trial", 0, "which trial")
	c.Flags().IntVar(&trial, "worker", 0, "which worker of a server; without it, all of them one after the other")
	c.Flags().IntVar(&attempt, "attempt", 0, "which attempt, from 1; the latest without it")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the trial ends")
	c.Flags().StringVar(&stream, "stream", "both", "stdout, stderr or both")
	return c
}
