package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// allRead says that every log is in the record.
type allRead struct{}

func (allRead) whole(run.AttemptID) bool { return true }

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// scene is a run in a cluster as a test tells it.
type scene struct {
	t       *testing.T
	planner planner
	seen    seen
}

func newScene(t *testing.T, trials int) *scene {
	t.Helper()
	spec := &run.Spec{
		V: 1, Name: "train-1", Series: "train", Kind: run.Train, Completions: trials, Parallelism: 2, Retries: 1,
		Created: start,
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "train-1", CreationTimestamp: metav1.NewTime(start)}}
	parallelism := int32(2)
	job.Spec.Parallelism = &parallelism
	return &scene{
		t: t, planner: planner{spec: spec, state: run.NewState(*spec)},
		seen: seen{owner: &corev1.ConfigMap{}, jobs: []jobSeen{{Job: job}}, now: start.Add(time.Minute)},
	}
}

// pod adds a pod that runs an attempt of the trial with an index.
func (s *scene) pod(index, failures int, phase corev1.PodPhase, state corev1.ContainerState) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("train-1-%d-%d", index, failures), CreationTimestamp: metav1.NewTime(start),
			Annotations: map[string]string{indexAnnotation: fmt.Sprint(index)},
		},
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{
			Name: manifest.TrialContainer, Resources: corev1.ResourceRequirements{
				Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")},
			},
		}}},
		Status: corev1.PodStatus{Phase: phase},
	}
	if failures > 0 {
		p.Annotations[failureAnnotation] = fmt.Sprint(failures)
	}
	if state != (corev1.ContainerState{}) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: manifest.TrialContainer, State: state}}
	}
	last := &s.seen.jobs[len(s.seen.jobs)-1]
	last.pods = append(last.pods, p)
	return p
}

func running() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(start)}}
}

func terminated(code int32, reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: message, StartedAt: metav1.NewTime(start),
		FinishedAt: metav1.NewTime(start.Add(30 * time.Second)),
	}}
}

func ended(t *run.Trial) string { return string(pod.Of(t).Encode()) }

// finish ends the Job.
func (s *scene) finish(kind batchv1.JobConditionType, reason string) {
	j := s.seen.jobs[len(s.seen.jobs)-1]
	j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason,
	})
}

// plans tells the events that the record lacks, a line each, and checks that nothing is lacking then.
func (s *scene) plans() []string {
	s.t.Helper()
	seen, slim := s.seen, slimmer{} // as informers hold it
	seen.jobs = slices.Clone(seen.jobs)
	for i := range seen.jobs {
		j := &seen.jobs[i]
		j.pods = slices.Clone(j.pods)
		for n, p := range j.pods {
			j.pods[n] = slim.pod(p)
		}
	}
	planned := lines(s.planner.catchUp(seen, allRead{}))
	s.planner.state.N = 1
	if again := s.planner.catchUp(seen, allRead{}); len(again) > 0 {
		s.t.Errorf("the second time it still plans %q", lines(again))
	}
	return planned
}

func lines(events []run.Event) []string {
	var all []string
	for _, e := range events {
		line := e.Type
		if e.Trial != nil {
			line += fmt.Sprintf(" %d/%d", *e.Trial, e.Attempt)
		}
		all = append(all, strings.TrimSpace(line+" "+strings.TrimSpace(fmt.Sprint(e.State, " ", e.Reason))))
	}
	return all
}

func (s *scene) expect(want ...string) {
	s.t.Helper()
	if got := s.plans(); !slices.Equal(got, want) {
		s.t.Errorf("plans\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestASweepThatGoesWell(t *testing.T) {
	s := newScene(t, 2)
	s.expect("run.planned", "run.submitted", "trial.waiting 0/1 starting", "trial.waiting 1/1 starting")
	first := s.pod(0, 0, corev1.PodRunning, running())
	s.expect("trial.started 0/1")
	first.Status.Phase = corev1.PodSucceeded
	first.Status.ContainerStatuses[0].State = terminated(
		0,
		"Completed",
		ended(
			&run.Trial{
				Index:    0,
				Attempt:  1,
				Phase:    run.Succeeded,
				Metrics:  run.Metrics{"loss": 0.5},
				Returned: []string{"loss"},
			},
		),
	)
	s.pod(1, 0, corev1.PodSucceeded, terminated(0, "Completed",
		ended(&run.Trial{Index: 1, Attempt: 1, Phase: run.Succeeded})))
	s.expect("trial.ended 0/1 succeeded", "trial.started 1/1", "trial.ended 1/1 succeeded")
	if got := s.planner.state.Trials[0]; got.Metrics["loss"] != 0.5 || got.Elapsed(start) != 30*time.Second {
		t.Errorf("trial 0 is %+v", got)
	}
	s.finish(batchv1.JobComplete, "")
	s.expect("run.ended succeeded")
}

func TestAFailedTrialIsFollowedByWhatTheJobDoes(t *testing.T) {
	evicted := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI",
		}}
	}
	for _, c := range []struct {
		name     string
		failures int
		state    corev1.ContainerState
		change   func(*corev1.Pod)
		want     []string
	}{
		{
			"its own exception", 0,
			terminated(42, "Error", ended(&run.Trial{Attempt: 1, Phase: run.Failed, Reason: run.ReasonException})), nil,
			[]string{"trial.started 0/1", "trial.ended 0/1 failed exception"},
		},
		{
			"a signal", 0, terminated(139, "Error", ""), nil,
			[]string{"trial.started 0/1", "trial.ended 0/1 failed signal", "trial.queued 0/2"},
		},
		{
			"a signal, and no retry is left", 1, terminated(139, "Error", ""), nil,
			[]string{"trial.queued 0/2", "trial.started 0/2", "trial.ended 0/2 failed signal"},
		},
		{
			"memory", 0, terminated(137, "OOMKilled", ""), nil,
			[]string{"trial.started 0/1", "trial.ended 0/1 failed memory", "trial.queued 0/2"},
		},
		{
			"an eviction, which does not count", 1, terminated(143, "Error", ""), evicted,
			[]string{"trial.queued 0/2", "trial.started 0/2", "trial.ended 0/2 failed evicted", "trial.queued 0/3"},
		},
		{
			"a stop", 0,
			terminated(45, "Error", ended(&run.Trial{Attempt: 1, Phase: run.Stopped, Reason: run.ReasonStopped})), nil,
			[]string{"trial.started 0/1", "trial.ended 0/1 stopped stopped"},
		},
		{
			"a deletion while it saved something", 0,
			terminated(143, "Error", ended(&run.Trial{Attempt: 1, Phase: run.Stopped, Reason: run.ReasonStopped})), nil,
			[]string{"trial.started 0/1", "trial.ended 0/1 failed evicted", "trial.queued 0/2"},
		},
		{
			"its node went before it began", 0,
			corev1.ContainerState{},
			nil,
			[]string{"trial.ended 0/1 failed evicted", "trial.queued 0/2"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, 1)
			s.plans()
			p := s.pod(0, c.failures, corev1.PodFailed, c.state)
			if c.change != nil {
				c.change(p)
			}
			s.expect(c.want...)
		})
	}
}

func TestAProgramThatCannotRunEndsAllTrials(t *testing.T) {
	s := newScene(t, 3)
	s.plans()
	s.pod(0, 0, corev1.PodFailed, terminated(44, "Error",
		ended(&run.Trial{Attempt: 1, Phase: run.Failed, Reason: run.ReasonProgram, Text: "no numpy"})))
	s.finish(batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy)
	s.expect("trial.started 0/1", "trial.ended 0/1 failed program", "trial.ended 1/1 failed program",
		"trial.ended 2/0 failed program", "run.ended failed program")
}

func TestEveryTrialSaysWhatTheImageLacks(t *testing.T) {
	s := newScene(t, 3)
	s.plans()
	s.pod(0, 0, corev1.PodFailed, terminated(44, "Error",
		ended(&run.Trial{Attempt: 1, Phase: run.Failed, Reason: run.ReasonImage, Text: "the image lacks numpy"})))
	s.finish(batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy)
	s.expect("trial.started 0/1", "trial.ended 0/1 failed image", "trial.ended 1/1 failed image",
		"trial.ended 2/0 failed image", "run.ended failed image")
	if last := s.planner.state.Trials[2].Text; last != "the image lacks numpy" {
		t.Errorf("trial 2 says %q", last)
	}
}

func TestAServiceAccountThatIsNotThere(t *testing.T) {
	s := newScene(t, 2)
	s.plans()
	s.seen.events = []happening{{
		"train-1", "FailedCreate", `Error creating: pods "train-1-0-" is forbidden: error looking up service account ` +
			`team/robot: serviceaccount "robot" not found`, start,
	}}
	s.plans()
	if w := s.planner.state.Trials[0].Waiting; w == nil || w.Text != "there is no service account team/robot" {
		t.Errorf("it waits for %+v", w)
	}
}

func TestAMirrorMadeAnewFromWhatIsLeft(t *testing.T) {
	s := newScene(t, 4)
	failed := "1"
	s.seen.jobs[0].Status.CompletedIndexes, s.seen.jobs[0].Status.FailedIndexes = "0,2-3", &failed
	s.finish(batchv1.JobFailed, batchv1.JobReasonFailedIndexes)
	s.expect("run.planned", "run.submitted", "trial.ended 0/0 succeeded", "trial.ended 1/0 failed lost",
		"trial.ended 2/0 succeeded", "trial.ended 3/0 succeeded", "run.ended failed lost")
}

func TestAStopEndsWhatNeverBegan(t *testing.T) {
	s := newScene(t, 3)
	s.plans()
	s.pod(0, 0, corev1.PodRunning, running())
	s.plans()
	s.seen.owner.Data = map[string]string{pod.StopName: `{"all":true}`}
	s.expect("run.stop_asked")
	last := &s.seen.jobs[0]
	last.pods[0].Status.Phase = corev1.PodFailed
	last.pods[0].Status.ContainerStatuses[0].State = terminated(45, "Error",
		ended(&run.Trial{Attempt: 1, Phase: run.Stopped, Reason: run.ReasonStopped}))
	s.expect("trial.ended 0/1 stopped stopped")
	suspended := true
	last.Spec.Suspend = &suspended
	s.expect("trial.ended 1/1 stopped stopped", "trial.ended 2/0 stopped stopped", "run.ended stopped stopped")
}

// A pod that cannot start is deleted by a stop, and the kubelet says that it was killed.
func TestAStopEndsAPodThatNeverRan(t *testing.T) {
	s := newScene(t, 1)
	s.plans()
	p := s.pod(0, 0, corev1.PodPending, corev1.ContainerState{})
	s.seen.owner.Data = map[string]string{pod.StopName: `{"all":true}`}
	s.expect("run.stop_asked")
	now := metav1.NewTime(start)
	p.DeletionTimestamp, p.Status.Phase = &now, corev1.PodFailed
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: manifest.TrialContainer, State: terminated(137, "ContainerStatusUnknown", "gone"),
	}}
	p.Status.ContainerStatuses[0].State.Terminated.StartedAt = metav1.Time{}
	s.expect("trial.ended 0/1 stopped stopped")
}

func TestAResumedRunGoesOnWithItsRows(t *testing.T) {
	s := newScene(t, 2)
	s.plans()
	s.seen.owner.Data = map[string]string{pod.StopName: `{"all":true}`}
	suspended := true
	s.seen.jobs[0].Spec.Suspend = &suspended
	s.pod(0, 0, corev1.PodSucceeded, terminated(0, "Completed", ended(&run.Trial{Attempt: 1, Phase: run.Succeeded})))
	s.expect("run.stop_asked", "trial.started 0/1", "trial.ended 0/1 succeeded", "trial.ended 1/1 stopped stopped",
		"run.ended stopped stopped")
	s.seen.owner.Data = nil
	s.seen.jobs = append(s.seen.jobs, jobSeen{Job: &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: "train-1-r1", CreationTimestamp: metav1.NewTime(start.Add(time.Hour)),
	}}, rows: rowsOf{{Trial: 1, Attempts: 1}}})
	s.expect("run.resumed", "trial.queued 1/2", "trial.waiting 1/2 starting")
	s.pod(0, 0, corev1.PodRunning, running())
	s.expect("trial.started 1/2")
}

// What the Job before left is no longer its own once the run was resumed, also where its pods are gone.
func TestAResumedTrialIsNotEndedByTheJobBefore(t *testing.T) {
	s := newScene(t, 2)
	failed := "1"
	s.seen.jobs[0].Status.CompletedIndexes, s.seen.jobs[0].Status.FailedIndexes = "0", &failed
	s.finish(batchv1.JobFailed, batchv1.JobReasonFailedIndexes)
	s.plans()
	s.seen.jobs = append(s.seen.jobs, jobSeen{Job: &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: "train-1-r1", CreationTimestamp: metav1.NewTime(start.Add(time.Hour)),
	}}, rows: rowsOf{{Trial: 1}}})
	s.expect("run.resumed", "trial.queued 1/1", "trial.waiting 1/1 starting")
}

func TestADeletedRunIsKeptAsStopped(t *testing.T) {
	s := newScene(t, 2)
	s.plans()
	s.pod(0, 0, corev1.PodRunning, running())
	s.plans()
	s.seen.owner = nil
	s.expect("trial.ended 0/1 stopped deleted", "trial.ended 1/1 stopped deleted", "run.ended stopped deleted")
}

// unread says that no log is in the record yet.
type unread struct{}

func (unread) whole(run.AttemptID) bool { return false }

func TestATrialEndsWhenItsLogIsThere(t *testing.T) {
	s := newScene(t, 1)
	s.plans()
	s.pod(0, 0, corev1.PodSucceeded, terminated(0, "Completed", ended(&run.Trial{Attempt: 1, Phase: run.Succeeded})))
	s.finish(batchv1.JobComplete, "")
	s.seen.jobs[0].Status.CompletedIndexes = "0"
	if got := lines(s.planner.catchUp(s.seen, unread{})); !slices.Equal(got, []string{"trial.started 0/1"}) {
		t.Errorf("plans %q", got)
	}
	s.expect("trial.ended 0/1 succeeded", "run.ended succeeded")
}

func TestIndexes(t *testing.T) {
	for text, want := range map[string]int{"": 0, "3": 1, "0-4,6": 6, "x,1-": 0, "1-999999999": maxIndexes} {
		t.Run(text, func(t *testing.T) {
			if got := len(indexes(text)); got != want {
				t.Errorf("%d indexes, want %d", got, want)
			}
		})
	}
}

// A run waits while none of its trials runs, from the moment at which the last one ended.
func TestSinceWhenARunWaits(t *testing.T) {
	for _, c := range []struct {
		name  string
		tell  func(*scene)
		since time.Duration
		waits bool
	}{
		{"nothing was made yet", func(*scene) {}, 0, true},
		{"a pod waits", func(s *scene) { s.pod(0, 0, corev1.PodPending, corev1.ContainerState{}) }, 0, true},
		{"one runs, another waits", func(s *scene) {
			s.pod(0, 0, corev1.PodRunning, running())
			s.pod(1, 0, corev1.PodPending, corev1.ContainerState{})
		}, 0, false},
		{"one has ended, another waits", func(s *scene) {
			s.pod(0, 0, corev1.PodSucceeded, terminated(0, "Completed", ""))
			s.pod(1, 0, corev1.PodPending, corev1.ContainerState{})
		}, 30 * time.Second, true},
		{"a queue holds it", func(s *scene) { s.seen.jobs[0].Spec.Suspend = new(true) }, 0, false},
		{"a queue let it go", func(s *scene) {
			s.seen.jobs[0].Status.StartTime = new(metav1.NewTime(start.Add(time.Second)))
		}, time.Second, true},
		{"it is over", func(s *scene) { s.finish(batchv1.JobComplete, "") }, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, 2)
			c.tell(s)
			since, waits := s.seen.waitsSince()
			if waits != c.waits || waits && since != start.Add(c.since) {
				t.Errorf("it waits: %v, since %s", waits, since.Sub(start))
			}
		})
	}
}

// Of an attempt whose pod is gone it may be known late how it ended: the monitor of the run had it.
func TestAnEarlierAttemptIsAddedAfterTheLaterOne(t *testing.T) {
	s := newScene(t, 1)
	s.pod(0, 1, corev1.PodRunning, running())
	s.plans()
	gone := s.pod(0, 0, corev1.PodFailed, running())
	gone.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Message: "its node went",
		LastTransitionTime: metav1.NewTime(start.Add(time.Second)),
	}}
	s.expect("trial.started 0/1", "trial.ended 0/1 failed evicted")
	trial := &s.planner.state.Trials[0]
	if trial.Attempt != 2 || trial.Phase != run.Running || len(trial.Past) != 1 ||
		trial.Past[0].Reason != run.ReasonEvicted {
		t.Errorf("the trial is %+v", trial)
	}
}

// What became of trials whose pods are gone is not said before the monitor has said what it knows.
func TestTheEndWaitsForWhatTheMonitorHas(t *testing.T) {
	s := newScene(t, 1)
	s.finish(batchv1.JobComplete, "")
	s.seen.jobs[0].Status.CompletedIndexes = "0"
	s.seen.coming = true // and so the trial has not ended for all that is known
	if got := s.plans(); slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, "ended") }) {
		t.Errorf("while something may come it plans %q", got)
	}
	s.seen.coming = false
	s.expect("trial.ended 0/0 succeeded", "run.ended succeeded")
}

// What a pod says at its end of what it reported stands for reports that are not here; once the monitor has brought
// them, it is none more.
func TestTheLastValuesOfAPodAreNoReportMore(t *testing.T) {
	s := newScene(t, 1)
	report := func(v float64) run.Event {
		return run.Event{
			Type: run.EventTrialReport, Trial: new(0), Attempt: 1, Time: moment(v), Metrics: run.Metrics{"loss": v},
		}
	}
	inPod := run.NewState(*s.planner.spec)
	inPod.Apply(run.Event{Type: run.EventTrialStarted, Trial: new(0), Attempt: 1, Time: moment(0)})
	inPod.Apply(report(1))
	inPod.Apply(report(2))
	inPod.Apply(run.Event{
		Type: run.EventTrialEnded, Trial: new(0), Attempt: 1, Time: moment(3), State: run.Succeeded,
	})
	s.pod(0, 0, corev1.PodSucceeded, terminated(0, "Completed", ended(&inPod.Trials[0])))
	s.expect("run.planned", "run.submitted", "trial.started 0/1", "trial.report 0/1", "trial.ended 0/1 succeeded")
	one := &s.planner.state.Trials[0]
	if one.Metrics["loss"] != 2 || !one.LastOnly {
		t.Errorf("before the monitor's: %+v", one)
	}
	s.planner.state.Apply(report(1))
	s.planner.state.Apply(report(2))
	if got := one.Series["loss"].Values; one.LastOnly || !slices.Equal(got, []float64{1, 2}) {
		t.Errorf("with the monitor's it is %v, values missing: %t", got, one.LastOnly)
	}
}
