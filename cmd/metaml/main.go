// Command metaml runs what is in a notebook cell, a notebook, a script or a program folder, and looks after runs: plan,
// runs, show, logs, attach, stop, resume, delete. The kernel and the Python module start it as well, and speak with it
// over its standard streams (docs/internals/protocols.md §1, internal/launch).
//
// A verb is a file; root.go lists them, app.go has what they share. Everything but a verb's result goes to standard
// error.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(mainCode(newApp())) }

func mainCode(a *app) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A reader that has gone, as in `metaml plan … | head`, is an error of the write and no sudden end: what we made is
	// removed. It is caught and dropped, since children would inherit that it is ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return execute(ctx, a, os.Args[1:])
}
