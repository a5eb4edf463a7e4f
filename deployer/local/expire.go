package local

import (
	"os"
	"time"

	"github.com/metaml/metaml/deployer/folder"
)

// environmentKept is how long a run that ended unfinished keeps the environment of its submission, which may hold
// secrets, for a resume. Afterwards it gets that of whoever resumes it.
const environmentKept = 30 * 24 * time.Hour

// expireEnvironments removes environment.json of runs that ended long ago. What it cannot remove, it leaves to the next
// time.
func (t *Target) expireEnvironments(now time.Time) {
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
