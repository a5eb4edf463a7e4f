// Command metaml-build has a BuildKit make an image: standard input has one line, a request of deployer/image/builder,
// and standard output gets lines of answers, the last of which says what came of it. It ends when its input is closed.
//
// It is a program of its own since BuildKit's client takes as long to start as all of metaml. Exit status: 0 the last
// line says what came of it; 1 the request cannot be read; 2 wrong usage.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/deployer/image/builder"
	"github.com/metaml/metaml/deployer/image/builder/solve"
)

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "version" || os.Args[1] == "--version") {
		fmt.Println("metaml-build", metaml.Version())
		return
	}
	if len(os.Args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: metaml-build <REQUEST\n       metaml-build version")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "metaml-build: %v\n", err)
		os.Exit(1)
	}
}

var errClosed = errors.New("the input was closed")

func run(in io.Reader, out io.Writer) error {
	reader := bufio.NewReader(in)
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read a request: %w", err)
	}
	var request builder.Request
	if err := json.Unmarshal(line, &request); err != nil {
		return fmt.Errorf("read a request: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // it ends with the input, or with the program
		_, _ = io.Copy(io.Discard, reader)
		cancel(errClosed)
	}()
	var turn sync.Mutex
	answers := json.NewEncoder(out)
	var broken error
	solve.Run(ctx, request, func(answer builder.Answer) {
		turn.Lock()
		defer turn.Unlock()
		if err := answers.Encode(answer); err != nil && broken == nil {
			broken = err
			cancel(err) // nobody reads
		}
	})
	return broken
}
