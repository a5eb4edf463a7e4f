// Package kept keeps what is in the output folders of a run's trials, on the disk of this machine: each checkpoint is a
// snapshot of the folder, trials/NNNNN/checkpoints/000001 and so on (docs/internals/protocols.md §4), of which the
// newest counts.
//
// Read [Keeper] first, then snapshot.go. A snapshot is made under a temporary name, brought to the disk and then
// renamed; the one before it is removed afterwards. So after a crash at any moment the last one that was whole is
// there. A file that has not changed since the last snapshot is a hard link into that one.
//
// It imports deployer/folder and deployer/run alone.
package kept

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Keeper keeps checkpoints of the trials of a run in the run's folder. It has no state of its own: any number of them,
// in any processes, may work on one run at the same time.
type Keeper struct{ Folder folder.Run }

const (
	unfinished = ".new"  // the snapshot that is being made
	lockName   = "lock"  // held by whoever makes, reads or removes snapshots of the trial
	filesName  = "files" // in a snapshot: what was in the folder
	indexName  = "index" // in a snapshot: index, as JSON
)

// Keep keeps what is in dir now as the trial's last checkpoint. When it returns nil, it is on the disk; after an error
// the checkpoint before it is still the last. A folder that is not there is kept as an empty one. Sockets, pipes and
// devices are left out, and files that are removed meanwhile.
func (k Keeper) Keep(ctx context.Context, id run.AttemptID, dir string) (err error) {
	at := k.Folder.Checkpoints(id.Trial)
	if err := os.MkdirAll(at, 0o700); err != nil {
		return fmt.Errorf("make the folder of checkpoints: %w", err)
	}
	lock, err := folder.LockFile(ctx, filepath.Join(at, lockName))
	if err != nil {
		return err
	}
	defer lock.Close()
	last, err := newest(at)
	if err != nil {
		return err
	}
	if err := tidy(at, last); err != nil {
		return err
	}
	made := filepath.Join(at, unfinished)
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(made))
		}
	}()
	if err := take(ctx, dir, made, filepath.Join(at, name(last))); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := os.Rename(made, filepath.Join(at, name(last+1))); err != nil {
		return fmt.Errorf("make the checkpoint the last one: %w", err)
	}
	made = filepath.Join(at, name(last+1))
	changed := []string{at}
	if last == 0 {
		changed = append(changed, filepath.Dir(at))
	}
	for _, path := range changed {
		if err := syncFolder(path); err != nil {
			return err
		}
	}
	_ = tidy(at, last+1) // it is kept, and the next one tidies up again
	return nil
}

// Restore puts into dir, which is empty, what was kept last of the trial, as copies that may be written to; nothing
// where nothing was kept. After an error dir may have a part of it.
func (k Keeper) Restore(ctx context.Context, id run.AttemptID, dir string) error {
	at := k.Folder.Checkpoints(id.Trial)
	if last, err := newest(at); err != nil || last == 0 {
		return err
	}
	lock, err := folder.LockFile(ctx, filepath.Join(at, lockName))
	if err != nil {
		return err
	}
	defer lock.Close()
	last, err := newest(at)
	if err != nil {
		return err
	}
	return put(ctx, filepath.Join(at, name(last)), dir)
}

// name is that of snapshot n, from 1.
func name(n int) string { return fmt.Sprintf("%06d", n) }

// number is that of a snapshot; 0: the file is none.
func number(file string) int {
	n, err := strconv.Atoi(file)
	if err != nil || n < 1 || name(n) != file {
		return 0
	}
	return n
}

// newest is the number of the last snapshot; 0: there is none.
func newest(at string) (int, error) {
	entries, err := os.ReadDir(at)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for checkpoints: %w", err)
	}
	last := 0
	for _, e := range entries {
		last = max(last, number(e.Name()))
	}
	return last, nil
}

// tidy removes what was never whole, and the snapshots before the last.
func tidy(at string, last int) error {
	entries, err := os.ReadDir(at)
	if err != nil {
		return fmt.Errorf("look for old checkpoints: %w", err)
	}
	for _, e := range entries {
		if n := number(e.Name()); e.Name() == unfinished || n > 0 && n < last {
			if err := os.RemoveAll(filepath.Join(at, e.Name())); err != nil {
				return fmt.Errorf("remove an old checkpoint: %w", err)
			}
		}
	}
	return nil
}

// syncFolder brings the names in a folder to the disk.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("bring %q to the disk: %w", path, err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("bring %q to the disk: %w", path, err)
	}
	return nil
}
