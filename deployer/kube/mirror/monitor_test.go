package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/test/noted"
)

// A monitor takes the room that the only trial may need: it goes when nothing of the run can begin.
func TestTheMonitorGivesWayToTrials(t *testing.T) {
	waits := func(reason run.Reason, since time.Time) run.Event {
		zero := 0
		return run.Event{
			Type: run.EventTrialWaiting, Trial: &zero, Attempt: 1, Time: since, Reason: reason, Text: "why",
		}
	}
	zero, now := 0, start.Add(time.Minute)
	runs := run.Event{Type: run.EventTrialStarted, Trial: new(int), Attempt: 1, Time: start}
	*runs.Trial = 1
	for _, c := range []struct {
		name   string
		events []run.Event
		want   bool
	}{
		{"no room on the nodes", []run.Event{waits(run.WaitingUnschedulable, start)}, true},
		{"no room in the quota", []run.Event{waits(run.WaitingQuota, start)}, true},
		{"not for long", []run.Event{waits(run.WaitingQuota, now.Add(-time.Second))}, false},
		{"for something else", []run.Event{waits(run.WaitingPulling, start)}, false},
		{"another one runs", []run.Event{waits(run.WaitingQuota, start), runs}, false},
		{"it has begun", []run.Event{
			waits(run.WaitingQuota, start),
			{Type: run.EventTrialStarted, Trial: &zero, Attempt: 1, Time: now},
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var patched noted.List[string]
			to, _, _ := far(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/jobs/train-1-monitor") {
					body, _ := io.ReadAll(r.Body) // what is missing is seen below
					patched.Add(string(body))
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"apiVersion":"batch/v1","kind":"Job"}`) // the client says if it fails
			})
			f := folder.Run(t.TempDir())
			spec := run.Spec{
				V: 1, ID: "1", Name: "train-1", Kind: run.Train, Completions: 2, Parallelism: 2, Created: start,
			}
			if err := folder.ReplaceJSON(f.Spec(), spec); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(f.Trials(), 0o700); err != nil {
				t.Fatal(err)
			}
			m, err := open(to, f)
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			for _, e := range c.events {
				m.planner.state.Apply(e)
			}
			s := seen{now: now, monitor: monitorSeen{job: &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
				CreationTimestamp: metav1.NewTime(start),
			}}}}
			if err := m.giveWay(t.Context(), &s); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(strings.Join(patched.All(), "\n"), `"suspend":true`); got != c.want {
				t.Errorf("it gave way: %v, want %v (%s)", got, c.want, patched.All())
			}
			if said := len(m.planner.state.Notes) > 0; said != c.want {
				t.Errorf("the notes are %+v", m.planner.state.Notes)
			}
		})
	}
}

// The monitor of a run in a queue waits with it.
func TestTheMonitorStartsOnceAQueueLetTheRunIn(t *testing.T) {
	job := func(name, queue string, suspended bool) *batchv1.Job {
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(start)}}
		j.Spec.Suspend = &suspended
		if queue != "" {
			j.Labels = map[string]string{manifest.LabelQueue: queue}
		}
		return j
	}
	for _, c := range []struct {
		name  string
		trial *batchv1.Job
		said  string
		want  bool
	}{
		{"the queue holds it", job("train-1", "team", true), "", false},
		{"it is in", job("train-1", "team", false), "", true},
		{"there is no queue", job("train-1", "", false), "", false},
		{"it gave way", job("train-1", "team", false), "no live curves: it gave way", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var started atomic.Bool
			to, _, _ := far(t, func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), `"suspend":false`) { // seen below
					started.Store(true)
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"apiVersion":"batch/v1","kind":"Job"}`) // the client says if it fails
			})
			m := &mirror{cluster: to, name: "train-1", curvesSaid: c.said}
			m.letIn(t.Context(), &seen{
				jobs: []jobSeen{{Job: c.trial}}, monitor: monitorSeen{job: job("train-1-monitor", "", true)},
			})
			if started.Load() != c.want {
				t.Errorf("it was started: %v, want %v", started.Load(), c.want)
			}
		})
	}
}

// One answer that is lost costs no live curves: the token is read again.
func TestTheTokenIsReadUntilTheClusterAnswers(t *testing.T) {
	asked := make(chan struct{}, 10)
	to, _, _ := far(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/secrets/") {
			asked <- struct{}{}
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	l := newLive(to, folder.Run(t.TempDir()), "train-1", func() {})
	l.read(ctx, "monitor")
	for range 2 {
		select {
		case <-asked:
		case <-time.After(time.Minute):
			t.Fatal("it is not asked for again")
		}
	}
	if l.connected() || l.trouble(0) == nil {
		t.Error("it is not said that there is no connection")
	}
	cancel(nil)
	l.wait()
}

// The end of a run waits for reports of a monitor whose connection broke, and for none to which there never was a way.
func TestAMonitorToWhichThereIsNoWayIsNotWaitedFor(t *testing.T) {
	away := time.Now().Add(-2 * monitorAway)
	forbidden := fmt.Errorf("reach the monitor: %w", apierrors.NewForbidden(
		corev1.Resource("pods/portforward"), "monitor", errors.New("no")))
	for _, c := range []struct {
		name string
		live *live
		want bool
	}{
		{"it was never reached", &live{since: away, failed: io.EOF}, true},
		{"not for long", &live{since: time.Now(), failed: io.EOF}, false},
		{"it must not be reached", &live{since: time.Now(), failed: forbidden}, true},
		{"there is no token", &live{since: time.Now(), failed: fmt.Errorf("%w: ask them", errSecret)}, true},
		{"it was reached before", &live{since: away, failed: io.EOF, heard: away}, false},
		{"there is a connection", &live{since: away, linked: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.live.cutOff(); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// That there was no way to the monitor while a run went on says nothing of its end: it is tried then.
func TestAMonitorThatCouldNotBeReachedIsTriedOnceMore(t *testing.T) {
	to, _, _ := far(t, with(http.StatusInternalServerError))
	ctx, cancel := context.WithCancelCause(t.Context())
	l := newLive(to, folder.Run(t.TempDir()), "train-1", func() {})
	l.pod, l.since, l.failed = "monitor", time.Now().Add(-2*monitorAway), io.EOF
	if !l.cutOff() {
		t.Error("before: there seems to be a way")
	}
	l.anew(ctx)
	if l.cutOff() {
		t.Error("it is given up at once")
	}
	cancel(nil)
	l.wait()
}
