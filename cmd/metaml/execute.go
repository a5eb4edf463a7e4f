package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/usererror"
)

// The exit codes, as `metaml help exit-codes` lists them.
const (
	exitOK          = 0
	exitFailed      = 1   // the run failed, or something else went wrong
	exitUsage       = 2   // the command line, a setting or the code cannot be used; nothing was started
	exitInterrupted = 130 // interrupted, 128 + SIGINT
	exitUnread      = 141 // nobody reads what it prints any more, 128 + SIGPIPE
)

// errSaid ends a verb that failed and has said why already.
var errSaid = errors.New("failed")

// usage makes the error of a command line that cannot be used.
func usage(format string, args ...any) *usererror.Error {
	return usererror.New(usererror.CodeUsage, format, args...)
}

// execute runs one command line and gives its exit code: the one place where errors become codes and words.
func execute(ctx context.Context, a *app, args []string) int {
	root := newRoot(a) //nolint:contextcheck // each verb gets it from cobra, by ExecuteContext below
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	var (
		user   *usererror.Error
		gone   = errors.Is(err, syscall.EPIPE) // whoever read what we print
		hidden = gone || errors.Is(err, errSaid) || errors.Is(err, launch.ErrInterrupted)
	)
	if err != nil && !hidden {
		fmt.Fprintln(a.err, "metaml: "+launch.Message(err))
	}
	switch {
	case err == nil:
		return exitOK
	case gone:
		return exitUnread
	case errors.Is(err, launch.ErrInterrupted):
		return exitInterrupted
	case errors.As(err, &user):
		return exitUsage
	default:
		return exitFailed
	}
}
