package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube"
)

// gcPercent is how much garbage the process that follows a run lets pile up, in percent of what it uses.
const gcPercent = 50

// followCommand keeps the mirror of a run that is in a cluster. Whoever submits or attaches starts it, as a process of
// its own; people have no need to.
func followCommand() *cobra.Command {
	return &cobra.Command{
		Use: "follow RUN", Short: "Keep the record of a run in a cluster, until the run has ended", Hidden: true,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// It outlives the terminal that it was started from.
			signal.Ignore(syscall.SIGHUP, os.Interrupt)
			// It stays for as long as the run and has little to do: memory is dearer than time.
			debug.SetGCPercent(gcPercent)
			dir, err := folder.Runs()
			if err != nil {
				return err
			}
			if err := kube.New(dir).FollowRun(cmd.Context(), args[0]); err != nil {
				return fmt.Errorf("follow %s: %w", args[0], err)
			}
			return nil
		},
	}
}
