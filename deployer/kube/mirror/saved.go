package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/saved"
	"github.com/metaml/metaml/deployer/run"
)

// savings keep the record in the cluster, in a ConfigMap of the run, so that it is there when this machine is not. Of
// several who follow the run each first takes what the others know.
type savings struct {
	packer  saved.Packer
	version string // of the ConfigMap as it was last read or written; "": there is none
	read    bool   // what is there was taken
	last    bool   // it was taken once more, since the run is over and reports are missing
	states  bool   // something else than reports is new since it was written
	reports bool
	at      time.Time // when it was last tried
	trouble error     // of the last try
	tries   int       // to read it, one after the other
	done    chan saving
	all     sync.WaitGroup
}

// saving is what came of writing it.
type saving struct {
	version string
	err     error
}

const (
	saveStates  = time.Minute      // how often it is written when trials begin or end
	saveReports = 10 * time.Minute // the same, when they only report: the monitor has that
)

func newSavings(f folder.Run, spec *run.Spec) savings {
	return savings{
		packer: saved.Packer{Folder: f, Run: spec.ID, Pod: func(id run.AttemptID) string {
			return string(readPlace(f, id).Pod)
		}},
		at: time.Now(), done: make(chan saving, 1),
	}
}

// note takes in that events were written to the record.
func (s *savings) note(events []run.Event) {
	for i := range events {
		if events[i].Type == run.EventTrialReport {
			s.reports = true
		} else {
			s.states = true
		}
	}
}

// taken reports whether what is saved was taken. Where it cannot be read, the record goes on without it after some
// tries: no state depends on it.
func (m *mirror) taken(ctx context.Context, s *seen) bool {
	const most = 3
	if !m.saved.last && m.gone.over(s) && s.monitor.off() && m.reportsMissing(s) {
		// Somebody else has ended the monitor: who does so has saved what came from it.
		m.saved.last, m.saved.read = true, false
	}
	if !m.saved.read && m.takeSaved(ctx, s) != nil {
		m.saved.tries++
		return m.saved.tries >= most
	}
	m.saved.tries = 0
	return true
}

// takeSaved takes what somebody else has saved of the run: everything, where there is no record yet, else the attempts
// of which the record lacks the end.
func (m *mirror) takeSaved(ctx context.Context, s *seen) error {
	within, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	object, err := m.cluster.Core.ConfigMaps(m.cluster.Namespace).Get(within, manifest.RecordName(m.name),
		metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		m.saved.version, m.saved.read = "", true
		return nil
	case err != nil:
		return m.cluster.Explain(err, "read the record of run "+m.name)
	}
	if object.ResourceVersion != m.saved.version {
		if err := m.merge(ctx, object.BinaryData[manifest.RecordKey], s.there()); err != nil {
			return err
		}
	}
	m.saved.version, m.saved.read = object.ResourceVersion, true
	return nil
}

// merge adds to the record what another one has of attempts that this one has no end of, and reports that this one
// lacks. there are the pods that are seen; whether others are there is asked.
func (m *mirror) merge(ctx context.Context, data []byte, there map[types.UID]bool) error {
	dir, err := os.MkdirTemp(string(m.folder), ".saved-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it lies in the run's folder
	other := folder.Run(dir)
	head, err := saved.Unpack(data, m.spec, other)
	if err != nil { // by another version, or damaged: what the cluster itself knows is left
		return m.apply([]run.Event{{
			Type: run.EventNote, Time: time.Now(), Code: run.NoteRecord,
			Text: fmt.Sprintf("what was kept of this run in the cluster cannot be used: %v", err),
		}})
	}
	fresh := m.log.Last() == 0
	had, err := attemptsOf(m.folder)
	if err != nil {
		return err
	}
	lacks := func(id run.AttemptID) bool { return fresh || !had.begun[id] || !had.ended[id] }
	if slices.ContainsFunc(head.Attempts, func(a saved.Attempt) bool {
		return lacks(run.AttemptID{Trial: a.Trial, Number: a.Number}) && !there[types.UID(a.Pod)]
	}) {
		pods, err := m.listPods(ctx) // after the record was read, which so has no pod that is still to come
		if err != nil {
			return err
		}
		for _, p := range pods {
			there[p.UID] = true
		}
	}
	resumed := false // then what was before is in the record alone
	if fresh {
		if err := other.EachEvent(func(e run.Event) error {
			resumed = resumed || e.Type == run.EventResumed
			return nil
		}); err != nil {
			return err
		}
	}
	here := map[run.AttemptID]bool{} // its pod is there: that says how it ended once its log is here, all of it
	for _, a := range head.Attempts {
		id := run.AttemptID{Trial: a.Trial, Number: a.Number}
		here[id] = there[types.UID(a.Pod)] &&
			(!fresh || !resumed && saved.Shortened(other.Stream(a.Trial, a.Number, folder.Stdout)))
		if lacks(id) && !m.logs.copies(id) {
			if err := m.mergeLog(other, id, types.UID(a.Pod)); err != nil {
				return err
			}
		}
	}
	var (
		events []run.Event
		ended  []run.Event // the end of the run, which its trials come before
		open   bool        // trials of which their pods will say how they ended
	)
	if err := other.EachEvent(func(e run.Event) error {
		switch {
		case e.Trial != nil && e.Type == run.EventTrialEnded && here[run.AttemptID{Trial: *e.Trial, Number: e.Attempt}]:
			open = true
			return nil
		case fresh && e.Type == run.EventEnded:
			ended = append(ended, e)
			return nil
		case fresh:
			events, ended = append(events, ended...), nil
		default:
			if e.Trial == nil || e.Attempt < 1 {
				return nil
			}
			id := run.AttemptID{Trial: *e.Trial, Number: e.Attempt}
			switch whole := e.Type == run.EventTrialReport && !e.Last && had.begun[id]; {
			case whole && head.Reports == 0 && had.reports[id] > 0:
				had.reports[id]-- // both have them from the first one on
				return nil
			case whole && head.Reports == 0:
			case !lacks(id):
				return nil
			case whole:
				e.Last = true // some of them are there already
			}
		}
		if events = append(events, e); len(events) < mergeAtOnce {
			return nil
		}
		defer func() { events = events[:0] }()
		return m.apply(events)
	}); err != nil {
		return err
	}
	if !open {
		events = append(events, ended...)
	}
	if fresh && head.Reports > 0 {
		events = append(events, run.Event{
			Type: run.EventNote, Time: time.Now(), Code: run.NoteRecord,
			Text: fmt.Sprintf("of what each trial reported the last %d are kept in the cluster", head.Reports),
		})
	}
	return m.apply(events)
}

// mergeAtOnce is how many events are taken at once.
const mergeAtOnce = 2000

// apply takes events into the record.
func (m *mirror) apply(events []run.Event) error {
	for _, e := range events {
		m.planner.state.Apply(e)
		m.curves.count(e)
	}
	return m.write(events)
}

// recorded is what a record has of attempts.
type recorded struct {
	begun, ended map[run.AttemptID]bool
	reports      map[run.AttemptID]int // from the first one on, without a gap
}

// attemptsOf finds the attempts in a record.
func attemptsOf(f folder.Run) (recorded, error) {
	r := recorded{map[run.AttemptID]bool{}, map[run.AttemptID]bool{}, map[run.AttemptID]int{}}
	err := f.EachEvent(func(e run.Event) error {
		if e.Trial == nil {
			return nil
		}
		switch id := (run.AttemptID{Trial: *e.Trial, Number: e.Attempt}); {
		case e.Type == run.EventTrialStarted:
			r.begun[id] = true
		case e.Type == run.EventTrialEnded:
			r.ended[id] = true
		case e.Type == run.EventTrialReport && !e.Last:
			r.reports[id]++
		}
		return nil
	})
	return r, err
}

// mergeLog takes what is kept of what an attempt printed, where nothing was copied, and notes which pod it was: as long
// as that is there its log is copied from the start.
func (m *mirror) mergeLog(from folder.Run, id run.AttemptID, pod types.UID) error {
	if at := readPlace(m.folder, id); at.Pod != "" || at.Size > 0 {
		return nil
	}
	if err := os.MkdirAll(m.folder.Attempt(id.Trial, id.Number), 0o700); err != nil {
		return err
	}
	for _, stream := range []string{folder.Stdout, folder.Stderr} {
		err := os.Rename(from.Stream(id.Trial, id.Number, stream), m.folder.Stream(id.Trial, id.Number, stream))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	delete(m.claims.pods, id)
	return folder.ReplaceJSON(placeFile(m.folder, id), place{Pod: pod})
}

// save keeps the record in the cluster from time to time, beside everything else. It is called again and again.
func (m *mirror) save(ctx context.Context, owner *corev1.ConfigMap, now time.Time) {
	s := &m.saved
	select {
	case done := <-s.done:
		m.keptSaved(done)
	default:
	}
	due := s.states && now.Sub(s.at) >= saveStates || s.reports && now.Sub(s.at) >= saveReports
	if owner == nil || !due || !s.read {
		return
	}
	s.at, s.states, s.reports = now, false, false
	version := s.version
	s.all.Go(func() { s.done <- m.sendSaved(ctx, owner, version) })
}

// saveLast keeps the record of a run that has ended, and reports whether it is kept.
func (m *mirror) saveLast(ctx context.Context, now *seen) bool {
	s, owner := &m.saved, now.owner
	s.all.Wait()
	select {
	case done := <-s.done:
		m.keptSaved(done)
	default:
	}
	for range 3 { // somebody else may write it at the same time
		if owner == nil || s.read && !s.states && !s.reports {
			return s.trouble == nil
		}
		if !s.read {
			if s.trouble = m.takeSaved(ctx, now); s.trouble != nil {
				return false
			}
		}
		s.states, s.reports = false, false
		m.keptSaved(m.sendSaved(ctx, owner, s.version))
		if s.trouble == nil {
			return true
		}
	}
	return false
}

// keptSaved takes in what came of a try. One who was overtaken first takes what the other has.
func (m *mirror) keptSaved(done saving) {
	s := &m.saved
	if s.trouble = done.err; s.trouble == nil {
		s.version = done.version
		return
	}
	s.states = true
	if apierrors.IsConflict(done.err) || apierrors.IsAlreadyExists(done.err) || apierrors.IsNotFound(done.err) {
		s.read = false
	}
}

// sendSaved writes the record into the cluster, unless somebody else has done so since it was read.
func (m *mirror) sendSaved(ctx context.Context, owner *corev1.ConfigMap, version string) saving {
	data, err := m.saved.packer.Pack()
	if err != nil {
		return saving{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	maps, object := m.cluster.Core.ConfigMaps(m.cluster.Namespace), manifest.Record(owner, data)
	var written *corev1.ConfigMap
	if version == "" {
		written, err = maps.Create(ctx, object, metav1.CreateOptions{FieldManager: manifest.ManagedBy})
	} else {
		var patch []byte // with the version, else another's would be overwritten
		if patch, err = json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": version}, "binaryData": object.BinaryData,
		}); err == nil {
			written, err = maps.Patch(ctx, object.Name, types.MergePatchType, patch,
				metav1.PatchOptions{FieldManager: manifest.ManagedBy})
		}
	}
	if err != nil {
		return saving{err: err}
	}
	return saving{version: written.ResourceVersion}
}

// forgetSaved removes what a process that was killed has left.
func forgetSaved(f folder.Run) {
	left, _ := filepath.Glob(filepath.Join(string(f), ".saved-*"))
	for _, dir := range left {
		_ = os.RemoveAll(dir)
	}
}
