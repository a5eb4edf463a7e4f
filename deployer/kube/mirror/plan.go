package mirror

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// seen is what the cluster has of a run at one moment.
type seen struct {
	owner   *corev1.ConfigMap // nil: the run was deleted
	jobs    []jobSeen         // the first and those of each time that it was resumed, in their order
	events  []happening       // to its Jobs, and to pods that wait
	monitor monitorSeen
	coming  bool // the monitor may still send something of pods that are gone
	more    bool // and that is expected at any moment
	unsure  bool // pods that are not seen may be there
	now     time.Time
}

// jobSeen is a Job and its pods.
type jobSeen struct {
	*batchv1.Job
	rows rowsOf
	pods []*corev1.Pod
	ids  map[types.UID]run.AttemptID // what pods run, where that is another attempt than they say
}

// id finds which attempt of which trial a pod of the Job runs.
func (j *jobSeen) id(p *corev1.Pod, trials int) (id run.AttemptID, ok bool) {
	if id, ok = j.ids[p.UID]; ok {
		return id, true
	}
	return j.rows.id(p, trials)
}

// logs says of which attempts everything that they printed and reported is in the record.
type logs interface{ whole(id run.AttemptID) bool }

// planner works out the events by which a record catches up with what the cluster has. It does no I/O.
type planner struct {
	spec  *run.Spec
	state *run.State // of what is in the record; every event that is planned is applied to it
	plan  []run.Event
	said  map[int]said // trial → why it waits, as was said last
}

// said is why an attempt waits.
type said struct {
	attempt int
	reason  run.Reason
	text    string
}

// catchUp gives the events that the record lacks.
func (p *planner) catchUp(s seen, logs logs) []run.Event {
	p.plan = nil
	if p.state.N == 0 && len(p.state.Notes) == 0 && p.state.Phase == run.Pending &&
		p.state.Parallelism == p.spec.Parallelism {
		p.announce()
	}
	if s.owner == nil {
		p.deleted(s.now)
		return p.plan
	}
	p.stops(s)
	for i := range s.jobs {
		p.resumed(&s.jobs[i], i)
		if i+1 < len(s.jobs) && !s.jobs[i+1].CreationTimestamp.After(p.state.Resumed) {
			continue // what it left is the next one's, and the rest is in the record
		}
		p.job(&s.jobs[i], s, logs, i == len(s.jobs)-1)
	}
	p.end(s)
	return p.plan
}

func (p *planner) announce() {
	p.add(run.Event{
		Type: run.EventPlanned, Time: p.spec.Created, Completions: p.spec.Completions, Parallelism: p.spec.Parallelism,
	})
	p.add(run.Event{Type: run.EventSubmitted, Time: p.spec.Created})
}

// add plans an event and applies it.
func (p *planner) add(e run.Event) {
	p.state.Apply(e)
	p.plan = append(p.plan, e)
}

func (p *planner) trial(i int, e run.Event) {
	e.Trial = &i
	p.add(e)
}

// deleted ends the record of a run that is no longer in the cluster.
func (p *planner) deleted(now time.Time) {
	if p.state.Phase.Final() {
		return
	}
	for i := range p.state.Trials {
		if t := &p.state.Trials[i]; !t.Phase.Final() {
			p.trial(i, run.Event{
				Type: run.EventTrialEnded, Time: now, Attempt: t.Attempt, State: run.Stopped, Reason: run.ReasonDeleted,
			})
		}
	}
	p.add(run.Event{
		Type: run.EventEnded, Time: now, State: run.Stopped, Reason: run.ReasonDeleted,
		Text: "it was deleted from the cluster",
	})
}

// stops takes over what was requested of the run, by whomever.
func (p *planner) stops(s seen) {
	stop := stopOf(s.owner)
	if stop.All && !p.state.StopAsked && !p.state.Phase.Final() {
		p.add(run.Event{Type: run.EventStopAsked, Time: s.now})
	}
	for _, i := range stop.Trials {
		if i >= 0 && i < len(p.state.Trials) && !p.state.Trials[i].StopAsked && !p.state.Trials[i].Phase.Final() {
			p.trial(i, run.Event{Type: run.EventStopAsked, Time: s.now})
		}
	}
}

// stopOf is what was requested of a run.
func stopOf(owner *corev1.ConfigMap) pod.Stop {
	stop, _ := pod.ParseStop([]byte(owner.Data[pod.StopName])) // nothing was requested
	return stop
}

// job catches up with the trials of one Job. The last is the one that may still be going.
func (p *planner) job(j *jobSeen, s seen, logs logs, last bool) {
	var attempts []attempt // few of many, once most have ended
	for _, at := range j.pods {
		if id, ok := j.id(at, p.spec.Completions); ok && !p.recorded(id) {
			attempts = append(attempts, read(at, id, p.spec).takenBack(j.Job))
		}
	}
	slices.SortFunc(attempts, func(a, b attempt) int {
		return cmp.Or(cmp.Compare(a.Trial, b.Trial), cmp.Compare(a.Number, b.Number),
			a.pod.CreationTimestamp.Compare(b.pod.CreationTimestamp.Time), cmp.Compare(a.pod.Name, b.pod.Name))
	})
	for i := range attempts {
		p.attempt(&attempts[i], s, logs)
	}
	if last && !manifest.Finished(j.Job) && !p.state.StopAsked {
		p.withoutPod(j, attempts, s)
	}
	if manifest.Finished(j.Job) || last && p.state.StopAsked && idle(j) {
		p.left(j, attempts, s, logs)
	}
}

// recorded reports whether the record has the end of an attempt, or so many later ones that it has no place.
func (p *planner) recorded(id run.AttemptID) bool {
	t := &p.state.Trials[id.Trial]
	if id.Number >= t.Attempt {
		return id.Number == t.Attempt && t.Phase.Final()
	}
	return t.KnowsEnd(id.Number)
}

// attempt catches up with one attempt of a trial.
func (p *planner) attempt(a *attempt, s seen, logs logs) {
	if p.recorded(a.AttemptID) {
		return // by another pod of the same attempt
	}
	t := &p.state.Trials[a.Trial]
	if a.Number < t.Attempt {
		p.past(a, logs)
		return
	}
	at := run.Event{Attempt: a.Number}
	if a.Number > max(t.Attempt, 1) {
		at.Type, at.Time = run.EventTrialQueued, a.pod.CreationTimestamp.Time
		p.trial(a.Trial, at)
		t = &p.state.Trials[a.Trial]
	}
	if !a.started.IsZero() && t.Phase == run.Pending {
		seed := p.spec.TrialSeed(a.Trial)
		p.trial(a.Trial, run.Event{Type: run.EventTrialStarted, Time: a.started, Attempt: a.Number, Seed: &seed})
	}
	switch {
	case a.end.Type != "":
		if !logs.whole(a.AttemptID) {
			return // what is said to have ended is read as a whole
		}
		end := a.end
		end.Time, end.Attempt, end.Seed = a.ended, a.Number, nil
		if !a.started.IsZero() {
			end.Seconds = a.ended.Sub(a.started).Seconds()
		}
		if len(a.report) > 0 && len(p.state.Trials[a.Trial].Series) == 0 { // its log is gone
			p.trial(a.Trial, run.Event{
				Type: run.EventTrialReport, Time: a.at, Attempt: a.Number, Metrics: a.report, Last: true,
			})
		}
		stopped := p.state.StopAsked || p.state.Trials[a.Trial].StopAsked
		if _, said := messageOf(a.pod); stopped && !said && a.pod.DeletionTimestamp != nil {
			// It was deleted before it could end by itself: it did not run yet.
			end = run.Event{
				Type:    run.EventTrialEnded,
				Time:    a.ended,
				Attempt: a.Number,
				State:   run.Stopped,
				Reason:  run.ReasonStopped,
			}
		}
		p.trial(a.Trial, end)
		if a.again && !stopped {
			p.trial(a.Trial, run.Event{Type: run.EventTrialQueued, Time: a.ended, Attempt: a.Number + 1})
		}
	case a.started.IsZero():
		p.waits(a.Trial, a.Number, whyPodWaits(a.pod, s))
	}
}

// past adds how an attempt ended that another one has followed in the record already: its pod was gone, say, and only
// the monitor knew of it.
func (p *planner) past(a *attempt, logs logs) {
	if a.end.Type == "" || !logs.whole(a.AttemptID) {
		return
	}
	if !a.started.IsZero() {
		p.trial(a.Trial, run.Event{Type: run.EventTrialStarted, Time: a.started, Attempt: a.Number})
	}
	end := a.end
	end.Time, end.Attempt = a.ended, a.Number
	if !a.started.IsZero() {
		end.Seconds = a.ended.Sub(a.started).Seconds()
	}
	p.trial(a.Trial, end)
}

// waits notes why a trial waits, where that is something new.
func (p *planner) waits(trial, attempt int, why *run.Waiting) {
	if why == nil || p.state.StopAsked || p.state.Trials[trial].StopAsked {
		return
	}
	is := said{attempt, why.Reason, why.Text}
	if p.said[trial] == is {
		return
	}
	if p.said == nil {
		p.said = map[int]said{}
	}
	p.said[trial] = is
	p.trial(trial, run.Event{
		Type: run.EventTrialWaiting, Time: why.Since, Attempt: attempt, Reason: why.Reason, Text: why.Text,
		Hint: why.Hint,
	})
}

// withoutPod says why the trials wait that would have a pod by now.
func (p *planner) withoutPod(j *jobSeen, attempts []attempt, s seen) {
	why := whyJobWaits(j.Job, s)
	if why == nil && len(j.pods) == 0 {
		why = beingMade(s.now)
	}
	if why == nil {
		return
	}
	left := 1
	if j.Spec.Parallelism != nil {
		left = int(*j.Spec.Parallelism)
	}
	has := map[int]bool{}
	for i := range attempts {
		if a := &attempts[i]; a.end.Type == "" {
			has[a.Trial] = true
			left--
		}
	}
	for _, i := range j.trials(len(p.state.Trials)) {
		if t := &p.state.Trials[i]; left > 0 && t.Phase == run.Pending && !has[i] {
			p.waits(i, max(t.Attempt, 1), why)
			left--
		}
	}
}

// resumed notes that a further Job goes on with what was left. number counts from 1, 0 is the first Job.
func (p *planner) resumed(j *jobSeen, number int) {
	if number == 0 || !j.CreationTimestamp.After(p.state.Resumed) {
		return
	}
	at := j.CreationTimestamp.Time
	p.add(run.Event{Type: run.EventResumed, Time: at})
	for _, r := range j.rows {
		if r.Trial >= 0 && r.Trial < len(p.state.Trials) {
			p.trial(r.Trial, run.Event{Type: run.EventTrialQueued, Time: at, Attempt: r.Attempts + 1})
		}
	}
}

// beingMade is why a trial waits that has no pod yet.
func beingMade(now time.Time) *run.Waiting {
	return &run.Waiting{Reason: run.WaitingStarting, Text: "its pod is being made", Since: now}
}

// trials are those of the Job, in the order of its indexes.
func (j *jobSeen) trials(all int) []int {
	var trials []int
	if j.rows == nil {
		for i := range all {
			trials = append(trials, i)
		}
	}
	for _, r := range j.rows {
		if r.Trial >= 0 && r.Trial < all {
			trials = append(trials, r.Trial)
		}
	}
	return trials
}

// left ends the trials of a Job that is over of which no pod says how they ended.
func (p *planner) left(j *jobSeen, attempts []attempt, s seen, logs logs) {
	held := map[int]bool{}
	for i := range attempts {
		a := &attempts[i]
		held[a.Trial] = held[a.Trial] || a.end.Type == "" || !a.again || !logs.whole(a.AttemptID)
	}
	done, failed := indexes(j.Status.CompletedIndexes), indexes(deref(j.Status.FailedIndexes))
	for index, i := range j.trials(len(p.state.Trials)) {
		t := &p.state.Trials[i]
		if t.Phase.Final() || held[i] || s.coming {
			continue // its pod will say it, or has
		}
		e := run.Event{Type: run.EventTrialEnded, Time: overSince(j.Job, s.now), Attempt: t.Attempt, State: run.Failed}
		switch {
		case done[index]:
			e.State, e.Text = run.Succeeded, "what it returned is gone with its pod"
		case p.state.StopAsked || t.StopAsked:
			e.State, e.Reason = run.Stopped, run.ReasonStopped
		case failed[index]:
			e.Reason, e.Text = run.ReasonLost, "it failed, and why is gone with its pod"
		default:
			if e.Reason, e.Text = whyFailed(j.Job); e.Reason == run.ReasonProgram {
				e.Reason, e.Text = p.sameForAll()
			}
		}
		p.trial(i, e)
	}
}

// sameForAll says why no trial can run, as the one says that found it out.
func (p *planner) sameForAll() (run.Reason, string) {
	for i := range p.state.Trials {
		switch t := &p.state.Trials[i]; t.Reason { //nolint:exhaustive // the others are about one trial
		case run.ReasonImage:
			return t.Reason, t.Text
		case run.ReasonDiffers:
			return t.Reason, "its values are others than the notebook's"
		}
	}
	return run.ReasonProgram, "the program's top level failed"
}

// whyFailed says why the trials of a Job failed that never began.
func whyFailed(j *batchv1.Job) (run.Reason, string) {
	for i := range j.Status.Conditions {
		c := &j.Status.Conditions[i]
		if c.Type != batchv1.JobFailed && c.Type != batchv1.JobFailureTarget || c.Status != corev1.ConditionTrue {
			continue
		}
		if c.Reason == batchv1.JobReasonPodFailurePolicy {
			return run.ReasonProgram, ""
		}
		return run.ReasonLost, sentence(c.Message)
	}
	return run.ReasonLost, "its Job was stopped by somebody else"
}

// idle reports whether a Job starts no pods any more and none of its pods is left.
func idle(j *jobSeen) bool {
	return manifest.Halted(j.Job) && j.Status.Active == 0 &&
		!slices.ContainsFunc(j.pods, func(p *corev1.Pod) bool { return !manifest.Ended(p) })
}

func overSince(j *batchv1.Job, now time.Time) time.Time {
	for i := range j.Status.Conditions {
		if c := &j.Status.Conditions[i]; c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero() {
			return c.LastTransitionTime.Time
		}
	}
	return now
}

// end ends the run once all its trials have.
func (p *planner) end(s seen) {
	if p.state.Phase.Final() || len(s.jobs) == 0 {
		return
	}
	outcome := p.state.Outcome()
	last := s.jobs[len(s.jobs)-1]
	over := manifest.Finished(last.Job) || p.state.StopAsked && idle(&last)
	if outcome == run.Running || !over || s.more {
		return
	}
	e := run.Event{Type: run.EventEnded, Time: s.now, State: outcome}
	switch outcome {
	case run.Stopped:
		e.Reason = run.ReasonStopped
	case run.Failed:
		e.Reason = p.state.FailedAlike()
	case run.Pending, run.Running, run.Succeeded:
	}
	p.add(e)
}

// indexes reads a Job's list of indexes: "1,3-5,7".
func indexes(text string) map[int]bool {
	all := map[int]bool{}
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		last := first
		if ranged {
			if last, err = strconv.Atoi(to); err != nil {
				continue
			}
		}
		for i := first; i <= last && i-first < maxIndexes; i++ {
			all[i] = true
		}
	}
	return all
}

// maxIndexes bounds what a damaged list can make us allocate.
const maxIndexes = 1 << 17

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
