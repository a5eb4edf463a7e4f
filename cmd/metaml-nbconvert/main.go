// Command metaml-nbconvert makes plain Python of notebooks: a script of all cells, a script of one function and all
// that it needs, a program folder, or a Flask application. Read [run] first. It may import the converter,
// deployer/settings for what stands on a cell's line, and deployer/view for what it says to people.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/deployer/view"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	stderr := view.Stream{To: os.Stderr}
	done := make(chan int, 1)
	go func() { done <- run(ctx, os.Args[1:], os.Stdin, os.Stdout, stderr) }()
	code := 0
	select {
	case code = <-done:
	case <-ctx.Done():
		// A read of a terminal or a pipe that nobody writes to has no end; a file that is being written has.
		writing.Lock()
	}
	if ctx.Err() != nil {
		_, _ = io.WriteString(stderr, "metaml-nbconvert: interrupted\n")
		code = exitInterrupted
	}
	stop()
	os.Exit(code)
}

// exitInterrupted is the exit code after a signal, as of the command metaml.
const exitInterrupted = 130

// run is the command, with its streams handed in.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stdout, usage)
		return 0
	}
	if o.version {
		_, _ = fmt.Fprintln(stdout, "metaml-nbconvert", metaml.Version())
		return 0
	}
	var all []job
	if err == nil {
		all, err = jobs(&o)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "metaml-nbconvert: %v\n", err)
		if _, ok := errors.AsType[usageError](err); ok {
			return 2
		}
		return 1
	}
	if o.functional() {
		return functions(ctx, &o, all, stdin, stdout, stderr)
	}
	results := scripts(ctx, &o, all, stdin, stdout, stderr)
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return report(&o, results, stdout, stderr)
}

// scripts converts whole notebooks, as many at a time as there are processors.
func scripts(ctx context.Context, o *options, all []job, stdin io.Reader, stdout, stderr io.Writer) []result {
	results := make([]result, len(all))
	if len(all) == 1 {
		results[0] = whole(ctx, o, all[0], stdin, stdout)
		return results
	}
	next, done := make(chan int), make(chan struct{})
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				if ctx.Err() == nil {
					results[i] = whole(ctx, o, all[i], stdin, stdout)
				}
				done <- struct{}{}
			}
		})
	}
	go func() {
		for i := range all {
			next <- i
		}
		close(next)
	}()
	screen := terminal(stderr)
	for i := range all {
		<-done
		if screen != nil && (i+1)%10 == 0 {
			_, _ = fmt.Fprintf(screen, "\r%d of %d", i+1, len(all))
		}
	}
	workers.Wait()
	if screen != nil {
		_, _ = io.WriteString(screen, "\r\x1b[K")
	}
	return results
}

// terminal is where somebody watches, below what makes control characters visible; nil where nobody does.
func terminal(stderr io.Writer) io.Writer {
	if s, ok := stderr.(view.Stream); ok {
		stderr = s.To
	}
	if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// report says what became of the notebooks, and gives the exit code.
func report(o *options, results []result, stdout, stderr io.Writer) int {
	code := 0
	for i := range results {
		r := &results[i]
		if r.Status == "failed" || r.Status == "differs" {
			code = 1
		}
		if o.asJSON {
			continue
		}
		say := func(level, text string, at place) { say(o, stderr, level, r.Input, text, at) }
		if r.Error != "" {
			say("error", r.Error, r.at)
		}
		var in annotator
		for i, p := range r.Problems {
			say("error", p, in.cell(o, r.Input, r.cells[i]))
		}
		for _, n := range r.Refused {
			say("error", n.String(), in.line(o, r.Input, n))
		}
		if r.Status == "differs" {
			say("error", r.Output+missing, place{})
		}
		for i, n := range r.Notes {
			if i < len(r.noted) {
				say("notice", n, in.line(o, r.Input, r.noted[i]))
			} else {
				say("notice", n, place{})
			}
		}
	}
	if o.asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(results); err != nil {
			_, _ = fmt.Fprintf(stderr, "metaml-nbconvert: write the results: %v\n", err)
			return 1
		}
		return code
	}
	if terminal(stderr) != nil {
		summary(results, stderr)
	}
	return code
}

// missing is what --check says of a file.
const missing = " is missing or another one: run metaml-nbconvert without --check"

// say prints a message about a notebook.
func say(o *options, w io.Writer, level, input, text string, at place) {
	if o.format == "github" {
		annotate(w, level, input, text, at)
		return
	}
	if input == "-" {
		input = "the input"
	}
	prefix := input + ": "
	if strings.HasPrefix(text, prefix) || strings.HasPrefix(text, input+" ") {
		prefix = ""
	}
	_, _ = fmt.Fprintln(w, prefix+text)
}

// summary says to somebody who watches what was written.
func summary(results []result, stderr io.Writer) {
	if len(results) == 1 {
		if r := results[0]; r.Output != "-" && r.Output != "" && (r.Status == "written" || r.Status == "unchanged") {
			_, _ = fmt.Fprintf(stderr, "%s: %s\n", r.Output, r.Status)
		}
		return
	}
	count := map[string]int{}
	for _, r := range results {
		count[r.Status]++
	}
	var parts []string
	for _, status := range []string{"written", "unchanged", "differs", "failed"} {
		if count[status] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[status], status))
		}
	}
	_, _ = fmt.Fprintln(stderr, strings.Join(parts, ", "))
}
