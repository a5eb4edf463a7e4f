package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// serverWorld is a cluster with one server, and the record of it.
type serverWorld struct {
	t     *testing.T
	plans *serverPlanner
	serverSeen
	attempts map[string]int
}

func newServerWorld(t *testing.T) *serverWorld {
	t.Helper()
	spec := &run.Spec{
		Name: "serve-1", Kind: run.Serve, Created: time.Unix(1000, 0),
		Server: &run.ServerSpec{Revision: 1, Replicas: 2, Path: "/predict"},
	}
	w := &serverWorld{t: t, attempts: map[string]int{}}
	w.plans = &serverPlanner{
		spec: spec, state: run.NewState(*spec), seats: seats{}, said: map[int]*heard{}, waits: map[int]string{},
		noted: map[string]bool{},
	}
	w.now, w.address, w.spec = time.Unix(2000, 0), "http://127.0.0.1:20000/predict", spec.Server
	w.owner = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "serve-1"}, Data: map[string]string{}}
	w.deployment = &appsv1.Deployment{}
	w.wants(1, 2)
	return w
}

// wants has the Deployment run a revision, with so many pods.
func (w *serverWorld) wants(revision, replicas int) {
	w.deployment.Spec.Template.Labels = map[string]string{manifest.LabelRevision: fmt.Sprint(revision)}
	w.deployment.Spec.Replicas, w.asked = new(int32(replicas)), run.Replicas{Min: replicas}
	w.deployment.Generation++
}

// pod makes a pod of a revision, which is ready or not.
func (w *serverWorld) pod(name string, revision int, ready bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(w.now),
		Labels: map[string]string{manifest.LabelRevision: fmt.Sprint(revision)},
	}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: manifest.ServerContainer, Ready: ready,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	w.pods = append(w.pods, p)
	return p
}

// settled has the Deployment say that its pods, and no others, are there and ready.
func (w *serverWorld) settled() {
	n := *w.deployment.Spec.Replicas
	w.deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: w.deployment.Generation, Replicas: n, UpdatedReplicas: n, AvailableReplicas: n,
	}
}

// sees gives what the record lacks, as words.
func (w *serverWorld) sees() string {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	w.plans.seats.give(w.pods, func(revision, worker int) int {
		key := fmt.Sprint(revision, worker)
		w.attempts[key]++
		return w.attempts[key] - 1
	})
	var words []string
	for _, e := range w.plans.catchUp(&w.serverSeen) {
		word := e.Type
		if e.Revision > 0 {
			word += fmt.Sprint(" ", e.Revision)
		}
		if e.Worker != nil {
			word += fmt.Sprintf("/%d.%d", *e.Worker, e.Attempt)
		}
		if e.Reason != "" {
			word += " " + string(e.Reason)
		}
		words = append(words, word)
	}
	w.plans.state.N++
	return strings.Join(words, ", ")
}

// expect checks what the record lacks.
func (w *serverWorld) expect(want string) {
	w.t.Helper()
	if got := w.sees(); got != want {
		w.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// reached is what a pod says that has reached the server through its Service.
func (w *serverWorld) reached(revision int) {
	w.plans.hear(revision, run.Event{Type: run.EventServerReady, Answer: 0.01, Example: "1"})
	w.plans.hear(revision, run.Event{Type: run.EventNote, Code: run.NoteService, Text: pod.ReachedByService})
}

// answers brings a server up.
func (w *serverWorld) answers() {
	w.t.Helper()
	w.pod("a", 1, true)
	w.pod("b", 1, true)
	w.settled()
	w.reached(1)
	w.sees()
	if s := w.plans.state.Server; s.Revision != 1 || s.Answer != 0.01 || s.Address != w.address {
		w.t.Fatalf("it is %+v", s)
	}
}

func TestAServerIsReadyWhenAllItsPodsAreAndItsServiceLeadsThere(t *testing.T) {
	w := newServerWorld(t)
	w.expect("run.submitted, server.starting 1")
	a := w.pod("a", 1, false)
	w.expect("worker.started 1/0.1")
	a.Status.ContainerStatuses[0].Ready = true
	w.pod("b", 1, true)
	w.expect("worker.ready 1/0.1, worker.started 1/1.1, worker.ready 1/1.1")
	w.settled()
	w.expect("") // no pod has said that the Service leads to it
	w.reached(1)
	w.expect("server.ready 1")
	w.expect("")
}

func TestAServerIsReadyAlthoughNoPodSpeaksOfItsService(t *testing.T) {
	w := newServerWorld(t)
	w.pod("a", 1, true)
	w.pod("b", 1, true)
	w.settled()
	w.sees()
	w.now = w.now.Add(serviceWait)
	w.expect("server.ready 1, note 1")
}

func TestAnUpdateIsReadyWhenTheOldPodsTakeNothingMore(t *testing.T) {
	w := newServerWorld(t)
	w.answers()
	w.wants(2, 2)
	w.expect("server.starting 2")
	w.pods[0].DeletionTimestamp = &metav1.Time{Time: w.now.Add(60 * time.Second)}
	w.pods[0].DeletionGracePeriodSeconds = new(int64(60))
	w.pods = slices.Delete(w.pods, 1, 2)
	w.pod("c", 2, true)
	w.pod("d", 2, true)
	w.settled()
	w.reached(2)
	if got := w.sees(); strings.Contains(got, "server.ready") {
		t.Errorf("a pod of the first revision goes on over connections that are kept: %s", got)
	}
	w.now = w.now.Add(pod.Linger + clocks)
	if got := w.sees(); !strings.Contains(got, "server.ready 2") {
		t.Errorf("got %s", got)
	}
}

func TestARevisionThatFailsSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name string
		end  corev1.ContainerStateTerminated
		runs int32 // how often it was started again
		want string
		text string
	}{
		{
			"its top level raises", corev1.ContainerStateTerminated{
				ExitCode: pod.ExitProgram,
				Message: string(pod.ServerMessage{
					Revision: 2, Reason: run.ReasonProgram, Text: "it raised", Lines: "the last line",
				}.Encode()),
			}, 0, "server.failed 2 program", "it raised\nthe last line",
		},
		{
			"the image does not fit",
			corev1.ContainerStateTerminated{ExitCode: pod.ExitProgram, Message: "metaml-server: no Python"},
			0, "server.failed 2 image", "metaml-server: no Python",
		},
		{
			"it is killed again and again",
			corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"},
			maxCrashes, "server.failed 2 signal",
			"a pod of it ended 4 times before it was ready: it was killed since it used more memory than --memory " +
				"gives it",
		},
		{"it is killed once", corev1.ContainerStateTerminated{ExitCode: 137}, 1, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newServerWorld(t)
			w.answers()
			w.wants(2, 2)
			w.sees()
			p := w.pod("c", 2, false)
			p.Status.ContainerStatuses[0].RestartCount = c.runs
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &c.end}
			got := w.sees()
			if c.want == "" && strings.Contains(got, "failed") || !strings.Contains(got, c.want) {
				t.Fatalf("got %s, want %s", got, c.want)
			}
			if f := w.plans.state.Server.Failed; c.text != "" && (f == nil || f.Text != c.text) {
				t.Errorf("it failed with %+v, want %q", f, c.text)
			}
			if n := w.plans.before(&w.serverSeen); n != 1 {
				t.Errorf("revision %d is to be taken back to, not 1", n)
			}
		})
	}
}

func TestAFirstRevisionThatFailsEndsTheServer(t *testing.T) {
	w := newServerWorld(t)
	p := w.pod("a", 1, false)
	p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: pod.ExitProgram, Message: string(pod.ServerMessage{Revision: 1, Reason: run.ReasonProgram}.Encode()),
	}}
	w.sees()
	w.wants(1, 0) // whoever follows it does that
	w.pods = nil
	w.deployment.Status.ObservedGeneration = w.deployment.Generation
	w.expect("run.ended program")
	if w.plans.state.Phase != run.Failed {
		t.Errorf("it is %s", w.plans.state.Phase)
	}
	w.wants(1, 1) // it is resumed, and tried once more
	w.expect("run.resumed, server.starting 1, server.scaled")
	if w.plans.hasFailed(1) {
		t.Error("it counts as one that has failed already")
	}
}

// Whoever begins to follow a server while a revision fails must not think that none is there to go back to.
func TestWhatAnsweredBeforeIsSeenByItsPods(t *testing.T) {
	w := newServerWorld(t)
	w.pod("a", 3, true)
	w.wants(4, 2)
	if got := w.sees(); !strings.Contains(got, "server.ready 3, server.starting 4") {
		t.Errorf("got %s", got)
	}
	if n := w.plans.before(&w.serverSeen); n != 3 {
		t.Errorf("revision %d is to be taken back to, not 3", n)
	}
}

func TestARevisionThatWasPassedOverIsSaidToHaveFailed(t *testing.T) {
	w := newServerWorld(t)
	w.answers()
	w.wants(2, 2)
	w.sees()
	w.wants(3, 2)
	w.expect("server.failed 2 superseded, server.starting 3")
	w.wants(1, 2)
	w.expect("server.failed 3 stopped")
}

func TestAServerIsScaledStoppedAndResumed(t *testing.T) {
	w := newServerWorld(t)
	w.answers()
	w.wants(1, 3)
	w.pod("c", 1, true)
	w.expect("server.scaled, worker.started 1/2.1, worker.ready 1/2.1")
	w.owner.Data[pod.StopName] = `{"all": true}`
	w.wants(1, 0)
	w.expect("run.stop_asked")
	w.pods, w.deployment.Status.ObservedGeneration = nil, w.deployment.Generation
	w.expect("worker.ended 1/0.1 lost, worker.ended 1/1.1 lost, worker.ended 1/2.1 lost, run.ended stopped")
	w.expect("")
	delete(w.owner.Data, pod.StopName)
	w.wants(1, 2)
	if got := w.sees(); !strings.HasPrefix(got, "run.resumed") {
		t.Errorf("got %s", got)
	}
	w.pod("d", 1, true)
	w.pod("e", 1, true)
	w.settled()
	if got := w.sees(); !strings.Contains(got, "server.ready 1") {
		t.Errorf("got %s", got)
	}
}

func TestAPodTakesThePlaceOfOneThatIsGone(t *testing.T) {
	w := newServerWorld(t)
	w.answers()
	w.pods = slices.Delete(w.pods, 0, 1)
	w.expect("worker.ended 1/0.1 lost")
	w.pod("c", 1, true)
	w.expect("worker.started 1/0.2, worker.ready 1/0.2")
	w.pods[1].Status.ContainerStatuses[0].RestartCount = 1
	w.expect("worker.ended 1/0.2 lost, worker.started 1/0.3, worker.ready 1/0.3")
}

func TestANewAddressIsSaid(t *testing.T) {
	w := newServerWorld(t)
	w.answers()
	w.address = "http://127.0.0.1:20001/predict"
	w.expect("server.ready 1")
	if s := w.plans.state.Server; s.Address != w.address || s.Example != "1" {
		t.Errorf("it is %+v", s)
	}
}

// The Deployment may be seen to have what its pods are not seen to be yet. What is called ready has all of them.
func TestAServerIsNotReadyBeforeItsPodsAreSeenToBe(t *testing.T) {
	w := newServerWorld(t)
	w.pod("a", 1, true)
	late := w.pod("b", 1, false)
	w.settled()
	w.plans.hear(1, run.Event{Type: run.EventNote, Code: run.NoteService, Text: pod.ReachedByService})
	w.expect("run.submitted, server.starting 1, worker.started 1/0.1, worker.ready 1/0.1, worker.started 1/1.1")
	late.Status.ContainerStatuses[0].Ready = true
	w.expect("worker.ready 1/1.1, server.ready 1")
}
