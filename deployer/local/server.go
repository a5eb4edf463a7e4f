package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Server gives the active server of which spec would be another revision, or nil.
func (t *Target) Server(ctx context.Context, spec run.Spec) (*run.Listed, error) {
	names, err := folder.Names(t.Dir)
	if err != nil {
		return nil, err
	}
	var newest *run.Listed
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if s, err := t.Folder(name).ReadSpec(); err != nil || !run.SameServer(&s, &spec) {
			continue
		}
		l, err := t.Exactly(name)
		if err == nil && l.Active() && !t.stopping(&l) &&
			(newest == nil || l.Spec.Created.After(newest.Spec.Created)) {
			newest = &l
		}
	}
	if newest != nil {
		t.foresee(newest)
	}
	return newest, nil
}

// stopping reports whether the end of the whole server was requested, be it that nobody has read that yet.
func (t *Target) stopping(l *run.Listed) bool {
	if l.State.StopAsked {
		return true
	}
	stops, _, _ := t.Folder(l.Spec.Name).ReadStops(0)
	return slices.ContainsFunc(stops, func(s folder.Stop) bool { return s.Trial == nil && s.Revision == 0 })
}

// submitServer makes another revision of the server that is there, or a server. The series is locked.
func (t *Target) submitServer(ctx context.Context, s run.Submission, lock *os.File) (run.Submitted, error) {
	spec := s.Spec
	if folderOf := spec.Server.ModelFolder; folderOf != "" && s.FetchModel == nil {
		if info, err := os.Stat(folderOf); err != nil || !info.IsDir() {
			return run.Submitted{}, &usererror.Error{
				Code: usererror.CodeModel,
				Text: fmt.Sprintf("there is nothing left of the model %s: its folder %s is gone", spec.Server.Model,
					folderOf),
				Hint: "A deleted run takes its outputs along. Name another with --model.",
			}
		}
	}
	if spec.Created.IsZero() {
		spec.Created = time.Now().UTC()
	}
	spec.V, spec.BootID = 1, folder.BootID()
	server, err := t.Server(ctx, spec)
	if err != nil {
		return run.Submitted{}, err
	}
	if server != nil && !s.Again {
		if current := t.currentRevision(server); current != nil && spec.Key != "" && current.Key == spec.Key {
			return t.attach(ctx, server, *current, &spec)
		}
	}
	if err := enough(&spec, t.kept(server)); err != nil {
		return run.Submitted{}, err
	}
	if err := t.portIsFree(ctx, spec, server); err != nil {
		return run.Submitted{}, err
	}
	if err := s.BringModel(ctx); err != nil {
		return run.Submitted{}, err
	}
	if server == nil {
		return t.newServer(spec, s, lock)
	}
	return t.nextRevision(server, spec, spec.Server.ModelFolder, func(f folder.Run) error { return fill(f, s) })
}

// nextRevision gives a server that goes on another revision. fill writes what it is made of.
func (t *Target) nextRevision(
	server *run.Listed, spec run.Spec, model string, fill func(folder.Run) error,
) (run.Submitted, error) {
	spec.ID, spec.Name, spec.Server = server.Spec.ID, server.Spec.Name, new(*spec.Server)
	f := t.Folder(spec.Name)
	spec.Server.Revision = f.NewestRevision() + 1
	done := run.Submitted{Spec: spec, Replaces: server.State.Server.Revision}
	unseen := func() error { // nobody has seen the token that was made, and nobody would
		if done.Token == "" {
			return nil
		}
		return os.Remove(f.TokenFile())
	}
	before, err := f.Revision(done.Replaces).ReadSpec()
	done.Opens = err == nil && before.Server != nil && before.Server.Locked() && !spec.Server.Locked()
	if err = t.forgetReplicas(server); err == nil {
		done.Token, err = tokenOf(f, spec)
	}
	if err == nil {
		err = t.revise(f, spec, model, fill)
	}
	if err != nil {
		err = errors.Join(err, unseen())
		return run.Submitted{}, folder.Explain(err, "write the next revision of the server in", string(f))
	}
	// A server that has ended in this very moment goes on, with what it is given here.
	now, err := t.Exactly(spec.Name)
	if err != nil {
		return run.Submitted{}, err
	}
	if now.Liveness != run.Alive {
		if err := t.start(f, now.Liveness == run.Ended); err != nil {
			return run.Submitted{}, errors.Join(err, unseen(), os.RemoveAll(string(f.Revision(spec.Server.Revision))))
		}
	}
	return done, nil
}

// tokenOf makes the token of a server in a folder, if the spec needs one and there is none. It is "" where none was
// made.
func tokenOf(f folder.Run, spec run.Spec) (string, error) {
	if !spec.Server.Locked() {
		return "", nil
	}
	token, made, err := f.MakeToken()
	if !made {
		token = ""
	}
	return token, err
}

// Token gives the token that callers of a server must have.
func (t *Target) Token(ctx context.Context, name string) (string, error) {
	l, err := t.Load(ctx, name)
	if err != nil {
		return "", err
	}
	if err := l.CheckToken(); err != nil {
		return "", err
	}
	token, err := t.Folder(l.Spec.Name).ReadToken()
	if errors.Is(err, fs.ErrNotExist) {
		return "", run.NoToken(l.Spec.Name)
	}
	return token, err
}

// currentRevision is the one that the server comes to if nobody does anything: the newest, unless it has failed, else
// the one that answers. It is nil if there is none.
func (t *Target) currentRevision(l *run.Listed) *run.Spec {
	f := t.Folder(l.Spec.Name)
	n := f.NewestRevision()
	if failed := l.State.Server.Failed; failed != nil && failed.Revision >= n {
		n = l.State.Server.Revision
	}
	stops, _, _ := f.ReadStops(0)
	if n == 0 || slices.ContainsFunc(stops, func(s folder.Stop) bool {
		return s.Revision == n
	}) && n != l.State.Server.Revision {
		return nil
	}
	spec, err := f.Revision(n).ReadSpec()
	if err != nil {
		return nil
	}
	return &spec
}

// frontLives reports whether a front of a server is alive, which starts a monitor where there is none.
func (t *Target) frontLives(f folder.Run) bool {
	l, err := t.Exactly(filepath.Base(string(f)))
	return err == nil && l.State.Server != nil && f.IsProcess(l.State.Server.Front)
}

// newServer makes a run folder with its first revision.
func (t *Target) newServer(spec run.Spec, s run.Submission, lock *os.File) (run.Submitted, error) {
	name, err := t.take(lock, spec.Series)
	if err != nil {
		return run.Submitted{}, err
	}
	spec.ID, spec.Name, spec.Server = folder.NewID(), name, new(*spec.Server)
	spec.Server.Revision = 1
	dir, err := os.MkdirTemp(t.Dir, ".new-")
	if err != nil {
		return run.Submitted{}, folder.Explain(err, "write the folder of the server in", t.Dir)
	}
	write := func(f folder.Run) error { return fill(f, s) }
	token, err := tokenOf(folder.Run(dir), spec)
	if err == nil {
		err = t.revise(folder.Run(dir), spec, spec.Server.ModelFolder, write)
	}
	if err != nil {
		return run.Submitted{}, errors.Join(folder.Explain(err, "write the folder of the server in", t.Dir),
			os.RemoveAll(dir))
	}
	if err := t.place(dir, &spec); err != nil {
		return run.Submitted{}, errors.Join(folder.Explain(err, "write the folder of the server in", t.Dir),
			os.RemoveAll(dir))
	}
	if err := t.start(t.Folder(name), false); err != nil {
		return run.Submitted{}, errors.Join(err, os.RemoveAll(string(t.Folder(name))))
	}
	return run.Submitted{Spec: spec, Token: token}, nil
}

// revise adds a revision to a server's folder, whole or not at all. model is the folder with the files of its model, or
// "".
func (t *Target) revise(f folder.Run, spec run.Spec, model string, fill func(folder.Run) error) (err error) {
	all := filepath.Dir(string(f.Revision(1)))
	if err := os.MkdirAll(all, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(all, ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if model != "" {
		if err := takeModel(model, folder.Run(dir).Model(), 0); err != nil {
			return fmt.Errorf("keep the model %s: %w", spec.Server.Model, err)
		}
	}
	if err := folder.ReplaceJSON(folder.Run(dir).Spec(), spec); err != nil {
		return err
	}
	if err := fill(folder.Run(dir)); err != nil {
		return err
	}
	if err := os.Rename(dir, string(f.Revision(spec.Server.Revision))); err != nil {
		return err
	}
	return folder.ReplaceJSON(f.Spec(), spec)
}

// maxModelDepth bounds folders in folders, which links can make endless.
const maxModelDepth = 32

// takeModel makes the files of a model the revision's own, so that deleting the training run does not take them away:
// links to the same bytes where there can be such, else copies.
func takeModel(from, to string, depth int) error {
	if depth > maxModelDepth {
		return fmt.Errorf("the folders in %s are nested more than %d deep", from, maxModelDepth)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		source, err := filepath.EvalSymlinks(filepath.Join(from, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a link to nothing
		}
		if err != nil {
			return err
		}
		info, err := os.Stat(source)
		if err != nil {
			return err
		}
		switch target := filepath.Join(to, e.Name()); {
		case info.IsDir():
			err = takeModel(source, target, depth+1)
		case info.Mode().IsRegular():
			err = linkOrCopy(source, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// portIsFree refuses a port or an address that was set and cannot be had, before anything is written.
func (t *Target) portIsFree(ctx context.Context, spec run.Spec, server *run.Listed) error {
	port := spec.Server.Port
	if port != 0 && server != nil && server.State.Server.Port() == port {
		return nil // its own
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(spec.Server.Host, strconv.Itoa(port)))
	if err == nil {
		return listener.Close()
	}
	refused := folder.PortError(err, spec.Server.Host, port)
	if errors.Is(err, syscall.EADDRINUSE) {
		if other := t.holderOf(ctx, port); other != "" {
			refused.Hint = fmt.Sprintf(
				"%s answers there, and metaml stop %s ends it. Or ask for another one with --port.", other, other)
		}
	}
	return refused
}

// holderOf names our server that answers on a port, or "".
func (t *Target) holderOf(ctx context.Context, port int) string {
	all, err := t.List(ctx)
	if err != nil {
		return ""
	}
	for i := range all {
		if l := &all[i]; l.Spec.Kind == run.Serve && l.Liveness == run.Alive && l.State.Server != nil &&
			l.State.Server.Port() == port {
			return l.Spec.Name
		}
	}
	return ""
}

// StopRevision gives up a revision of a server that does not answer yet.
func (t *Target) StopRevision(ctx context.Context, name string, revision int) error {
	l, err := t.Load(ctx, name)
	if err != nil {
		return err
	}
	if err := l.CheckGiveUp(revision, t.Folder(l.Spec.Name).Revisions()); err != nil {
		return err
	}
	return t.ask(l, folder.Stop{Revision: revision})
}
