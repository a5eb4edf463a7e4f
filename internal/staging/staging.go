// Package staging gives commands a folder in the system's temporary one in which something waits until it is taken, and
// sees to it that none is left for ever: a process that is killed removes nothing, so the next one does.
//
// Read [New] first. The package imports deployer/folder, deployer/run and golang.org/x/sys.
package staging

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/internal/usererror"
)

// prefix begins the names of these folders, and of those that the Python module ships values in. Nothing else has such
// a name.
const prefix = "metaml-staging-"

// sweepAfter is how old a folder must be before it counts as left behind: between its making and its lock is a moment.
const sweepAfter = time.Minute

// Folder is locked for as long as its process lives.
type Folder struct {
	Path string
	lock *os.File
}

// New makes a folder, and removes what killed processes left behind.
func New() (*Folder, error) {
	sweep(os.TempDir(), time.Now().Add(-sweepAfter))
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, usererror.Wrap(err, usererror.CodeTemporaryFolder,
			fmt.Sprintf("cannot make a folder for the program in %s: %s", os.TempDir(), usererror.SystemReason(err)),
			"Set TMPDIR to a folder that can be written.")
	}
	lock, err := os.Open(dir)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the folder for the program: %w", err), os.RemoveAll(dir))
	}
	return &Folder{dir, lock}, nil
}

// Failed says why nothing could be written into such a folder, and what to do where its disk is the cause.
func Failed(err error) error {
	if err == nil || !folder.NoSpace(err) {
		return err
	}
	return usererror.Wrap(err, usererror.CodeTemporaryFolder,
		fmt.Sprintf("no space left on the disk to write the program in %s", os.TempDir()),
		"Free some space, or set TMPDIR to a folder on another disk.")
}

// Remove removes the folder. It may be called twice, and on nil.
func (f *Folder) Remove() {
	if f == nil || f.lock == nil {
		return
	}
	_ = os.RemoveAll(f.Path) // what cannot be removed now is swept later
	_ = f.lock.Close()
	f.lock = nil
}

// sweep removes what killed processes of this user left behind before a moment.
func sweep(in string, before time.Time) {
	entries, err := os.ReadDir(in)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.ModTime().Before(before) {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
			continue
		}
		path := filepath.Join(in, e.Name())
		dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(path)
		}
		_ = dir.Close()
	}
}
