//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
)

// logFolder is where servers write, each to a file NAME.log.
const logFolder = "/var/log"

// supervisor starts servers, and is the one who knows whether they run. The end of the namespaces ends them all.
type supervisor struct {
	servers map[string]server

	// mu guards what is below.
	mu      sync.Mutex
	running map[string]*process
	ended   []string // sentences about servers that ended of their own
}

// process is a server that was started.
type process struct {
	command *exec.Cmd
	// meant says that somebody wanted it to end.
	meant bool
	// over is closed when it has ended.
	over chan struct{}
}

func newSupervisor(all []server) *supervisor {
	s := &supervisor{servers: map[string]server{}, running: map[string]*process{}}
	for _, one := range all {
		s.servers[one.name] = one
	}
	return s
}

// launch starts a server that does not run, and does not wait for it.
func (s *supervisor) launch(name string) error {
	server, known := s.servers[name]
	if !known {
		return fmt.Errorf("the cluster has no server %q", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[name] != nil {
		return fmt.Errorf("%s runs already", name)
	}
	log, err := os.OpenFile(logFolder+"/"+name+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(server.args[0], server.args[1:]...) //nolint:noctx // it ends with the namespaces
	command.Stdout, command.Stderr = log, log
	// Ctrl-C is not for servers.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	started := &process{command: command, over: make(chan struct{})}
	s.running[name] = started
	go s.watch(name, started)
	return nil
}

// watch waits for a server's end.
func (s *supervisor) watch(name string, started *process) {
	// How it ended is in the state.
	_ = started.command.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, name)
	if !started.meant {
		s.ended = append(s.ended, fmt.Sprintf("%s ended by itself: %v\n%s", name, started.command.ProcessState,
			lastLines(logFolder+"/"+name+".log")))
	}
	close(started.over)
}

// await waits until a server that was launched can be used.
func (s *supervisor) await(ctx context.Context, name string) error {
	s.mu.Lock()
	started := s.running[name]
	s.mu.Unlock()
	if started == nil {
		return errors.New(s.whyEnded(name))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-started.over:
			cancel(errors.New(s.whyEnded(name)))
		case <-stop:
		}
	}()
	return until(ctx, name+" is ready", s.servers[name].ready)
}

func (s *supervisor) whyEnded(name string) string {
	for _, text := range slices.Backward(s.unexpected()) {
		if len(text) > len(name) && text[:len(name)+1] == name+" " {
			return text
		}
	}
	return name + " does not run"
}

// kill ends a server as kill -9 does, and waits for its end.
func (s *supervisor) kill(name string) error { return s.signal(name, syscall.SIGKILL) }

// signal tells a server to end, and waits for its end.
func (s *supervisor) signal(name string, signal syscall.Signal) error {
	s.mu.Lock()
	started := s.running[name]
	if started != nil {
		started.meant = true
	}
	s.mu.Unlock()
	if started == nil {
		return fmt.Errorf("there is no server %q that runs", name)
	}
	if err := started.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", name, err)
	}
	<-started.over
	return nil
}

// unexpected are sentences about the servers that ended of their own.
func (s *supervisor) unexpected() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ended)
}

// lastLines is the end of a log.
func lastLines(path string) string {
	const size = 2000
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-size):])
}
