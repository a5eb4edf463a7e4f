package cell

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/metaml/metaml/internal/usererror"
)

// maxTalks bounds the conversations at one time; detached ones count.
const maxTalks = 256

// Server listens where $_METAML_SOCKET points and runs a conversation for each
// connection.
type Server struct {
	gate     *Gate
	listener *net.UnixListener
	metaml   func() (argv, env []string, err error)
	cancel   context.CancelCauseFunc
	wg       sync.WaitGroup

	mu    sync.Mutex
	talks int
}

// Listen makes the socket at path, readable by its owner alone. metaml gives the
// command to start, or says why there is none.
func Listen(
	ctx context.Context, path string, gate *Gate, metaml func() (argv, env []string, err error),
) (*Server, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for cells: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("make %s private: %w", path, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s := &Server{gate: gate, listener: l, metaml: metaml, cancel: cancel}
	s.wg.Go(func() { s.accept(ctx) })
	return s, nil
}

func (s *Server) accept(ctx context.Context) {
	for {
		c, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			if c != nil {
				_ = c.Close()
			}
			return
		}
		if err != nil {
			s.gate.log.Warn("a cell could not connect", "error", err)
			select { // out of descriptors: do not spin
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		s.mu.Lock()
		full := s.talks >= maxTalks
		if !full {
			s.talks++
		}
		s.mu.Unlock()
		if full {
			(&Conversation{py: c}).refuse(usererror.CodeTooManyCells,
				fmt.Sprintf("%d runs are followed by this kernel already", maxTalks),
				"Restart the kernel: the runs go on, and `%metaml attach` shows one again.")
			_ = c.Close()
			continue
		}
		s.wg.Go(func() {
			defer func() {
				s.mu.Lock()
				s.talks--
				s.mu.Unlock()
			}()
			s.gate.talk(ctx, c, func() (*process, error) {
				argv, env, err := s.metaml()
				if err != nil {
					return nil, err
				}
				return startProcess(argv, env, s.gate.log)
			})
		})
	}
}

// Detach lets every run go: no further cell is taken, and each `metaml` ends by itself.
func (s *Server) Detach() { s.cancel(errDetached) }

var errDetached = errors.New("the kernel lets its runs go")

// Close detaches from every run and waits up to patience for the `metaml` processes,
// which need a moment to notice; none is killed.
func (s *Server) Close(patience time.Duration) {
	s.cancel(errDetached)
	_ = s.listener.Close()
	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
	}
}
