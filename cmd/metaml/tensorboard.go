package main

import (
	"fmt"
	"net/url"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/kube/mirror"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/launch/watch"
	"github.com/metaml/metaml/internal/report"
	"github.com/metaml/metaml/internal/usererror"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

func tensorboardCommand(a *app) *cobra.Command {
	var port int
	c := &cobra.Command{
		Use: "tensorboard [RUN]", Short: "Show a run's TensorBoard; for a run that goes on with one, say where it is",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, listed, err := a.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			if listed.Spec.Kind == run.Serve {
				refused := &usererror.Error{
					Code: usererror.CodeTensorboard, Text: listed.Spec.Name + " is a server, and has no TensorBoard",
				}
				if u, err := url.Parse(report.Address(&listed)); err == nil && u.Host != "" {
					refused.Hint = "See http://" + u.Host + "/metrics for its figures."
				}
				return refused
			}
			if address := watch.LiveTensorBoard(&listed); address != "" {
				_, err := fmt.Fprintln(a.out, address)
				return err
			}
			python := listed.Spec.Python
			if run.ParseName(listed.Spec.Name).Place != "" {
				python = mirror.Python(client.Runs.Folder(listed.Spec.Name), &listed.Spec)
			}
			if python == "" || listed.NotOwn != "" { // it is not known, or names a program of somebody else's
				if python, err = a.launcher().FindPython(""); err != nil {
					return err
				}
			}
			if err := exec.CommandContext(cmd.Context(), python,
				pymodule.RunCode("import tensorboard")...).Run(); err != nil {
				return &usererror.Error{
					Code: usererror.CodeTensorboard, Text: "TensorBoard is not installed for " + python,
					Hint: "Install it with `" + python + " -m pip install tensorboard`.",
				}
			}
			// In our place, so that it ends with whoever ends us, however.
			argv := append([]string{python}, pymodule.RunTensorBoard(client.Runs.Scalars(listed.Spec.Name), port)...)
			return fmt.Errorf("start TensorBoard: %w", syscall.Exec(python, argv, a.environ))
		},
	}
	c.Flags().IntVar(&port, "port", 0, "port to listen on; 0 is any free one")
	return c
}
