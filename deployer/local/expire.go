package local

import (
	"os"
	"path/filepath"
	"time"

	"github.com/metaml/metaml/deployer/folder"
)

// environmentKept is how long a run that ended unfinished keeps the environment of its submission, which may hold
// secrets, for a resume. Afterwards it gets that of whoever resumes it.
const environmentKept = 30 * 24 * time.Hour

// expireEvery is how often the folders of all runs are read for that.
const expireEvery = time.Hour

// expireEnvironments removes environment.json of runs that ended long ago, unless that was done within the last hour:
// every submission calls it, and thousands of runs take longer than a submission. What it cannot remove, it leaves to
// the next time.
func (t *Target) expireEnvironments(now time.Time) {
	if !t.expireDue(now) {
		return
	}
	names, err := folder.Names(t.Dir)
	if err != nil {
		return
	}
	for _, name := range names {
		f := t.Folder(name)
		last, err := os.Stat(f.Events())
		if err != nil || now.Sub(last.ModTime()) < environmentKept {
			continue
		}
		var kept []string
		for _, of := range append([]folder.Run{f}, revisions(f)...) {
			if there(of.EnvironmentFile()) {
				kept = append(kept, of.EnvironmentFile())
			}
		}
		if len(kept) == 0 {
			continue
		}
		if l, err := t.Exactly(name); err != nil || l.Active() {
			continue
		}
		for _, path := range kept {
			_ = os.Remove(path)
		}
	}
}

// expireDue reports whether the environments were last read long enough ago, and notes that they are now: the time is
// that of a file. A file from the future, of a clock that was wrong, does not count.
func (t *Target) expireDue(now time.Time) bool {
	path := filepath.Join(t.Dir, ".expired")
	if info, err := os.Stat(path); err == nil {
		if since := now.Sub(info.ModTime()); since >= 0 && since < expireEvery {
			return false
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err == nil {
		_ = os.Chtimes(path, now, now) // else it has the time of the disk's clock
	}
	return true
}

func revisions(f folder.Run) []folder.Run {
	var all []folder.Run
	for _, n := range f.Revisions() {
		all = append(all, f.Revision(n))
	}
	return all
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
