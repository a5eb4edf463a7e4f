package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
)

// having is an API server that has these pods, each with a line in its log, and nothing else.
func having(t *testing.T, pods ...*corev1.Pod) http.HandlerFunc {
	t.Helper()
	list := &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	for _, p := range pods {
		list.Items = append(list.Items, *p)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		_, last, _ := strings.Cut(r.URL.Path, "/namespaces/team/")
		for _, p := range pods {
			if last == "pods/"+p.Name+"/log" {
				fmt.Fprintln(w, "2026-01-02T03:04:05Z said by "+p.Name)
				return
			}
		}
		if last != "pods" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(list); err != nil {
			t.Error(err)
		}
	}
}

// endedPod adds a pod to a scene that has succeeded in the cluster; whoever follows the run does not see it.
func (s *scene) endedPod(uid string) *corev1.Pod {
	p := s.pod(0, 0, corev1.PodSucceeded, terminated(0, "Completed", ended(&run.Trial{
		Attempt: 1, Phase: run.Succeeded,
	})))
	p.UID, p.Namespace, p.Labels = "pod-0", "team", map[string]string{batchv1.JobNameLabel: "train-1"}
	s.seen.jobs[0].pods = nil
	return p
}

// A Job may be seen to have ended by whom the connection was lost that names its last pod: that one is asked for, and
// read, before anything else is taken for what it printed.
func TestAPodThatIsThereAndNotSeenIsRead(t *testing.T) {
	for _, c := range []struct {
		name    string
		monitor bool // what the pod wrote has come from the monitor
	}{
		{"the monitor has it", true},
		{"nobody has it", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := savedSpec()
			spec.Completions, spec.Parallelism = 1, 1
			s := newScene(t, 1)
			p := s.endedPod("pod-0")
			s.finish(batchv1.JobComplete, "")
			s.seen.jobs[0].Status.CompletedIndexes = "0"
			var away atomic.Bool
			answer := having(t, p)
			to, _, _ := far(t, func(w http.ResponseWriter, r *http.Request) {
				if away.Load() {
					http.Error(w, "not now", http.StatusInternalServerError)
					return
				}
				answer(w, r)
			})
			f := newFollower(t, to, spec)
			if c.monitor {
				l := newLive(nil, f.folder, spec.Name, func() {})
				source := collect.Source{ID: string(p.UID), Trial: 0, Attempt: 1, Round: 1}
				wrote := newPodEvents(t, l, source)
				wrote.add(run.Event{Type: run.EventTrialStarted, Time: moment(0)})
				wrote.add(run.Event{Type: run.EventTrialEnded, Time: moment(4), State: run.Succeeded})
				wrote.arrives(1 << 20)
				if err := l.Append(source, folder.Stdout, []byte("from the monitor\n")); err != nil {
					t.Fatal(err)
				}
				f.curves.left[source.ID] = source
			}
			steps := func() {
				t.Helper()
				now := s.seen // as informers see it each time
				now.jobs = []jobSeen{{Job: s.seen.jobs[0].Job}}
				f.addUnseen(t.Context(), &now)
				if err := f.step(t.Context(), now); err != nil {
					t.Fatal(err)
				}
			}
			away.Store(true)
			for range 3 {
				steps()
			}
			if f.planner.state.Phase.Final() || f.logs.copies(first) {
				t.Errorf("the run is %s before the cluster has said whether its pod is there", f.planner.state.Phase)
			}
			away.Store(false)
			for end := time.Now().Add(time.Minute); !f.planner.state.Phase.Final(); <-time.After(time.Millisecond) {
				if steps(); time.Now().After(end) {
					t.Fatalf("the run is %s", f.planner.state.Phase)
				}
			}
			if got := content(t, f.folder); got != "said by "+p.Name+"\n" {
				t.Errorf("its log is %q", got)
			}
			if one := &f.planner.state.Trials[0]; one.Phase != run.Succeeded || one.Text != "" {
				t.Errorf("it is %+v", one)
			}
		})
	}
}

// What somebody else has of a pod that is there, and not seen yet, is not taken: the cluster keeps only the ends of
// logs.
func TestWhatAPodSaysThatIsThereAndNotSeenIsNotTakenFromOthers(t *testing.T) {
	spec := savedSpec()
	p := newScene(t, 3).endedPod("pod-0")
	p.UID = "pod-of-0"
	s := &shelf{t: t, rest: having(t, p)}
	to, _, _ := far(t, s.answer)
	one, two, fresh := newFollower(t, to, spec), newFollower(t, to, spec), newFollower(t, to, spec)
	one.sees(0, 0)
	long := strings.Repeat("many lines\n", 10_000)
	if err := os.WriteFile(one.folder.Stream(0, 1, folder.Stdout), []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := one.apply([]run.Event{{Type: run.EventEnded, Time: moment(3), State: run.Succeeded}}); err != nil {
		t.Fatal(err)
	}
	two.sees(1, 1)
	if !one.taken(t.Context(), nothing) || !one.saveLast(t.Context(), nothing) {
		t.Fatal(one.saved.trouble)
	}
	for name, f := range map[string]follower{"it has another trial": two, "it has nothing": fresh} {
		t.Run(name, func(t *testing.T) {
			if !f.taken(t.Context(), nothing) {
				t.Fatal(f.saved.trouble)
			}
			if at := &f.planner.state.Trials[0]; at.Phase.Final() || f.planner.state.Phase.Final() {
				t.Errorf("trial 0 %s before its log is here, and the run is %s", at.Phase, f.planner.state.Phase)
			}
		})
	}
}

// Who looks once at a run that goes on follows none of its logs: what pods say there would be read, and lost.
func TestALookFollowsNoLog(t *testing.T) {
	spec := savedSpec()
	s := newScene(t, 3)
	p := s.pod(0, 0, corev1.PodRunning, running())
	p.Namespace, p.Labels = "team", map[string]string{batchv1.JobNameLabel: spec.Name}
	rest, owner := having(t, p), over(t, spec)
	var read atomic.Bool
	to, _, _ := far(t, func(w http.ResponseWriter, r *http.Request) {
		_, last, _ := strings.Cut(r.URL.Path, "/namespaces/team/")
		switch {
		case strings.HasSuffix(last, "/log"):
			read.Store(true)
			rest(w, r)
		case last == "jobs":
			list := &batchv1.JobList{
				TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "JobList"},
				Items:    []batchv1.Job{*s.seen.jobs[0].Job},
			}
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(list); err != nil {
				t.Error(err)
			}
		case last == "pods":
			rest(w, r)
		default:
			owner(w, r)
		}
	})
	f := newFollower(t, to, spec)
	if err := Once(t.Context(), to, f.folder); err != nil {
		t.Fatal(err)
	}
	if at := readPlace(f.folder, first); read.Load() || at.Pod != "" {
		t.Errorf("its log was read, to %+v", at)
	}
	state := run.NewState(spec)
	if err := f.folder.EachEvent(func(e run.Event) error { state.Apply(e); return nil }); err != nil {
		t.Fatal(err)
	}
	if state.Trials[0].Phase != run.Running {
		t.Errorf("it is %s", state.Trials[0].Phase)
	}
}

// monitorOf adds the Job of a monitor to a scene, and its pod if it has one.
func (s *scene) monitorOf(pods ...*corev1.Pod) *batchv1.Job {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: manifest.MonitorName("train-1"), Namespace: "team"}}
	s.seen.monitor = monitorSeen{job: job, pods: pods}
	return job
}

// The end of a run waits for reports that its monitor has, also where its trials are seen to have ended in the same
// moment as their Job: who was away sees all of it at once.
func TestTheEndWaitsForReportsOfTrialsThatEndWithTheirJob(t *testing.T) {
	spec := savedSpec()
	spec.Completions, spec.Parallelism = 1, 1
	s := newScene(t, 1)
	p := s.endedPod("pod-0")
	s.seen.jobs[0].pods = []*corev1.Pod{p}
	s.finish(batchv1.JobComplete, "")
	s.monitorOf(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "monitor"}, Status: corev1.PodStatus{Phase: corev1.PodRunning},
	})
	to, _, _ := far(t, having(t, p))
	f := newFollower(t, to, spec)
	ctx, cancel := context.WithCancelCause(t.Context())
	f.live = newLive(to, f.folder, spec.Name, func() {})
	f.live.pod = "monitor"
	defer func() {
		cancel(nil)
		f.logs.wait()
		f.live.wait()
	}()
	for end := time.Now().Add(time.Minute); !f.planner.recorded(first); <-time.After(time.Millisecond) {
		if err := f.step(ctx, s.seen); err != nil || time.Now().After(end) {
			t.Fatalf("its end is not in the record: %v", err)
		}
	}
	if err := f.step(ctx, s.seen); err != nil {
		t.Fatal(err)
	}
	if f.planner.state.Phase.Final() || !f.reports {
		t.Error("the run has ended before its reports came")
	}
}

// A monitor whose pod is not seen may have been ended by somebody else: then what it had is in the cluster.
func TestAMonitorThatSomebodyEndedIsKnown(t *testing.T) {
	spec := savedSpec()
	s := newScene(t, 3)
	s.finish(batchv1.JobComplete, "")
	job := *s.monitorOf()
	job.TypeMeta, job.Spec.Suspend = metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, new(true)
	rest := having(t)
	to, _, _ := far(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/jobs/"+job.Name) {
			rest(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(&job); err != nil {
			t.Error(err)
		}
	})
	f := newFollower(t, to, spec)
	f.live = newLive(nil, f.folder, spec.Name, func() {})
	if f.addUnseen(t.Context(), &s.seen); !s.seen.monitor.off() || s.seen.unsure {
		t.Errorf("it is %+v", s.seen.monitor.job)
	}
}
