package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/metaml/metaml/internal/launch"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// maxAsked bounds the runs that a question names.
const maxAsked = 10

// confirm asks on the terminal whether runs are to be removed, and refuses where nobody can be asked.
func (a *app) confirm(ctx context.Context, older string, names []string) error {
	what := fmt.Sprintf("%s that ended more than %s ago: %s", prose.Count(len(names), "run"), older,
		strings.Join(names[:min(len(names), maxAsked)], ", "))
	if more := len(names) - maxAsked; more > 0 {
		what += fmt.Sprintf(" and %d more", more)
	}
	in, ok := a.in.(*os.File)
	var ask *os.File
	if ok && term.IsTerminal(int(in.Fd())) {
		ask, _ = os.OpenFile("/dev/tty", os.O_WRONLY, 0) // whatever the streams are redirected to
	}
	if ask == nil {
		return &usererror.Error{
			Code: usererror.CodeConfirm, Text: "--older would delete " + what,
			Hint: "--yes deletes them, with their outputs; --dry-run only lists them.",
		}
	}
	defer ask.Close()
	fmt.Fprintf(ask, "delete %s, with outputs and logs? [y/N] ", what)
	said := make(chan string, 1)
	go func() { // ends with its line, or with the process
		line, _ := bufio.NewReader(in).ReadString('\n')
		said <- line
	}()
	select {
	case line := <-said:
		if answer := strings.ToLower(strings.TrimSpace(line)); answer == "y" || answer == "yes" {
			return nil
		}
		fmt.Fprintln(a.err, "nothing was deleted")
		return launch.ErrInterrupted
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
