package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	agentserver "github.com/metaml/metaml/agent/server"
	"github.com/metaml/metaml/agent/setup"
	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// workName is the working directory in the server's folder.
const workName = "work"

// server is the server of this pod: one revision.
type server struct {
	in      setup.Input
	folder  folder.Run
	message string // file of the termination message
	python  string
	model   string         // folder of the model; "": there is none
	service netip.AddrPort // of the Service; the zero value: it is not tried
	linger  time.Duration
	port    int
	times   serviceTimes

	spec     run.Spec
	key      string // of the codes in expected.json
	output   *output
	leave    chan struct{} // closed when clients are to go elsewhere
	stopping atomic.Bool   // SIGTERM came
}

func newServer() *server {
	return &server{output: newOutput(os.Stdout, os.Stderr), leave: make(chan struct{}), times: usualTimes}
}

// run serves until the end and gives the exit code. It is the whole life of a pod.
func (s *server) run() int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	prepared, stopPreparing := context.WithCancelCause(ctx)
	defer stopPreparing(nil)
	laid := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() {
		select {
		case <-ctx.Done():
			return
		case <-terminated:
		}
		s.stopping.Store(true)
		stopPreparing(engine.ErrTerminated)
		select {
		case <-ctx.Done():
		case <-laid:
			s.end(ctx, cancel)
		}
	})
	note, err := s.prepare(prepared)
	if s.stopping.Load() {
		cancel(nil)
		beside.Wait()
		return pod.ExitSucceeded
	}
	if err != nil {
		cancel(nil)
		beside.Wait()
		return s.unable(err)
	}
	if note != nil {
		s.output.note(s.spec.Server.Revision, *note)
	}
	s.output.open(s.folder, s.spec)
	close(laid)
	beside.Go(func() { s.output.keep(ctx) })
	if s.service.IsValid() {
		beside.Go(func() { s.tryService(ctx) })
	}
	err = agentserver.Run(ctx, agentserver.Options{
		Folder: s.folder, Name: s.spec.Name, Leave: s.leave, Pod: true, ExpectedKey: s.key,
	})
	cancel(nil)
	beside.Wait()
	return s.ended(err)
}

// end ends a server that was signalled to: it goes on serving while its clients go elsewhere, and then answers what it
// has. One that does not answer yet ends at once.
func (s *server) end(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-s.output.ready:
		close(s.leave)
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.linger):
		}
	default:
	}
	if err := s.folder.AppendStop(folder.Stop{Time: time.Now().UTC()}); err != nil {
		fmt.Fprintln(os.Stderr, "metaml-server:", err)
		cancel(engine.ErrTerminated) // without a drain, which cannot be requested
	}
}

// prepare makes the server's folder. What the image has otherwise than the session is a note.
func (s *server) prepare(ctx context.Context) (*run.Note, error) {
	var err error
	if s.spec, err = s.in.Spec(); err != nil {
		return nil, err
	}
	if s.spec.Server == nil || s.spec.Server.Revision < 1 {
		return nil, fmt.Errorf("%s is not that of a server's revision", pod.SpecName)
	}
	if s.key, err = setup.Take(pod.ExpectedKeyVariable); err != nil {
		return nil, err
	}
	python, err := setup.FindPython(s.python)
	if err != nil {
		return nil, err
	}
	return s.in.Lay(ctx, python, func() error { return s.lay(python) })
}

// lay puts what is to run into the server's folder.
func (s *server) lay(python string) error {
	if err := empty(s.folder); err != nil {
		return err
	}
	if err := folder.ReplaceJSON(s.folder.Spec(), s.spec); err != nil { // first, which says whose folder it is
		return err
	}
	if err := setup.Adapt(&s.spec, python, filepath.Join(string(s.folder), workName)); err != nil {
		return err
	}
	own := *s.spec.Server
	own.Host, own.Port, own.Replicas = anyAddress(), s.port, 1 // this pod is one of them
	s.spec.Server, s.spec.Completions = &own, max(own.Workers, 1)
	if err := folder.ReplaceJSON(s.folder.Spec(), s.spec); err != nil {
		return err
	}
	if own.Locked() {
		if err := s.layToken(); err != nil {
			return err
		}
	}
	revision := s.folder.Revision(own.Revision)
	if err := s.in.UnpackProgram(revision, s.spec.Cwd); err != nil {
		return err
	}
	if err := s.in.UnpackModel(revision.Model()); err != nil {
		return err
	}
	if s.model != "" {
		if err := link(s.model, revision.Model()); err != nil {
			return fmt.Errorf("find the server's model: %w", err)
		}
	}
	return folder.ReplaceJSON(revision.Spec(), s.spec)
}

// layToken puts what callers must have where the front's monitor reads it.
func (s *server) layToken() error {
	data, err := s.in.Read(pod.TokenName)
	if err != nil {
		return fmt.Errorf("requests must have the server's token, which is not there: %w", err)
	}
	token, err := run.ReadToken(data)
	if err != nil {
		return &os.PathError{Op: "read the server's token in", Path: filepath.Join(s.in.Dir, pod.TokenName), Err: err}
	}
	return s.folder.WriteToken(token)
}

// link makes a link to a folder, which must be there.
func link(to, path string) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	if _, err := os.ReadDir(to); err != nil {
		return err
	}
	return os.Symlink(to, path)
}

// empty removes what a container before this one left in the server's folder: where a pod's container is started again,
// its folders are still there. What is no server's folder is left alone.
func empty(f folder.Run) error {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(string(f), 0o700)
	}
	if err != nil || len(entries) == 0 {
		return err
	}
	ours := func(e os.DirEntry) bool { return strings.Contains(e.Name(), filepath.Base(f.Spec())) }
	if !slices.ContainsFunc(entries, ours) {
		return &os.PathError{
			Op: "make the server's folder", Path: string(f),
			Err: errors.New("it has something else in it: give the server one of its own by --dir"),
		}
	}
	for _, e := range entries {
		if e.Name() == filepath.Base(f.Spec()) {
			continue // last, so that the folder is known until it is empty
		}
		if err := os.RemoveAll(filepath.Join(string(f), e.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(f.Spec())
}

// anyAddress is where the server listens: at all addresses of the pod, those of IPv6 among them where it has any.
func anyAddress() string {
	addresses, _ := net.InterfaceAddrs() // without them it is as in most clusters
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is6() &&
			prefix.Addr().IsGlobalUnicast() {
			return netip.IPv6Unspecified().String()
		}
	}
	return netip.IPv4Unspecified().String()
}

// unable ends a pod in which nothing can run: so it would be in all others, unless the pod itself is to blame.
func (s *server) unable(err error) int {
	fmt.Fprintln(os.Stderr, "metaml-server:", err)
	code, reason := pod.ExitProgram, run.ReasonImage
	if setup.Ours(err) {
		code, reason = pod.ExitOurs, run.ReasonFolder
	}
	if folder.NoSpace(err) {
		reason = run.ReasonDisk
	}
	return s.failed(code, reason, err)
}

// failed says that the server failed for an error, and gives the exit code.
func (s *server) failed(code int, reason run.Reason, err error) int {
	e := run.Event{
		Type: run.EventServerFailed, Time: time.Now().UTC(), Revision: 1, Reason: reason, Text: err.Error(),
	}
	if s.spec.Server != nil {
		e.Revision = s.spec.Server.Revision
	}
	s.output.own(e)
	s.say(e)
	return code
}

// ended says why the server cannot go on, if that is why it has ended.
func (s *server) ended(err error) int {
	terminated := s.stopping.Load() && errors.Is(err, engine.ErrTerminated)
	if err != nil && !terminated {
		fmt.Fprintln(os.Stderr, "metaml-server:", err)
		reason := run.ReasonInternal
		switch {
		case folder.NoSpace(err):
			reason = run.ReasonDisk
		case setup.Ours(err), errors.Is(err, engine.ErrDeleted):
			reason = run.ReasonFolder
		}
		return s.failed(pod.ExitOurs, reason, err)
	}
	failed, ready := s.output.failure()
	if failed == nil || s.stopping.Load() {
		return pod.ExitSucceeded
	}
	s.say(*failed)
	switch {
	case failed.Reason.Ours() && failed.Reason != run.ReasonImage, failed.Reason == run.ReasonPort:
		return pod.ExitOurs
	case ready:
		return pod.ExitFailed
	}
	return pod.ExitProgram
}

// say writes the termination message.
func (s *server) say(failed run.Event) {
	message := pod.ServerMessage{
		Revision: failed.Revision, Reason: failed.Reason, Text: failed.Text, Hint: failed.Hint,
		Error: failed.Error, Lines: s.output.lastLines(),
	}
	if err := os.WriteFile(s.message, message.Encode(), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, "metaml-server: the termination message cannot be written:", err)
	}
}
