package bridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// folder is the kernel's private runtime folder (mode 0700): the sockets to the
// wrapped kernel, its connection file, the cells' socket. Its owner holds a lock on
// it, so that the next kernel can tell what a killed one left behind.
type folder struct {
	dir  string
	lock *os.File
}

// Socket paths have 108 bytes, the closing zero among them; ours end in "/cells".
const maxFolder = 100

const folderPrefix = "metaml-k-"

// newFolder makes it in $XDG_RUNTIME_DIR, else in $TMPDIR, else in /tmp: the first
// that can be written to and is short enough.
func newFolder() (*folder, error) {
	var tried []string
	for _, base := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir(), "/tmp"} {
		if base == "" || !filepath.IsAbs(base) {
			continue
		}
		if len(base)+len(folderPrefix)+12 > maxFolder {
			tried = append(tried, base+" (path too long for a socket)")
			continue
		}
		dir, err := os.MkdirTemp(base, folderPrefix)
		if err != nil {
			tried = append(tried, base+" ("+errors.Unwrap(err).Error()+")")
			continue
		}
		f := &folder{dir: dir}
		if f.lock, err = lockFolder(dir); err != nil {
			_ = os.RemoveAll(dir)
			return nil, err
		}
		sweep(base)
		return f, nil
	}
	return nil,
		fmt.Errorf("no folder for the kernel's sockets; tried %s: set XDG_RUNTIME_DIR or TMPDIR to a short path",
			strings.Join(tried, ", "))
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) remove() {
	_ = os.RemoveAll(f.dir)
	_ = f.lock.Close()
}

func lockFolder(dir string) (*os.File, error) {
	l, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the kernel's folder: %w", err)
	}
	if err := unix.Flock(int(l.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("lock the kernel's folder %s: %w", dir, err)
	}
	return l, nil
}

// sweep removes the folders of killed kernels: ours by owner, with a lock file that
// nobody holds.
func sweep(base string) {
	old, _ := filepath.Glob(filepath.Join(base, folderPrefix+"*")) // the pattern is right
	for _, dir := range old {
		var st unix.Stat_t
		if unix.Lstat(dir, &st) != nil || int(st.Uid) != os.Getuid() || st.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue
		}
		l, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue // one that is being made has no lock yet
		}
		if unix.Flock(int(l.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = l.Close()
	}
}
