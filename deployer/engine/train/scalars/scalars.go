// Package scalars lets the scalars that a trial writes for TensorBoard count as its metrics: a [train.Supervisor]
// around another that reads the trials' event files while they run and adds what it finds to their reports.
//
// Read [Wrap] first. It imports deployer/engine/train, its reader tfevents, deployer/folder and deployer/run.
package scalars

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/engine/train"
	"github.com/metaml/metaml/deployer/engine/train/tfevents"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

const (
	interval   = time.Second // how often files are read
	maxScalars = 100_000     // of one attempt; the rest is in its event files alone
	maxEntries = 5_000       // files and folders that one look passes
	maxDepth   = 5           // folders below the one that is searched
	pauseRatio = 50          // a look takes at most this part of the time
)

// Wrap gives a Supervisor that adds TensorBoard's scalars to the reports of sup. A metric that the trial reports itself
// is left alone. Event files are found under the trial's output folder and, by the process id in their names, in its
// working directory. What an attempt before had written of a file that was restored is not reported again.
func Wrap(sup train.Supervisor, job engine.Job) train.Supervisor {
	s := &supervisor{Relay: train.NewRelay(sup), job: job, watched: map[run.AttemptID]*attempt{}}
	go s.Run(train.Watch{Update: s.note, Every: interval, Look: s.look})
	return s
}

type supervisor struct {
	*train.Relay
	job engine.Job

	// The following belong to the relay.
	watched map[run.AttemptID]*attempt
	cwdNext time.Time // before then the working directory is not searched
}

// attempt is one running attempt and its event files.
type attempt struct {
	pid      int
	started  time.Time
	restored map[string]int64 // see run.Started
	files    map[string]*tfevents.Reader
	reported map[string]bool
	scalars  int
}

// note keeps track of which attempts run. An attempt's last scalars go out before its end does.
func (s *supervisor) note(u run.Update) {
	switch {
	case u.Started != nil:
		s.watched[u.ID] = &attempt{
			pid: u.Started.PID, started: time.Now(), restored: u.Started.Restored,
			files: map[string]*tfevents.Reader{}, reported: map[string]bool{},
		}
	case u.Report != nil:
		if a := s.watched[u.ID]; a != nil {
			for name := range u.Report.Metrics {
				a.reported[name] = true
			}
		}
	case u.Ended != nil:
		if a := s.watched[u.ID]; a != nil {
			if time.Since(a.started) > interval/2 {
				s.cwdNext = time.Time{}
				s.findInCwd()
			}
			s.read(u.ID, a)
			delete(s.watched, u.ID)
		}
	}
}

func (s *supervisor) look() {
	if len(s.watched) == 0 {
		return
	}
	s.findInCwd()
	for id, a := range s.watched {
		s.read(id, a)
	}
}

// read takes in what the files of one attempt have got, and sends it as reports.
func (s *supervisor) read(id run.AttemptID, a *attempt) {
	walk(s.job.Folder.Output(id.Trial), func(path string) { a.add(path) })
	if s.job.Spec.TrialCwd {
		walk(s.job.Folder.Cwd(id.Trial), func(path string) { a.add(path) })
	}
	var (
		pending *run.Report
		step    int64
	)
	flush := func() {
		if pending != nil {
			s.Send(run.Update{ID: id, Report: pending}, nil)
			pending = nil
		}
	}
	for _, r := range a.files {
		err := r.Read(func(v tfevents.Scalar) {
			if a.scalars >= maxScalars || a.reported[v.Tag] {
				return
			}
			if a.scalars++; a.scalars == maxScalars {
				s.say(id,
					"trial %d wrote more than %d scalars; the table goes on without them, TensorBoard has them all.",
					id.Trial, maxScalars)
			}
			if pending == nil || step != v.Step {
				flush()
				x := float64(v.Step)
				pending, step = &run.Report{Step: &x, Metrics: run.Metrics{}}, v.Step
			}
			pending.Metrics[v.Tag] = v.Value
		})
		if err != nil && !os.IsNotExist(err) {
			s.say(id, "%s of trial %d cannot be read on: it is damaged.", filepath.Base(r.Path), id.Trial)
		}
	}
	flush()
}

// say adds a note about an attempt.
func (s *supervisor) say(id run.AttemptID, format string, args ...any) {
	s.Send(run.Update{ID: id, Note: &run.Note{Code: run.NoteScalars, Text: fmt.Sprintf(format, args...)}}, nil)
}

func (a *attempt) add(path string) bool {
	if a.files[path] != nil {
		return false
	}
	a.files[path] = &tfevents.Reader{Path: path, Old: a.restored[path]}
	return true
}

// findInCwd searches for files of running attempts in the working directory that they share, and links them into the
// run's folder, where its TensorBoard sees them.
func (s *supervisor) findInCwd() {
	if s.job.Spec.TrialCwd || s.job.Spec.Cwd == "" || time.Now().Before(s.cwdNext) {
		return
	}
	begun := time.Now()
	walk(s.job.Spec.Cwd, func(path string) {
		for id, a := range s.watched {
			if strings.Contains(filepath.Base(path), fmt.Sprintf(".%d.", a.pid)) && a.add(path) {
				link(s.job.Folder, id.Trial, path)
			}
		}
	})
	s.cwdNext = time.Now().Add(pauseRatio * time.Since(begun))
}

func link(f folder.Run, trial int, path string) {
	dir := f.Scalars(trial)
	if os.MkdirAll(dir, 0o700) == nil {
		_ = os.Symlink(path, filepath.Join(dir, filepath.Base(path))) // only so that TensorBoard finds it too
	}
}

// walk calls fn for each event file below dir, up to a depth and a number of entries.
func walk(dir string, fn func(path string)) {
	entries := 0
	root := strings.Count(filepath.Clean(dir), string(filepath.Separator))
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { // what cannot be read has no scalars
		if err != nil {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entries++; entries > maxEntries {
			return fs.SkipAll
		}
		if d.IsDir() {
			name := d.Name()
			depth := strings.Count(path, string(filepath.Separator)) - root
			hidden := strings.HasPrefix(name, ".") || name == "node_modules" || name == "__pycache__"
			if path != dir && (hidden || depth > maxDepth) {
				return fs.SkipDir
			}
			return nil
		}
		if strings.Contains(d.Name(), "tfevents") {
			fn(path)
		}
		return nil
	})
}
