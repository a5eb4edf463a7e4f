// Package scalars lets the scalars that a trial writes for TensorBoard count as its metrics: a [train.Supervisor]
// around another that reads the trials' event files while they run and adds what it finds to their reports.
//
// Read [Wrap] first. It imports deployer/engine/train, its reader tfevents, deployer/folder and deployer/run.
package scalars

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/engine/train"
	"github.com/metaml/metaml/deployer/engine/train/tfevents"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

const (
	interval   = time.Second // how often files are looked at
	maxScalars = 100_000     // of one attempt; the rest is in its event files alone
	maxEntries = 5_000       // files and folders that one look passes
	maxDepth   = 5           // folders below the one that is looked through
	pauseRatio = 50          // a look takes at most this part of the time
)

// Wrap gives a Supervisor that adds TensorBoard's scalars to the reports of sup. A metric that the trial reports itself
// is left alone. Event files are found under the trial's output folder and, by the process id in their names, in its
// working directory.
func Wrap(sup train.Supervisor, job train.Job) train.Supervisor {
	s := &supervisor{
		Supervisor: sup, job: job, out: make(chan train.Update, cap(sup.Updates())+1),
		done: make(chan struct{}), ended: make(chan struct{}), watched: map[train.ID]*attempt{},
	}
	go s.relay()
	return s
}

type supervisor struct {
	train.Supervisor
	job         train.Job
	out         chan train.Update // as deep as the inner one; the relay waits when it is full
	done, ended chan struct{}

	// The following belong to relay.
	watched map[train.ID]*attempt
	cwdNext time.Time // before then the working directory is not looked through
}

// attempt is one running attempt and its event files.
type attempt struct {
	pid      int
	started  time.Time
	files    map[string]*tfevents.Reader
	reported map[string]bool
	scalars  int
}

// Updates is what happened, with the scalars among it.
func (s *supervisor) Updates() <-chan train.Update { return s.out }

// Sweep passes on, if the inner Supervisor can.
func (s *supervisor) Sweep(ctx context.Context, running []train.ID) error {
	if sweeper, ok := s.Supervisor.(train.Sweeper); ok {
		return sweeper.Sweep(ctx, running)
	}
	return nil
}

// Close ends the inner Supervisor and then the relay, which keeps taking updates until then.
func (s *supervisor) Close() {
	s.Supervisor.Close()
	select {
	case <-s.done:
	default:
		close(s.done)
	}
	<-s.ended
}

func (s *supervisor) relay() {
	defer close(s.ended)
	look := time.NewTicker(interval)
	defer look.Stop()
	for {
		select {
		case u, ok := <-s.Supervisor.Updates():
			if !ok {
				return
			}
			s.note(u)
			s.send(u)
		case <-look.C:
			s.look()
		case <-s.done:
			return
		}
	}
}

func (s *supervisor) send(u train.Update) {
	select {
	case s.out <- u:
	case <-s.done:
	}
}

// note keeps track of which attempts run. An attempt's last scalars go out before its end does.
func (s *supervisor) note(u train.Update) {
	switch {
	case u.Started != nil:
		s.watched[u.ID] = &attempt{pid: u.Started.PID, started: time.Now(), files: map[string]*tfevents.Reader{}, reported: map[string]bool{}}
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
func (s *supervisor) read(id train.ID, a *attempt) {
	walk(s.job.Folder.Output(id.Trial), func(path string) { a.add(path) })
	if s.job.Spec.TrialCwd {
		walk(s.job.Folder.Cwd(id.Trial), func(path string) { a.add(path) })
	}
	var (
		pending *train.Report
		step    int64
	)
	flush := func() {
		if pending != nil {
			s.send(train.Update{ID: id, Report: pending})
			pending = nil
		}
	}
	for _, r := range a.files {
		err := r.Read(func(v tfevents.Scalar) {
			if a.scalars >= maxScalars || a.reported[v.Tag] {
				return
			}
			if a.scalars++; a.scalars == maxScalars {
				s.send(train.Update{ID: id, Note: &train.Note{
					Code: run.NoteScalars, Text: fmt.Sprintf("trial %d wrote more than %d scalars; the table goes on without them, TensorBoard has them all.", id.Trial, maxScalars),
				}})
			}
			if pending == nil || step != v.Step {
				flush()
				x := float64(v.Step)
				pending, step = &train.Report{Step: &x, Metrics: run.Metrics{}}, v.Step
			}
			pending.Metrics[v.Tag] = v.Value
		})
		if err != nil && !os.IsNotExist(err) {
			s.send(train.Update{ID: id, Note: &train.Note{Code: run.NoteScalars, Text: fmt.Sprintf("%s of trial %d cannot be read on: it is damaged.", filepath.Base(r.Path), id.Trial)}})
		}
	}
	flush()
}

func (a *attempt) add(path string) bool {
	if a.files[path] != nil {
		return false
	}
	a.files[path] = &tfevents.Reader{Path: path}
	return true
}

// findInCwd looks for files of running attempts in the working directory that they share, and links them into the run's
// folder, where its TensorBoard sees them.
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
	dir := filepath.Join(f.Trial(trial), "tensorboard")
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
			if path != dir && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "__pycache__" || strings.Count(path, string(filepath.Separator))-root > maxDepth) {
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
