package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// curves brings into the record what trials reported, from the events that came from the monitor. Their logs say the
// last values of each second: such a report goes into the record only where the monitor does not send it soon.
type curves struct {
	folder folder.Run
	pods   map[string]*curve
	left   map[string]collect.Source // whose events may not all be in the record
	boards []board                   // that TensorBoard does not find yet
	known  map[run.AttemptID]int     // how many reports of the monitor's were in the record when it was opened
	ids    map[run.AttemptID]*curve
	held   []heldReport
	due    map[run.AttemptID]time.Time // when an attempt that has ended is not waited for any longer
}

// curve is what one pod reported.
type curve struct {
	id    run.AttemptID
	file  *os.File
	from  *folder.Reader
	skip  int       // reports that are in the record already
	to    time.Time // of the last report in the record
	ended bool      // all are
}

// heldReport is a report out of a log.
type heldReport struct {
	run.Event
	until time.Time
}

// holdReports is how long what a log says is held back for the monitor, and the end of an attempt for the last of its
// reports.
const holdReports = 2 * time.Second

// mostAtOnce bounds the events that one step takes.
const mostAtOnce = 20_000

func newCurves(f folder.Run) (*curves, error) {
	c := &curves{
		folder: f, pods: map[string]*curve{}, left: map[string]collect.Source{}, known: map[run.AttemptID]int{},
		ids: map[run.AttemptID]*curve{}, due: map[run.AttemptID]time.Time{},
	}
	// What came before this process began.
	err := eachCollected(f, func(uid, file string, _ int64) {
		var source collect.Source
		data, err := os.ReadFile(filepath.Join(collectedDir(f, uid), sourceName))
		if err != nil || json.Unmarshal(data, &source) != nil || source.ID != uid {
			return
		}
		switch {
		case file == eventsName:
			c.left[uid] = source
		case isBoard(file):
			c.boards = append(c.boards, board{source, file})
		}
	})
	return c, err
}

// count notes an event of the record that did not come by the curves themselves.
func (c *curves) count(e run.Event) {
	if e.Type != run.EventTrialReport || e.Last || e.Trial == nil {
		return
	}
	id := run.AttemptID{Trial: *e.Trial, Number: e.Attempt}
	c.known[id]++
	if one := c.ids[id]; one != nil {
		one.skip++
	}
}

func (c *curves) close() {
	for _, one := range c.pods {
		_ = one.file.Close() // it was read
	}
}

// take gives the reports that the record lacks, of pods whose attempts have begun in it. attempt says which one a pod
// runs, if that is known.
func (c *curves) take(grown map[string]collect.Source, state *run.State,
	attempt func(collect.Source) (run.AttemptID, bool),
) ([]run.Event, error) {
	maps.Copy(c.left, grown)
	var events []run.Event
	for uid, source := range c.left {
		one, err := c.curve(source, state, attempt)
		if err != nil {
			return events, err
		}
		if one == nil {
			continue // later
		}
		whole, err := one.read(&events)
		if err != nil {
			return events, fmt.Errorf("read what trial %d reported: %w", one.id.Trial, err)
		}
		if !whole {
			break
		}
		delete(c.left, uid)
	}
	return events, nil
}

// showBoards has TensorBoard find the event files of attempts that have begun in the record.
func (c *curves) showBoards(fresh []board, attempt func(collect.Source) (run.AttemptID, bool)) error {
	c.boards = append(c.boards, fresh...)
	var failed error
	c.boards = slices.DeleteFunc(c.boards, func(b board) bool {
		id, ok := attempt(b.source)
		if ok && failed == nil {
			failed = b.show(c.folder, id)
		}
		return ok
	})
	return failed
}

// curve opens what a pod reported; nil, if its attempt has not begun in the record.
func (c *curves) curve(source collect.Source, state *run.State,
	attempt func(collect.Source) (run.AttemptID, bool),
) (*curve, error) {
	if one := c.pods[source.ID]; one != nil {
		return one, nil
	}
	id, ok := attempt(source)
	if !ok || id.Trial < 0 || id.Trial >= len(state.Trials) {
		return nil, nil
	}
	if t := &state.Trials[id.Trial]; id.Number > t.Attempt || id.Number == t.Attempt && t.Phase == run.Pending {
		return nil, nil
	}
	file, err := os.Open(filepath.Join(collectedDir(c.folder, source.ID), eventsName))
	if err != nil {
		return nil, fmt.Errorf("read what trial %d reported: %w", id.Trial, err)
	}
	from, err := folder.NewReader(file, "")
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	one := &curve{id: id, file: file, from: from, skip: c.known[id]}
	c.pods[source.ID], c.ids[id] = one, one
	return one, nil
}

// read adds the reports that are new. whole says that these are all that are there.
func (c *curve) read(events *[]run.Event) (whole bool, err error) {
	for len(*events) < mostAtOnce {
		e, err := c.from.Next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		switch e.Type {
		case run.EventTrialReport:
			c.to = e.Time
			if c.skip > 0 {
				c.skip--
				continue
			}
			trial := c.id.Trial
			*events = append(*events, run.Event{
				Type: run.EventTrialReport, Trial: &trial, Attempt: c.id.Number, Time: e.Time, Step: e.Step,
				Metrics: e.Metrics,
			})
		case run.EventTrialEnded:
			c.ended = true
		}
	}
	return false, nil
}

// hold keeps a report out of a log back.
func (c *curves) hold(e run.Event, now time.Time) {
	c.held = append(c.held, heldReport{e, now.Add(holdReports)})
}

// release gives the reports out of logs that the monitor has not sent in time. live says that it may send more.
func (c *curves) release(now time.Time, live bool) []run.Event {
	var events []run.Event
	c.held = slices.DeleteFunc(c.held, func(h heldReport) bool {
		one := c.ids[run.AttemptID{Trial: *h.Trial, Number: h.Attempt}]
		switch {
		case one != nil && !h.Time.After(one.to):
			return true
		case live && now.Before(h.until) && (one == nil || !one.ended):
			return false
		}
		events = append(events, h.Event)
		return true
	})
	return events
}

// settled reports whether nothing that an attempt reported is still to come. It is asked when the attempt has ended.
func (c *curves) settled(id run.AttemptID, now time.Time, live bool) bool {
	if slices.ContainsFunc(c.held, func(h heldReport) bool { return *h.Trial == id.Trial && h.Attempt == id.Number }) {
		return false
	}
	if one := c.ids[id]; !live || one != nil && one.ended {
		return true
	}
	due, asked := c.due[id]
	if !asked {
		due = now.Add(holdReports)
		c.due[id] = due
	}
	return !now.Before(due)
}

// whole reports whether everything that an attempt reported is in the record.
func (c *curves) whole(id run.AttemptID) bool {
	one := c.ids[id]
	return one != nil && one.ended
}

// waits reports whether something is waited for, so that another step is due soon.
func (c *curves) waits(now time.Time) bool {
	if len(c.held) > 0 {
		return true
	}
	for _, due := range c.due {
		if now.Before(due.Add(time.Second)) {
			return true
		}
	}
	return false
}

// reported takes what pods have said, in their logs and to the monitor, and applies it.
func (m *mirror) reported(ctx context.Context, s *seen) ([]run.Event, error) {
	now, said := time.Now(), m.logs.take()
	var (
		grown  map[string]collect.Source
		boards []board
	)
	if m.live != nil {
		pod := ""
		if p := s.monitor.running(); p != nil && !s.monitor.off() {
			pod = p.Name
		}
		m.live.read(ctx, pod)
		grown, boards = m.live.take()
	}
	attempt := m.attemptOf(s)
	if err := m.curves.showBoards(boards, attempt); err != nil {
		return nil, err
	}
	events, err := m.curves.take(grown, m.planner.state, attempt)
	if err != nil {
		return nil, err
	}
	if len(events) >= mostAtOnce {
		m.wake() // there may be more
	}
	for _, e := range said {
		switch {
		case e.Type == run.EventTrialReport:
			m.curves.hold(e, now)
		case e.Code == run.NoteMonitor:
			if e.Text != m.podSaid { // each pod says it for itself, and it is about the run
				m.podSaid, e.Trial, e.Attempt = e.Text, nil, 0
				events = append(events, e)
			}
		default:
			events = append(events, e)
		}
	}
	events = append(events, m.curves.release(now, m.live.connected())...)
	for _, e := range events {
		m.planner.state.Apply(e)
	}
	return events, nil
}

// whole reports whether everything that an attempt printed and reported is in the record.
func (m *mirror) whole(id run.AttemptID) bool {
	return m.logs.whole(id) && m.curves.settled(id, time.Now(), m.live.connected())
}

// attemptOf finds which attempt a pod ran: as it is seen, else as it was noted.
func (m *mirror) attemptOf(s *seen) func(collect.Source) (run.AttemptID, bool) {
	// Most steps ask for none, and a run may have a thousand pods.
	seen := sync.OnceValue(func() map[types.UID]run.AttemptID {
		ids := map[types.UID]run.AttemptID{}
		for i := range s.jobs {
			j := &s.jobs[i]
			for _, p := range j.pods {
				if id, ok := j.id(p, m.spec.Completions); ok {
					ids[p.UID] = id
				}
			}
		}
		return ids
	})
	return func(source collect.Source) (run.AttemptID, bool) {
		if id, ok := seen()[types.UID(source.ID)]; ok {
			return id, true
		}
		if source.Trial < 0 || source.Trial >= m.spec.Completions {
			return run.AttemptID{}, false
		}
		id := run.AttemptID{Trial: source.Trial, Number: source.Attempt}
		for pod := m.claims.pod(id); pod != ""; pod = m.claims.pod(id) {
			if pod == types.UID(source.ID) {
				return id, true
			}
			id.Number++
		}
		return run.AttemptID{}, false
	}
}
