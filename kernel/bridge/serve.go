package bridge

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/metaml/metaml/kernel/sockets"
	"github.com/metaml/metaml/kernel/wire"
)

// Waits of the kernel's end.
const (
	stopPatience = 3 * time.Second        // from SIGTERM to SIGKILL
	flushWait    = time.Second            // for front ends to take the last messages
	parentEvery  = 500 * time.Millisecond // how often the parent is checked
	closeWait    = 2 * time.Second        // from ipykernel's iopub's end to that of its other sockets
)

// serve starts the wrapped kernel and follows it to its end.
func (b *Bridge) serve(ctx context.Context, interrupts <-chan os.Signal) (int, error) {
	if b.cfg.ModuleDir == "" && b.cfg.ModuleError != nil {
		b.moduleFailed(b.cfg.ModuleError.Error())
	}
	if b.cfg.PythonError != nil {
		return b.serveStandIn(ctx, interrupts, b.cfg.PythonError.Error())
	}
	iopub := b.subscribe()
	c, err := startChild(b.childArgv(), b.childEnv(), b.childPrinted)
	if err != nil {
		return b.serveStandIn(ctx, interrupts,
			fmt.Sprintf("%s; choose another with --python PATH or METAML_PYTHON", err))
	}
	orphaned, stuck := b.watchParent(), b.watchEnd(iopub)
	for {
		select {
		case <-interrupts:
			// The group's SIGINT has reached the wrapped kernel too.
			b.gate.Interrupt()
		case <-ctx.Done():
			err := c.stop(stopPatience)
			b.drain(append(b.clients.all(), iopub)...)
			return exitCode(err), nil
		case <-orphaned:
			b.log.Warn("the process that started this kernel is gone; ending")
			_ = c.stop(stopPatience)
			return 1, nil
		case <-stuck:
			b.log.Warn("the wrapped kernel was to shut down and hangs while it closes its sockets; ending it")
			_ = c.stop(stopPatience)
			b.answerShutdowns()
			b.drain()
			return 0, nil
		case err := <-c.ended:
			if missing := b.missing(c, iopub); missing != "" {
				return b.serveStandIn(ctx, interrupts, missing)
			}
			b.drain(append(b.clients.all(), iopub)...)
			b.answerShutdowns()
			b.drain()
			code := exitCode(err)
			switch {
			case b.quitting.Load() && crashed(code):
				// The same race as in watchEnd may end in libzmq's abort(). The user's program is over by then.
				b.log.Warn("the wrapped kernel was to shut down and crashed while it closed its sockets", "code",
					code, "its last lines", c.tail())
				return 0, nil
			case code != 0 && !b.quitting.Load():
				b.log.Error("the wrapped kernel ended", "code", code, "its last lines", c.tail())
			}
			return code, nil
		}
	}
}

// crashed says whether an exit code is that of a process that the C library or the machine ended.
func crashed(code int) bool {
	return code == 128+int(syscall.SIGABRT) || code == 128+int(syscall.SIGSEGV)
}

// missing says what is not installed, when that is why the wrapped kernel never began.
func (b *Bridge) missing(c *child, iopub *sockets.Peer) string {
	if iopub.Connected() {
		return ""
	}
	for _, name := range []string{"ipykernel_launcher", "ipykernel"} {
		if strings.Contains(c.tail(), "No module named "+name) ||
			strings.Contains(c.tail(), "No module named '"+name+"'") {
			return fmt.Sprintf("ipykernel is not installed in %s: run `%s -m pip install ipykernel`, then restart "+
				"the kernel",
				b.cfg.Python, b.cfg.Python)
		}
	}
	return ""
}

// drain lets the wrapped kernel's last messages reach the front ends.
func (b *Bridge) drain(open ...*sockets.Peer) {
	deadline := time.NewTimer(flushWait)
	defer deadline.Stop()
	for _, p := range open {
		if !p.Connected() {
			continue
		}
		select {
		case <-p.Done():
		case <-deadline.C:
			return
		}
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		n := 0
		for _, s := range b.servers {
			n += s.Queued()
		}
		if n == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return
		}
	}
}

// watchEnd closes its channel when ipykernel hangs in its own end. There is a race in it:
// the main thread closes iopub's thread and joins control's, which may still be about to
// publish its idle and then waits for ever. By then all of the user's program has ended.
func (b *Bridge) watchEnd(iopub *sockets.Peer) <-chan struct{} {
	stuck := make(chan struct{})
	b.wg.Go(func() {
		select {
		case <-iopub.Done():
		case <-b.ctx.Done():
			return
		}
		wait := time.NewTimer(closeWait)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-b.ctx.Done():
			return
		}
		for _, p := range b.clients.all() {
			if b.quitting.Load() && p.Connected() && p.Err() == nil {
				close(stuck)
				return
			}
		}
	})
	return stuck
}

// watchParent closes its channel when the process that started us is gone. Like
// ipykernel, it watches only when that process gave its id.
func (b *Bridge) watchParent() <-chan struct{} {
	gone := make(chan struct{})
	named, err := strconv.Atoi(os.Getenv("JPY_PARENT_PID"))
	if err != nil || named <= 1 {
		return gone
	}
	first := os.Getppid()
	b.wg.Go(func() {
		tick := time.NewTicker(parentEvery)
		defer tick.Stop()
		for {
			select {
			case <-b.ctx.Done():
				return
			case <-tick.C:
			}
			now := os.Getppid()
			if (first == named && now != named) || (first != named && first != 1 && now == 1) {
				close(gone)
				return
			}
		}
	})
	return gone
}

// serveStandIn answers for an ipykernel that cannot run, until it is shut down.
func (b *Bridge) serveStandIn(ctx context.Context, interrupts <-chan os.Signal, why string) (int, error) {
	b.log.Error(why)
	s := &standIn{bridge: b, why: why, quit: make(chan struct{})}
	b.standIn.Store(s)
	// What came while the wrapped kernel was awaited is answered now.
	for _, left := range b.clients.unsent() {
		if m, err := wire.Parse(left.frames); err == nil {
			if h, err := wire.ParseHeader(m.Header()); err == nil {
				s.answer(left.client, left.channel, m, h)
			}
		}
	}
	b.clients.dropAll()
	orphaned := b.watchParent()
	for {
		select {
		case <-interrupts:
		case <-ctx.Done():
			return 1, nil
		case <-orphaned:
			return 1, nil
		case <-s.quit:
			b.drain()
			return 0, nil
		}
	}
}
