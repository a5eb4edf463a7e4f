package mirror

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// serverSeen is what the cluster has of a server at one moment.
type serverSeen struct {
	owner      *corev1.ConfigMap  // nil: the server was deleted
	deployment *appsv1.Deployment // nil: there is none
	pods       []*corev1.Pod
	events     []happening
	// how many pods there are to be, of which the Deployment has the number of now, and what chooses it in a range: nil
	// where nothing does or it may not be read
	asked   run.Replicas
	scaler  *autoscalingv2.HorizontalPodAutoscaler
	address string          // of the endpoint here; "" is not known
	spec    *run.ServerSpec // of the revision that is wanted; nil: not known
	now     time.Time
}

// wanted is the revision that the Deployment is to run; 0 is none.
func (s *serverSeen) wanted() int {
	if s.deployment == nil {
		return 0
	}
	return manifest.RevisionOf(s.deployment.Spec.Template.Labels)
}

// replicas is how many pods the Deployment is to have.
func (s *serverSeen) replicas() int {
	if s.deployment == nil || s.deployment.Spec.Replicas == nil {
		return 0
	}
	return int(*s.deployment.Spec.Replicas)
}

// stopped reports whether the end of the server was requested.
func (s *serverSeen) stopped() bool { return s.owner != nil && stopOf(s.owner).All }

// rolledOut reports whether the pods of the revision that is wanted, and no others, are there and ready.
func (s *serverSeen) rolledOut() bool {
	d := s.deployment
	if d == nil || d.Status.ObservedGeneration < d.Generation || s.replicas() == 0 {
		return false
	}
	n := int32(s.replicas())
	return d.Status.UpdatedReplicas == n && d.Status.Replicas == n && d.Status.AvailableReplicas == n
}

// alone reports whether no pod of another revision takes requests any more. One that is asked to end goes on for
// [pod.Linger] over connections that are kept, and then answers what it has.
func (s *serverSeen) alone() bool {
	return !slices.ContainsFunc(s.pods, func(p *corev1.Pod) bool {
		if manifest.RevisionOf(p.Labels) == s.wanted() || manifest.Ended(p) {
			return false
		}
		if p.DeletionTimestamp == nil || p.DeletionGracePeriodSeconds == nil {
			return true
		}
		asked := p.DeletionTimestamp.Add(-time.Duration(*p.DeletionGracePeriodSeconds) * time.Second)
		return s.now.Sub(asked) < pod.Linger+clocks
	})
}

// clocks is by how much the clocks of this machine and of the cluster may differ, and how late a pod may hear that it
// is asked to end.
const clocks = time.Second

// stuck reports whether the Deployment has made no progress for as long as it may take.
func (s *serverSeen) stuck() bool {
	d := s.deployment
	return d != nil && d.Status.ObservedGeneration >= d.Generation &&
		slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
			return c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse &&
				c.Reason == "ProgressDeadlineExceeded"
		})
}

// seat is a place in a server: which worker of a revision a pod is, and which attempt of it.
type seat struct {
	Revision int `json:"revision"`
	Worker   int `json:"worker"`
	Attempt  int `json:"attempt"`
}

// seats are the pods of a server. A pod has the lowest number that is free when it is seen first.
type seats map[types.UID]seat

// give gives a number to each pod that has none. Those that are gone are forgotten, and their numbers are free. latest
// is the latest attempt of a worker that is known.
func (all seats) give(pods []*corev1.Pod, latest func(revision, worker int) int) (changed bool) {
	there := map[types.UID]bool{}
	for _, p := range pods {
		there[p.UID] = true
	}
	for uid := range all {
		if !there[uid] {
			delete(all, uid)
			changed = true
		}
	}
	sorted := slices.Clone(pods)
	slices.SortStableFunc(sorted, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	for _, p := range sorted {
		n := manifest.RevisionOf(p.Labels)
		if _, has := all[p.UID]; has || n == 0 {
			continue
		}
		worker := 0
		for ; all.has(n, worker); worker++ {
		}
		all[p.UID] = seat{Revision: n, Worker: worker, Attempt: latest(n, worker) + 1}
		changed = true
	}
	return changed
}

func (all seats) has(revision, worker int) bool {
	for _, s := range all {
		if s.Revision == revision && s.Worker == worker {
			return true
		}
	}
	return false
}

// heard is what pods of a revision have said of it in their logs.
type heard struct {
	ready   *run.Event // server.ready
	service *run.Event // the note whether the Service leads to it
}

// serverPlanner works out the events by which the record of a server catches up with what the cluster has. It does no
// I/O.
type serverPlanner struct {
	spec  *run.Spec
	state *run.State
	plan  []run.Event
	seats seats
	said  map[int]*heard  // by revision
	waits map[int]string  // why a revision waits, as was said last
	noted map[string]bool // notes that were given
	notes []run.Event     // that are to be given
	full  time.Time       // when all pods of the revision that is started were ready first
}

func (p *serverPlanner) add(e run.Event) {
	p.state.Apply(e)
	p.plan = append(p.plan, e)
}

// serviceWait is how long it is waited for that a pod has reached the server through its Service.
const serviceWait = 25 * time.Second

// catchUp gives the events that the record lacks.
func (p *serverPlanner) catchUp(s *serverSeen) []run.Event {
	p.plan = nil
	if p.state.N == 0 {
		p.add(run.Event{Type: run.EventSubmitted, Time: p.spec.Created})
	}
	v := p.state.Server
	switch final := p.state.Phase.Final(); {
	case s.owner == nil && !final:
		p.add(run.Event{
			Type: run.EventEnded, Time: s.now, State: run.Stopped, Reason: run.ReasonDeleted,
			Text: "it was deleted from the cluster",
		})
		return p.plan
	case s.owner == nil:
		return p.plan
	case final && (s.stopped() || s.replicas() == 0):
		return p.plan
	case final:
		p.add(run.Event{Type: run.EventResumed, Time: s.now})
		if n := s.wanted(); p.hasFailed(n) { // it is tried once more
			p.add(run.Event{Type: run.EventServerStarting, Time: s.now, Revision: n})
		}
	}
	if s.stopped() && !p.state.StopAsked {
		p.add(run.Event{Type: run.EventStopAsked, Time: s.now})
	}
	n := s.wanted()
	if k := p.before(s); k > 0 && v.Revision == 0 && s.address != "" { // it answered before this record was begun
		p.add(run.Event{Type: run.EventServerReady, Time: s.now, Revision: k, Address: s.address})
	}
	if v.Starting > 0 && v.Starting != v.Revision && n > 0 && n != v.Starting {
		p.add(passedOver(v.Starting, n, s.now))
	}
	if n > 0 && !s.stopped() && v.Starting != n && (v.Revision != n || p.state.StopAsked) && !p.hasFailed(n) {
		p.full = time.Time{}
		p.add(run.Event{Type: run.EventServerStarting, Time: s.now, Revision: n})
	}
	for _, e := range p.notes {
		p.add(e)
	}
	p.notes = nil
	p.scaled(s)
	p.pods(s)
	if v.Starting == n && n > 0 && !s.stopped() {
		p.start(s, n)
	}
	if v.Starting == 0 && v.Revision == n && n > 0 && s.address != "" && v.Address != s.address && !s.stopped() {
		p.add(run.Event{
			Type: run.EventServerReady, Time: s.now, Revision: n, Address: s.address, Seconds: v.Seconds,
			Answer: v.Answer, Example: v.Example,
		})
	}
	p.end(s)
	return p.plan
}

// passedOver says why a revision never answered of which the Deployment runs another: a later one, or an earlier one
// again.
func passedOver(revision, by int, now time.Time) run.Event {
	e := run.Event{
		Type: run.EventServerFailed, Time: now, Revision: revision, Reason: run.ReasonStopped,
		Text: "it was given up before it was ready",
	}
	if by > revision {
		e.Reason, e.Text = run.ReasonSuperseded, fmt.Sprintf("revision %d was submitted before it was ready", by)
	}
	return e
}

// before is the revision that answers beside one that is to take its place; 0 is none. Where the record does not know
// it, pods that are ready say it.
func (p *serverPlanner) before(s *serverSeen) int {
	n, v := s.wanted(), p.state.Server
	if v.Revision > 0 && v.Revision != n {
		return v.Revision
	}
	newest := 0
	for _, pd := range s.pods {
		if k := manifest.RevisionOf(pd.Labels); k != n && ready(pd) {
			newest = max(newest, k)
		}
	}
	return newest
}

// hear takes in what a pod of a revision said in a line of its own.
func (p *serverPlanner) hear(revision int, e run.Event) {
	h := p.of(revision)
	switch {
	case e.Type == run.EventServerReady:
		h.ready = &e
	case e.Type != run.EventNote:
	case e.Code == run.NoteService:
		h.service = &e
		if e.Text != pod.ReachedByService {
			p.note(revision, e)
		}
	default:
		p.note(revision, e)
	}
}

// note keeps a note for the next plan, unless it was given.
func (p *serverPlanner) note(revision int, e run.Event) {
	if key := noteKey(revision, e.Code, e.Text); !p.noted[key] {
		p.noted[key] = true
		e.Revision = revision
		p.notes = append(p.notes, e)
	}
}

// scaled notes that the server is to have another number of pods than is known. Which number within a range there is
// now, its pods say.
func (p *serverPlanner) scaled(s *serverSeen) {
	if s.spec == nil || s.replicas() == 0 || s.stopped() {
		return
	}
	if known, _ := p.state.Server.ReplicasOf(s.spec); known != s.asked {
		p.add(run.Event{
			Type: run.EventServerScaled, Time: s.now, Replicas: s.asked.Min, MaxReplicas: s.asked.Max,
		})
	}
	p.noteScaler(s)
}

// hasFailed reports whether a revision is known never to get ready.
func (p *serverPlanner) hasFailed(n int) bool {
	f := p.state.Server.Failed
	return f != nil && f.Revision == n
}

// pods has the record follow the pods of the revision that answers and of the one that is started.
func (p *serverPlanner) pods(s *serverSeen) {
	v := p.state.Server
	there := map[[2]int]bool{}
	for _, pd := range s.pods {
		is, ok := p.seats[pd.UID]
		if !ok || is.Revision != v.Revision && is.Revision != v.Starting {
			continue
		}
		c := containerStatus(pd)
		if c == nil || c.State.Running == nil && c.RestartCount == 0 && c.State.Terminated == nil {
			continue
		}
		there[[2]int{is.Revision, is.Worker}] = true
		w := p.worker(is)
		event := func(kind string) run.Event {
			worker := is.Worker
			return run.Event{
				Type: kind, Time: s.now, Revision: is.Revision, Worker: &worker,
				Attempt: is.Attempt + int(c.RestartCount),
			}
		}
		if w == nil || w.Attempt < is.Attempt+int(c.RestartCount) {
			if w != nil && !w.Ended {
				p.add(p.endOf(event(run.EventWorkerEnded), w.Attempt, c.LastTerminationState.Terminated))
			}
			p.add(event(run.EventWorkerStarted))
			w = p.worker(is)
		}
		switch running := c.State.Running != nil && pd.DeletionTimestamp == nil; {
		case w == nil:
		case running && c.Ready && !w.Ready:
			p.add(event(run.EventWorkerReady))
		case c.State.Terminated != nil && !w.Ended:
			p.add(p.endOf(event(run.EventWorkerEnded), w.Attempt, c.State.Terminated))
		}
	}
	alive := map[int]int{} // by revision
	for is := range there {
		alive[is[0]]++
	}
	for _, w := range slices.Clone(v.Workers) {
		e := run.Event{
			Type: run.EventWorkerEnded, Time: s.now, Revision: w.Revision, Worker: new(w.Index), Attempt: w.Attempt,
		}
		switch {
		case there[[2]int{w.Revision, w.Index}]:
		case w.Revision == s.wanted() && s.replicas() > 0 && alive[w.Revision] >= s.replicas(): // none takes its place
			e.Reason = run.ReasonScaled
			p.add(e)
		case !w.Ended:
			e.Reason, e.Text = run.ReasonLost, "its pod is gone"
			p.add(e)
		}
	}
}

func (p *serverPlanner) worker(is seat) *run.Worker {
	all := p.state.Server.Workers
	for i := range all {
		if all[i].Revision == is.Revision && all[i].Index == is.Worker {
			return &all[i]
		}
	}
	return nil
}

// endOf says how a container ended.
func (p *serverPlanner) endOf(e run.Event, attempt int, end *corev1.ContainerStateTerminated) run.Event {
	e.Attempt, e.Reason, e.Text = attempt, run.ReasonLost, "its container is gone"
	if end == nil {
		return e
	}
	exit := int(end.ExitCode)
	e.Exit, e.Reason, e.Text = &exit, run.ReasonExit, fmt.Sprintf("it ended with exit status %d", exit)
	switch m, ok := pod.DecodeServer(end.Message); {
	case ok:
		e.Reason, e.Text, e.Error = m.Reason, m.Text, m.Error
	case end.Reason == "OOMKilled":
		e.Reason, e.Text = run.ReasonSignal, "it was killed since it used more memory than --memory gives it"
	case exit > 128:
		n := syscall.Signal(exit - 128)
		e.Reason, e.Text = run.ReasonSignal, fmt.Sprintf("it was ended by signal %d (%s)", int(n), n)
	}
	return e
}

// maxCrashes is how often the containers of a revision that was never ready may end, for reasons that are not its own,
// before it is given up.
const maxCrashes = 4

// start decides about the revision that is being started: it is ready, it has failed, or it waits for something.
func (p *serverPlanner) start(s *serverSeen, n int) {
	if failed, ok := p.failure(s, n); ok {
		p.add(failed)
		return
	}
	h := p.of(n)
	if ready, _ := p.state.Server.CountWorkers(n); !s.rolledOut() || ready < s.replicas() {
		p.full = time.Time{}
		p.waiting(s, n)
		return
	}
	if p.full.IsZero() {
		p.full = s.now
	}
	if s.address == "" || !s.alone() || h.service == nil && s.now.Sub(p.full) < serviceWait {
		return
	}
	e := run.Event{
		Type: run.EventServerReady, Time: s.now, Revision: n, Address: s.address,
		Seconds: s.now.Sub(p.state.Server.Since).Seconds(),
	}
	if h.ready != nil {
		e.Answer, e.Example = h.ready.Answer, h.ready.Example
	}
	p.add(e)
	if h.service == nil {
		p.add(run.Event{
			Type: run.EventNote, Time: s.now, Revision: n, Code: run.NoteService,
			Text: "whether its Service leads to it is not known: its pods have not said it",
		})
	}
}

// of is what pods of a revision have said.
func (p *serverPlanner) of(n int) *heard {
	if p.said[n] == nil {
		p.said[n] = &heard{}
	}
	return p.said[n]
}

// failure says why a revision never gets ready.
func (p *serverPlanner) failure(s *serverSeen, n int) (e run.Event, failed bool) {
	e = run.Event{Type: run.EventServerFailed, Time: s.now, Revision: n}
	for _, pd := range s.pods {
		c := containerStatus(pd)
		if c == nil || manifest.RevisionOf(pd.Labels) != n {
			continue
		}
		for _, end := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
			if end == nil {
				continue
			}
			m, ok := pod.DecodeServer(end.Message)
			if ok && (end.ExitCode == pod.ExitProgram || c.RestartCount >= maxCrashes) {
				e.Reason, e.Text, e.Hint, e.Error = m.Reason, m.Text, m.Hint, m.Error
				if m.Lines != "" && !strings.Contains(e.Text, m.Lines) {
					e.Text = strings.TrimSuffix(e.Text, "\n") + "\n" + m.Lines
				}
				return e, true
			}
			if end.ExitCode == pod.ExitProgram && end.Message != "" {
				e.Reason, e.Text = run.ReasonImage, sentence(end.Message)
				return e, true
			}
			if c.RestartCount >= maxCrashes {
				how := p.endOf(run.Event{}, 0, end)
				e.Reason, e.Text = how.Reason, fmt.Sprintf("a pod of it ended %d times before it was ready: %s",
					c.RestartCount, how.Text)
				if message := sentence(end.Message); message != "" {
					e.Text += "\n" + message
				}
				return e, true
			}
		}
	}
	if s.stuck() {
		e.Reason, e.Text = run.ReasonTimeout, "its pods were not ready for 10 minutes"
		if w := p.why(s, n); w != nil {
			e.Text, e.Hint = e.Text+": "+w.Text, w.Hint
		}
		return e, true
	}
	return e, false
}

// why says what a pod of a revision waits for.
func (p *serverPlanner) why(s *serverSeen, n int) *run.Waiting {
	for i := range s.deployment.Status.Conditions {
		c := &s.deployment.Status.Conditions[i]
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return refusedPod(c.Message, s.now)
		}
	}
	for _, pd := range s.pods {
		if manifest.RevisionOf(pd.Labels) != n || began(pd) || pd.DeletionTimestamp != nil {
			continue
		}
		w := whyPodWaits(pd, seen{now: s.now, events: s.events})
		if w != nil && w.Reason != run.WaitingStarting {
			return w
		}
	}
	return nil
}

// waiting notes what a revision waits for, each thing once.
func (p *serverPlanner) waiting(s *serverSeen, n int) {
	w := p.why(s, n)
	if w == nil || p.waits[n] == w.Text {
		return
	}
	p.waits[n] = w.Text
	p.add(run.Event{
		Type: run.EventNote, Time: s.now, Revision: n, Code: run.NoteWaiting,
		Text: fmt.Sprintf("revision %d waits: %s", n, w.Text), Hint: w.Hint,
	})
}

// end ends the record when nothing is left of a server that was to end.
func (p *serverPlanner) end(s *serverSeen) {
	v := p.state.Server
	switch {
	case s.deployment == nil && v.Starting == 0 && v.Revision == 0 && !s.stopped():
		return // it is being submitted
	case s.deployment == nil:
		p.add(run.Event{
			Type: run.EventEnded, Time: s.now, State: run.Stopped, Reason: run.ReasonDeleted,
			Text: "its Deployment was deleted from the cluster",
		})
	case s.replicas() > 0 || s.deployment.Status.ObservedGeneration < s.deployment.Generation || len(s.pods) > 0:
	case s.stopped() || v.Revision > 0 && v.Starting == 0: // or somebody else has scaled it to nothing
		p.add(run.Event{Type: run.EventEnded, Time: s.now, State: run.Stopped, Reason: run.ReasonStopped})
	case v.Failed != nil && v.Revision == 0 && p.before(s) == 0: // which act has seen to
		p.add(run.Event{
			Type: run.EventEnded, Time: s.now, State: run.Failed, Reason: v.Failed.Reason, Text: failureText(v.Failed),
		})
	}
}

// failureText is why a server failed, in one line.
func failureText(f *run.RevisionFailure) string {
	if f.Text != "" || f.Error == nil {
		text, _, _ := strings.Cut(f.Text, "\n")
		return text
	}
	return f.Error.LoadText()
}

// ready reports whether a pod may be sent requests.
func ready(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
