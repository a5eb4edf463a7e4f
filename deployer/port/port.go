// Package port says which ports of this machine a server gets that asks for none: the same ones, in the same order, for
// each server of a series, so that its address stays.
//
// It imports deployer/run alone.
package port

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/metaml/metaml/deployer/run"
)

// The ports that servers get which ask for none: below those that systems give to clients.
const (
	First = 20_000
	Last  = First + count - 1
	count = 12_000
)

// Of gives all of these ports, beginning with the one that is the server's own.
func Of(spec *run.Spec) iter.Seq[int] {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", spec.Owner, spec.Source, spec.Series))
	start := int(binary.BigEndian.Uint32(sum[:]) % count)
	return func(yield func(int) bool) {
		for i := range count {
			if !yield(First + (start+i)%count) {
				return
			}
		}
	}
}

// Taken reports whether a port cannot be had and another may be.
func Taken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, os.ErrPermission)
}

// Listen listens on this machine alone, where the server answered last (0 is nowhere), else at the first of its ports
// that is free.
func Listen(ctx context.Context, spec *run.Spec, before int) (net.Listener, error) {
	at := func(port int) (net.Listener, error) {
		return (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	if before > 0 {
		if l, err := at(before); err == nil || ctx.Err() != nil {
			return l, err
		}
	}
	for port := range Of(spec) {
		if l, err := at(port); !Taken(err) {
			return l, err
		}
	}
	return nil, None()
}

// None is the error when none of the ports is free.
func None() error { return fmt.Errorf("none of the ports %d to %d is free", First, Last) }
