package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func logsCommand(a *app) *cobra.Command {
	var (
		trial, attempt int
		follow         bool
		stream         string
	)
	c := &cobra.Command{
		Use: "logs [RUN[:TRIAL]]", Short: "Print what a trial printed", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeRuns,
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
			door, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT)
			defer stop()
			err = door.Target.Log(ctx, listed.Spec.Name, trial, attempt, stream, follow, a.out)
			if ctx.Err() != nil && cmd.Context().Err() == nil {
				return errInterrupted
			}
			return err
		},
	}
	c.Flags().IntVar(&trial, "trial", 0, "which trial")
	c.Flags().IntVar(&attempt, "attempt", 0, "which attempt, from 1; the latest without it")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the trial ends")
	c.Flags().StringVar(&stream, "stream", "both", "stdout, stderr or both")
	return c
}

// ignoreInterrupt is a context for what must be finished once it began.
func ignoreInterrupt(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }
