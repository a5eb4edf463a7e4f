// Package mirror keeps the record of a run that is in a cluster: a run folder on this machine, of the layout that
// every run has here, which whoever reads runs reads. The cluster is the truth; a mirror can be thrown away and made
// anew from what is left there.
//
// Read [Follow] first, then planner in plan.go, which decides what the record lacks and does no I/O. The package
// imports client-go's informers, deployer/folder, deployer/run, deployer/pod and what lies beside it in deployer/kube.
package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/halt"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// source is the source of the events in a mirror.
const source = "cluster"

// Follow keeps the mirror of a run until the run has ended or ctx ends. Only one process does so at a time: if another
// does already, there is nothing left to do.
func Follow(ctx context.Context, c *cluster.Cluster, f folder.Run) error {
	for {
		over, err := followRun(ctx, c, f)
		// Who resumed the run while its end was seen to found that it is followed, and left it at that.
		if err != nil || over.IsZero() || !f.Asked().After(over) {
			return err
		}
	}
}

// followRun does what Follow does, once. over is when the run was seen to have ended.
func followRun(ctx context.Context, c *cluster.Cluster, f folder.Run) (over time.Time, err error) {
	lock, err := f.LockMonitorWithin(ctx, 0)
	if errors.Is(err, folder.ErrLocked) {
		return over, nil
	}
	if err != nil {
		return over, err
	}
	defer lock.Close()
	if err := f.WriteMonitor(); err != nil {
		return over, err
	}
	m, err := open(c, f)
	if err != nil {
		return over, err
	}
	defer m.close()
	if m.spec.Kind == run.Serve {
		return m.over, newServer(m).follow(ctx)
	}
	err = m.follow(ctx)
	return m.over, err
}

// Once brings the mirror of a run up to date with what the cluster has now, and reads the logs of the trials that have
// ended. It does nothing if somebody follows the run.
func Once(ctx context.Context, c *cluster.Cluster, f folder.Run) error {
	lock, err := f.LockMonitor()
	if errors.Is(err, folder.ErrLocked) {
		f.Ask() // whoever follows it may have lost the way
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	m, err := open(c, f)
	if err != nil {
		return err
	}
	defer m.close()
	if m.spec.Kind == run.Serve {
		return newServer(m).once(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() { // whoever follows the run next writes the same files
		cancel(nil)
		m.logs.wait()
	}()
	return m.once(ctx)
}

// Beginning is what is known of a run when it was submitted.
type Beginning struct {
	Build run.Build  // how its image was made
	Notes []run.Note // what people should know
	Token string     // of its monitor; "": it has none
}

// Begin writes the beginning of the record of a run that was just submitted: so it is there before anything is heard of
// the cluster.
func Begin(f folder.Run, b Beginning) error {
	if b.Token != "" {
		if err := folder.ReplaceJSON(tokenFile(f), ownToken{b.Token}); err != nil {
			return folder.Explain(err, "write", tokenFile(f))
		}
	}
	m, err := open(nil, f)
	if err != nil {
		return err
	}
	defer m.close()
	if err := m.keepPython(); err != nil {
		return err
	}
	p := &m.planner
	if m.spec.Kind == run.Serve {
		p.add(run.Event{Type: run.EventSubmitted, Time: m.spec.Created})
	} else {
		p.announce()
	}
	now := time.Now()
	for i := range b.Build {
		p.add(run.Event{Type: run.EventBuildStep, Time: now, Build: &b.Build[i]})
	}
	for _, n := range b.Notes {
		p.add(run.Event{Type: run.EventNote, Time: now, Code: n.Code, Text: n.Text, Hint: n.Hint})
	}
	for i := range min(m.spec.Parallelism, len(m.planner.state.Trials)) {
		p.waits(i, 1, beingMade(now))
	}
	return m.write(p.plan)
}

// Halt does at once what following a run does about a stop that was requested: it announces it to the pods.
func Halt(ctx context.Context, c *cluster.Cluster, f folder.Run) error {
	spec, err := f.ReadSpec()
	if err != nil {
		return err
	}
	m := &mirror{cluster: c, folder: f, name: spec.Name, spec: spec, rows: map[string]rowsOf{}}
	s, err := m.look(ctx)
	if err != nil || s.owner == nil {
		return err
	}
	halt.Continue(ctx, c, m.haltable(s))
	return nil
}

// mirror is the record of one run while it is written.
type mirror struct {
	cluster  *cluster.Cluster
	inUse    sync.Mutex // of cluster, where other goroutines read it
	folder   folder.Run
	name     string // of the run, in its namespace
	spec     run.Spec
	patience time.Duration // --start-timeout; 0 is none
	file     *os.File
	log      *folder.Log
	planner  planner
	claims   claims
	logs     *logKeeper
	gone     *remembered
	live     *live // nil while nobody follows the run
	curves   *curves
	board    tensorBoard
	saved    savings
	asked    asking
	outputs  *outputs      // nil while nobody follows the run
	left     bool          // trials may have left files that were not asked for
	dirty    chan struct{} // something may be new
	arrived  chan struct{} // the same, from the monitor: that says nothing of the way to the API server
	rows     map[string]rowsOf
	link     link
	said     string // last about the way to the cluster

	began      time.Time // when it was begun to follow the run, or the cluster answered again
	over       time.Time // when the run was seen to have ended
	lastOver   time.Time // when reports of a run that is over were waited for first
	reports    bool      // they are
	heardAll   bool      // what the monitor had of pods that are gone has come
	curvesSaid string    // last about live curves that are missing
	podSaid    string    // last by a pod about the monitor
	lookAt     time.Time // when events are listed again
	happened   []happening
}

func open(c *cluster.Cluster, f folder.Run) (*mirror, error) {
	spec, err := f.ReadSpec()
	if err != nil {
		return nil, err
	}
	file, err := f.OpenEvents()
	if err != nil {
		return nil, err
	}
	m := &mirror{
		cluster: c, folder: f, name: spec.Name, spec: spec, file: file, dirty: make(chan struct{}, 1),
		arrived: make(chan struct{}, 1), rows: map[string]rowsOf{},
	}
	if m.curves, err = newCurves(f); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	state := run.NewState(spec)
	if m.log, err = folder.OpenLog(file, func(e run.Event) { state.Apply(e); m.curves.count(e) }); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	m.planner = planner{spec: &m.spec, state: state, said: map[int]said{}}
	for i := range state.Trials {
		if t := &state.Trials[i]; t.Waiting != nil {
			m.planner.said[i] = said{t.Attempt, t.Waiting.Reason, t.Waiting.Text}
		}
	}
	m.patience = settings.Recorded(spec.Kind, spec.Settings).Duration("start_timeout")
	m.gone = newRemembered(f)
	forgetSaved(f)
	m.saved = newSavings(f, &m.spec)
	m.claims = claims{folder: f, pods: map[run.AttemptID]types.UID{}}
	m.logs = newLogKeeper(c, f, spec.Kind, m.wake)
	m.link.changed, m.link.pulse = m.wake, time.Now()
	return m, nil
}

func (m *mirror) close() {
	m.curves.close()
	_ = m.file.Close()
}

// wake has the record brought up to date.
func (m *mirror) wake() { signal(m.dirty) }

// signal leaves a value, if there is none.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// apart is the shortest time between two writings of the record.
const apart = 100 * time.Millisecond

// lookAgain is after what time the record is brought up to date although nothing was heard.
const lookAgain = 5 * time.Second

// follow keeps the record until the run has ended. Whenever the cluster has not answered for a while, it begins anew:
// what was listed may be old, and what is watched and read may be connections that nothing comes through any more.
func (m *mirror) follow(ctx context.Context) error {
	m.use(m.cluster)
	defer m.keepTensorBoard(ctx)()
	for gone := (pods{}); ; {
		renewed, err := m.followOnce(ctx, gone)
		if !renewed {
			return err
		}
		m.logs = m.logs.again(m.cluster)
	}
}

// followOnce keeps the record until the run has ended, or the cluster answers again that did not.
func (m *mirror) followOnce(ctx context.Context, gone pods) (renewed bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := m.watch(ctx, gone)
	m.live = newLive(m.cluster, m.folder, m.name, func() { signal(m.arrived) })
	m.outputs, m.left = startOutputs(ctx, m.live), true
	m.began, m.heardAll, m.lastOver = time.Now(), false, time.Time{}
	m.saved.read, m.saved.last = false, false // others may have gone on while the cluster did not answer
	defer func() {
		cancel(nil)
		w.wait()
		m.saved.all.Wait()
		m.logs.wait()
		m.outputs.wait()
		m.live.wait()
	}()
	for {
		s, synced, trouble := m.current(ctx, w)
		m.logs.hold(trouble != nil)
		if synced {
			m.addUnseen(ctx, &s)
		}
		if err := m.tellWay(trouble); err != nil {
			return false, err
		}
		if synced && m.taken(ctx, &s) {
			if err := m.step(ctx, s); err != nil {
				return false, err
			}
			if m.planner.state.Phase.Final() {
				m.over = s.now
				if m.saveLast(ctx, &s) && !m.lacksReports(&s) { // else the monitor stays, which has some of it
					m.dismiss(ctx, &s)
				}
				return false, nil
			}
			m.save(ctx, s.owner, s.now)
			m.askOutputs(&s)
			if err := m.tellTensorBoard(); err != nil {
				return false, err
			}
			if err := m.act(ctx, s, trouble != nil); err != nil {
				return false, err
			}
		}
		again := lookAgain
		if m.reports || m.curves.waits(time.Now()) {
			again = holdReports / 4
		}
		if err := m.news(ctx, again); err != nil {
			return false, err
		}
		if m.folder.Gone() {
			return false, nil
		}
		if m.check(ctx, trouble) {
			return true, nil
		}
	}
}

// current is what the informers hold, if they have listed all, and what has been wrong for some time.
func (m *mirror) current(ctx context.Context, w *watching) (s seen, synced bool, trouble error) {
	synced, trouble = m.listed(&w.informers)
	if !synced {
		return s, false, trouble
	}
	s, err := w.seen(ctx, m)
	if err != nil {
		return s, false, err
	}
	return s, true, trouble
}

// listed says whether informers have listed all, and what has been wrong for some time.
func (m *mirror) listed(w *informers) (synced bool, trouble error) {
	synced, trouble = w.state()
	if asked := m.link.trouble(false); trouble == nil || asked != nil && m.cluster.Shut() != nil {
		trouble = asked // nothing else is sent by then
	}
	return synced, trouble
}

// news waits until there may be something new, for so long at most, and then until the record may be written again.
func (m *mirror) news(ctx context.Context, atMost time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-m.dirty:
		m.link.pulse = time.Now()
	case <-m.arrived:
	case <-time.After(atMost):
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(apart):
		return nil
	}
}

// act does in the cluster what the run needs: it gives up what does not start, unless what is seen may be old, and goes
// on with a stop that was requested.
func (m *mirror) act(ctx context.Context, s seen, old bool) error {
	if s.owner == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	if !old {
		if err := m.giveUp(ctx, s); err != nil {
			return err
		}
		if err := m.giveWay(ctx, &s); err != nil {
			return err
		}
		m.letIn(ctx, &s)
	}
	halt.Continue(ctx, m.cluster, m.haltable(s))
	return nil
}

// haltable is what is left to do about a stop that was requested.
func (m *mirror) haltable(s seen) halt.Run {
	last := s.jobs
	if len(last) == 0 {
		return halt.Run{}
	}
	j := last[len(last)-1]
	h := halt.Run{Stop: stopOf(s.owner), Job: j.Job}
	if !h.Stop.All && len(h.Stop.Trials) == 0 {
		return halt.Run{}
	}
	for _, p := range j.pods {
		if id, ok := j.id(p, m.spec.Completions); ok {
			h.Pods = append(h.Pods, halt.Pod{Pod: p, Trial: id.Trial})
		}
	}
	return h
}

// once looks one time, and once more when the logs have been read.
func (m *mirror) once(ctx context.Context) error {
	s, err := m.look(ctx)
	if err != nil {
		return err
	}
	if m.log.Last() == 0 && s.owner != nil {
		if err := m.takeSaved(ctx, &s); err != nil {
			return err
		}
	}
	if m.gone.over(&s) && !s.monitor.off() && s.monitor.running() != nil {
		if done, err := m.collect(ctx); done || err != nil {
			return err
		}
	}
	m.addUnseen(ctx, &s)
	for {
		if err := m.step(ctx, s); err != nil {
			return err
		}
		if m.planner.state.Phase.Final() || !m.logs.reading() {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-m.dirty:
		}
	}
}

// collectFor is how long a look may take to collect what the monitor has of a run that has ended.
const collectFor = 10 * time.Second

// collect follows a run that has ended while nobody did to the end of its record.
func (m *mirror) collect(ctx context.Context) (done bool, err error) {
	within, cancel := context.WithTimeout(ctx, collectFor)
	defer cancel()
	m.use(m.cluster)
	_, err = m.followOnce(within, pods{})
	m.live = nil
	m.logs = m.logs.again(m.cluster)
	if within.Err() != nil && ctx.Err() == nil {
		err = nil // what the cluster says is left
	}
	return m.planner.state.Phase.Final(), err
}

// step writes what the record lacks.
func (m *mirror) step(ctx context.Context, s seen) error {
	// Before others are read: the start of whatever said something is in the record.
	if s.owner != nil {
		m.gone.add(&s, m.curves.left, &m.spec, m.live != nil && m.live.caughtUp())
	}
	events, err := m.reported(ctx, &s)
	if err != nil {
		return err
	}
	for i := range s.jobs {
		m.claims.number(&s.jobs[i], m.spec.Completions)
		for _, p := range s.jobs[i].pods {
			id, ok := s.jobs[i].id(p, m.spec.Completions)
			// Who only looks does not follow logs: what pods say in them would be read and lost, and whoever follows
			// the run then goes on behind it.
			over := manifest.Ended(p)
			if !ok || m.planner.recorded(id) || !began(p) || m.live == nil && !over {
				continue
			}
			m.logs.keep(ctx, id, p, over)
		}
	}
	if s.owner == nil {
		if err := m.folder.MarkGone(); err != nil {
			return err
		}
	}
	if err := noteMonitor(m.folder, &s); err != nil {
		return err
	}
	s.events = m.listEvents(ctx, &s)
	s.coming, s.more = m.coming(&s)
	m.reports = m.reportsDue(ctx, &s)
	s.coming, s.more = s.coming || s.unsure, s.more || m.reports || s.unsure
	events = append(events, m.tellCurves(&s)...)
	return m.write(append(events, m.planner.catchUp(s, m)...))
}

// write appends events that were applied already.
func (m *mirror) write(events []run.Event) error {
	if len(events) == 0 {
		return nil
	}
	batch := make([]*run.Event, len(events))
	for i := range events {
		e := &events[i]
		e.V, e.Source, e.Run = 1, source, m.name
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		batch[i] = e
	}
	if err := m.log.Append(batch...); err != nil {
		return err
	}
	m.planner.state.N = m.log.Last()
	m.saved.note(events)
	for i := range events {
		m.left = m.left || events[i].Type == run.EventTrialEnded
		if e := &events[i]; e.Type == run.EventTrialEnded && e.State == run.Succeeded {
			if err := m.noResult(*e.Trial, e.Attempt); err != nil {
				return err
			}
		}
	}
	if !m.planner.state.Phase.Final() {
		return nil
	}
	if err := m.log.Sync(); err != nil {
		return fmt.Errorf("write the events to the disk: %w", err)
	}
	return m.folder.WriteSummary(m.planner.state, m.log.Size())
}

// noResult says, where what a function returned would be, that it is not here.
func (m *mirror) noResult(trial, attempt int) error {
	if attempt == 0 {
		return nil
	}
	path := m.folder.Result(trial, attempt) + ".txt"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte("it went with its pod; the metrics that it returned are kept"), 0o600)
}

// tellWay notes in the record what stands between us and the cluster, once, and that it is over.
func (m *mirror) tellWay(err error) error {
	text, hint := "", ""
	if err != nil {
		text, hint = wayText(m.cluster, err)
	}
	if text == m.said {
		return nil
	}
	m.said = text
	note := run.Event{Type: run.EventNote, Time: time.Now(), Code: run.NoteCluster, Text: text, Hint: hint}
	if text == "" {
		note.Text = fmt.Sprintf("cluster %s answers again", m.cluster.Context)
	}
	m.planner.state.Apply(note)
	return m.write([]run.Event{note})
}

// selector finds the objects of the run.
func (m *mirror) selector() string { return manifest.LabelRun + "=" + m.name }

// look reads what the cluster has now.
func (m *mirror) look(ctx context.Context) (seen, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	var (
		s                  = seen{now: time.Now()}
		jobs               *batchv1.JobList
		pods               *corev1.PodList
		owner, jobsE, podE error
		all                sync.WaitGroup
	)
	options := metav1.ListOptions{LabelSelector: m.selector()}
	all.Go(func() {
		s.owner, owner = m.cluster.Core.ConfigMaps(m.cluster.Namespace).Get(ctx, m.name, metav1.GetOptions{})
	})
	all.Go(func() { jobs, jobsE = m.cluster.Batch.Jobs(m.cluster.Namespace).List(ctx, options) })
	all.Go(func() { pods, podE = m.cluster.Core.Pods(m.cluster.Namespace).List(ctx, options) })
	all.Wait()
	if apierrors.IsNotFound(owner) {
		s.owner = nil
		return s, nil
	}
	if err := errors.Join(owner, jobsE, podE); err != nil {
		return s, m.cluster.Explain(err, "read run "+m.name)
	}
	s.owner = ours(s.owner, &m.spec)
	jobList, podList := make([]*batchv1.Job, len(jobs.Items)), make([]*corev1.Pod, len(pods.Items))
	for i := range jobs.Items {
		jobList[i] = &jobs.Items[i]
	}
	for i := range pods.Items {
		podList[i] = &pods.Items[i]
	}
	err := m.together(ctx, &s, jobList, podList)
	return s, err
}

// ours gives the owner if it is that of this very run: another may have its name by now.
func ours(owner *corev1.ConfigMap, spec *run.Spec) *corev1.ConfigMap {
	if owner == nil {
		return nil
	}
	if of, err := manifest.ReadOwner(owner); err != nil || of.ID != spec.ID {
		return nil
	}
	return owner
}

// together sorts Jobs and gives each its pods and rows; the monitor's is none of them.
func (m *mirror) together(
	ctx context.Context, s *seen, jobs []*batchv1.Job, pods []*corev1.Pod,
) error {
	all := make([]jobSeen, 0, len(jobs))
	for _, j := range jobs {
		if j.Labels[manifest.LabelComponent] == manifest.ComponentMonitor {
			s.monitor.job = j
			continue
		}
		rows, err := m.rowsOf(ctx, j.Name)
		if err != nil {
			return err
		}
		all = append(all, jobSeen{Job: j, rows: rows})
	}
	slices.SortFunc(all, func(a, b jobSeen) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return len(a.Name) - len(b.Name)
	})
	byJob := map[string]*jobSeen{}
	for i := range all {
		byJob[all[i].Name] = &all[i]
	}
	for _, p := range pods {
		job := p.Labels[batchv1.JobNameLabel]
		if j := byJob[job]; j != nil {
			j.pods = append(j.pods, p)
		} else if s.monitor.job != nil && job == s.monitor.job.Name {
			s.monitor.pods = append(s.monitor.pods, p)
		}
	}
	s.jobs = all
	return nil
}

// rowsOf reads which trials the indexes of a Job stand for. They never change.
func (m *mirror) rowsOf(ctx context.Context, job string) (rowsOf, error) {
	if !strings.HasPrefix(job, m.name+"-r") {
		return nil, nil
	}
	if rows, ok := m.rows[job]; ok {
		return rows, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	object, err := m.cluster.Core.ConfigMaps(m.cluster.Namespace).Get(ctx, manifest.RowsName(job), metav1.GetOptions{})
	if err != nil {
		return nil, m.cluster.Explain(err, "read which trials run "+m.name+" went on with")
	}
	var rows []pod.Row
	if err := json.Unmarshal(object.BinaryData[pod.RowsName], &rows); err != nil {
		return nil, fmt.Errorf("read the rows of the Job %s: %w", job, err)
	}
	m.rows[job] = rows
	return rows, nil
}
