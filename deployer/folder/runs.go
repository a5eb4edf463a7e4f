package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/metaml/metaml/internal/usererror"
)

// In is the folder of the run called name among those in dir.
func In(dir, name string) Run { return Run(filepath.Join(dir, name)) }

// Parent is the folder that has this run folder beside others.
func (r Run) Parent() string { return filepath.Dir(string(r)) }

// Names lists the runs in dir, unsorted; a folder that is not there has none.
func Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, Explain(err, "list the runs in", dir)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Mirrors are the run folders of one place of one target, kept here of runs that are elsewhere.
type Mirrors struct {
	Target string // "kubernetes"
	Place  string // of the target: what stands behind the @ of a run's name
	Dir    string // has their run folders
}

// MirrorOf is where mirrors of a target's place lie in the folder of all runs.
func MirrorOf(dir, target, place string) Mirrors {
	return Mirrors{target, place, filepath.Join(dir, mirrors, url.PathEscape(target), url.PathEscape(place))}
}

// MirrorsIn lists the mirrors that there are in the folder of all runs.
func MirrorsIn(dir string) []Mirrors {
	var all []Mirrors
	targets, _ := os.ReadDir(filepath.Join(dir, mirrors)) // mostly there is none
	for _, t := range targets {
		places, _ := os.ReadDir(filepath.Join(dir, mirrors, t.Name()))
		for _, p := range places {
			target, err1 := url.PathUnescape(t.Name())
			place, err2 := url.PathUnescape(p.Name())
			if err1 == nil && err2 == nil {
				all = append(all, MirrorOf(dir, target, place))
			}
		}
	}
	return all
}

const mirrors = ".mirrors"

// SeenFile stands for "somebody was shown how the run ended".
func (r Run) SeenFile() string { return r.join("seen") }

// AskedFile was last changed when somebody wanted to know of the run what its mirror here does not have yet.
func (r Run) AskedFile() string { return r.join("asked") }

// Ask has whoever writes the mirror look again, where the last try was in vain.
func (r Run) Ask() {
	now := time.Now()
	if os.Chtimes(r.AskedFile(), now, now) == nil {
		return
	}
	if f, err := OpenOwn(r.AskedFile(), os.O_CREATE|os.O_WRONLY); err == nil { // else it looks again a little later
		_ = f.Close()
	}
}

// Asked is when somebody did, or the zero time.
func (r Run) Asked() time.Time {
	info, err := os.Lstat(r.AskedFile())
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// GoneFile stands for "the run that this is a mirror of is no longer where it was": what is kept here is all there is.
func (r Run) GoneFile() string { return r.join("gone") }

// MarkedGone reports whether that was noted.
func (r Run) MarkedGone() bool {
	_, err := os.Lstat(r.GoneFile())
	return err == nil
}

// MarkGone notes that.
func (r Run) MarkGone() error {
	f, err := OpenOwn(r.GoneFile(), os.O_CREATE|os.O_WRONLY)
	if err != nil {
		return Explain(err, "note that the run is no longer in the cluster in", string(r))
	}
	return f.Close()
}

// NewestRevision is the number of a server's latest revision that was submitted; 0 is none.
func (r Run) NewestRevision() int {
	all := r.Revisions()
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1]
}

// Explain turns what a full disk or a wrong permission says of the folder of the runs into a sentence.
func Explain(err error, doing, path string) error {
	return explain(err, doing, path, "set XDG_DATA_HOME to a folder")
}

// ExplainCache does it for the folder of what can be made again.
func ExplainCache(err error, doing, path string) error {
	if runtime.GOOS == "darwin" { // where os.UserCacheDir asks no variable
		return explain(err, doing, path, "set HOME to a folder")
	}
	return explain(err, doing, path, "set XDG_CACHE_HOME to a folder")
}

// ExplainNamed does it for a folder that somebody has named.
func ExplainNamed(err error, doing, path string) error {
	return explain(err, doing, path, "name a folder")
}

func explain(err error, doing, path, or string) error {
	switch {
	case NoSpace(err):
		return usererror.Wrap(err, usererror.CodeDiskFull,
			fmt.Sprintf("no space left on the disk to %s %s", doing, path),
			fmt.Sprintf("Free some space, or %s on another disk.", or))
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return usererror.Wrap(err, usererror.CodeUnwritable, fmt.Sprintf("no permission to %s %s", doing, path),
			fmt.Sprintf("Make the folder writable, or %s of your own.", or))
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return usererror.Wrap(err, usererror.CodeFolder, fmt.Sprintf("cannot %s %s: %s", doing, path, errno),
			fmt.Sprintf("See what is there, or %s of your own.", or))
	}
	return fmt.Errorf("%s %s: %w", doing, path, err)
}
