package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Rollback gives a server another revision which is a copy of one that answered; 0 is the one that answered before the
// one that answers now.
func (t *Target) Rollback(ctx context.Context, name string, revision int) (run.Submitted, error) {
	l, unlock, err := t.going(ctx, name, "revisions")
	if err != nil {
		return run.Submitted{}, err
	}
	defer unlock()
	f, s := t.Folder(l.Spec.Name), l.State.Server
	if revision == 0 {
		if revision = s.Before(); revision == 0 {
			return run.Submitted{}, run.NoneBefore(l.Spec.Name)
		}
	}
	if err := rollable(f, &l, revision); err != nil {
		return run.Submitted{}, err
	}
	from := f.Revision(revision)
	spec, err := from.ReadSpec()
	if err != nil {
		return run.Submitted{}, folder.Explain(err, "read the revision in", string(from))
	}
	if err := enough(&spec, t.kept(&l)); err != nil {
		return run.Submitted{}, err
	}
	if err := t.portIsFree(ctx, spec, &l); err != nil {
		return run.Submitted{}, err
	}
	environ, err := environmentOf(from, f.Revision(s.Revision))
	if err != nil {
		return run.Submitted{}, folder.Explain(err, "read the environment of the revision in", string(from))
	}
	spec.Server = new(*spec.Server)
	spec.Server.Of = cmp.Or(spec.Server.Of, revision)
	spec.Created, spec.BootID = time.Now().UTC(), folder.BootID()
	model := ""
	if there(from.Model()) {
		model = from.Model()
	}
	return t.nextRevision(&l, spec, model, func(to folder.Run) error {
		if err := folder.ReplaceJSON(to.EnvironmentFile(), environ); err != nil {
			return err
		}
		if err := os.CopyFS(to.Program(), os.DirFS(from.Program())); err != nil {
			return fmt.Errorf("copy the program of revision %d: %w", revision, err)
		}
		return nil
	})
}

// rollable refuses a revision that a server cannot go back to.
func rollable(f folder.Run, l *run.Listed, revision int) error {
	return l.State.Server.CheckBack(l.Spec.Name, revision, run.Past{
		Known:    slices.Contains(f.Revisions(), revision),
		Answered: slices.Contains(l.State.Server.Answered, revision),
		Original: func(n int) int { return original(f, n) },
	})
}

// original is the revision that a revision is a copy of, or itself.
func original(f folder.Run, revision int) int {
	if spec, err := f.Revision(revision).ReadSpec(); err == nil && spec.Server != nil && spec.Server.Of > 0 {
		return spec.Server.Of
	}
	return revision
}

// environmentOf gives the environment of the first revision that has it still, else that of this process: it is removed
// when a revision is replaced.
func environmentOf(all ...folder.Run) ([]string, error) {
	for _, f := range all {
		env, err := f.ReadEnvironment()
		if !errors.Is(err, fs.ErrNotExist) {
			return env, err
		}
	}
	return environment(os.Environ()), nil
}
