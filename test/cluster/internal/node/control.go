//go:build linux

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// control answers requests at a socket until it is closed.
func control(ctx context.Context, path string, supervisor *supervisor) (closeAll func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for requests to the cluster: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			all.Go(func() {
				defer connection.Close()
				defer context.AfterFunc(ctx, func() { connection.Close() })()
				serve(ctx, connection, supervisor)
			})
		}
	})
	return func() {
		cancel(errors.New("the cluster ends"))
		listener.Close()
		all.Wait()
	}, nil
}

// serve answers the one request of a connection. It waits for a started server for as long as the asker does.
func serve(ctx context.Context, connection net.Conn, supervisor *supervisor) {
	var request inside.Request
	if err := json.NewDecoder(connection).Decode(&request); err != nil {
		return // whoever asked has gone
	}
	ctx, cancel := context.WithTimeout(ctx, inside.Patience)
	defer cancel()
	var failed error
	switch request.Verb {
	case inside.Kill:
		failed = supervisor.kill(request.Server)
	case inside.Start:
		if failed = supervisor.launch(request.Server); failed == nil {
			failed = supervisor.await(ctx, request.Server)
		}
	default:
		failed = fmt.Errorf("the cluster cannot %q a server", request.Verb)
	}
	var answer inside.Answer
	if failed != nil {
		answer.Error = failed.Error()
	}
	// Whoever asked may have gone.
	_ = json.NewEncoder(connection).Encode(answer)
}
