//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// queue is a queue of a team, as an administrator of Kueue makes it.
type queue struct {
	t     *testing.T
	space string
}

// newQueue gives a namespace that has the queue "team", which lets nobody in yet.
func newQueue(t *testing.T) queue {
	t.Helper()
	queues(t)
	q := queue{t, namespace(t)}
	administer(t, "", "label", "namespace", q.space, inside.QueuesLabel+"=true")
	administer(t, strings.ReplaceAll(`
apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: any}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: SPACE}
spec:
  stopPolicy: Hold
  namespaceSelector: {}
  resourceGroups:
  - coveredResources: [cpu, memory, ephemeral-storage]
    flavors:
    - name: any
      resources:
      - {name: cpu, nominalQuota: 100}
      - {name: memory, nominalQuota: 100Gi}
      - {name: ephemeral-storage, nominalQuota: 1000Gi}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: team, namespace: SPACE}
spec: {clusterQueue: SPACE}
`, "SPACE", q.space), "apply", "--server-side", "-f", "-")
	t.Cleanup(func() { // Kueue's finalizers go with its Jobs, as long as it runs
		ctx := context.Background()
		_ = client(t, inside.Admin).BatchV1().Jobs(q.space).DeleteCollection(ctx,
			metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}, metav1.ListOptions{})
	})
	return q
}

// lets says what the queue does: "None" lets Jobs in, "Hold" no others, and "HoldAndDrain" ends those that it let in.
func (q queue) lets(policy string) {
	q.t.Helper()
	administer(q.t, "", "patch", "clusterqueue", q.space, "--type=merge", "-p", `{"spec":{"stopPolicy":"`+policy+`"}}`)
}

// idles waits until the queue holds nothing for any Job, and none waits for it.
func (q queue) idles() {
	q.t.Helper()
	eventually(q.t, "the queue is through with all", func(context.Context) (bool, error) {
		//nolint:contextcheck // it is the test's, whose end ends this
		status := administer(q.t, "", "get", "clusterqueue", q.space, "-o",
			"jsonpath={.status.reservingWorkloads} {.status.pendingWorkloads}")
		return status == "0 0", errors.New(status)
	})
}

func (q queue) job(name string) *batchv1.Job {
	q.t.Helper()
	job, err := client(q.t, inside.Admin).BatchV1().Jobs(q.space).Get(q.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		q.t.Fatal(err)
	}
	return job
}

func (q queue) person() *person {
	q.t.Helper()
	p := newPerson(q.t, inside.Researcher, q.space)
	p.mayRun(q.space, inside.Researcher)
	p.env = append(p.env, "METAML_QUEUE=team")
	return p
}

func waitsInQueue(s shown) bool {
	return slices.ContainsFunc(s.Trials, func(one trial) bool {
		return one.Waiting != nil && one.Waiting.Reason == "queued" && one.Waiting.Text == "it waits in queue team"
	})
}

func TestAQueueLetsARunIn(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	p := q.person()
	name := p.submits(counts)
	p.sees(name, "it waits in the queue", waitsInQueue)
	if job := q.job("fit-1"); job.Labels["kueue.x-k8s.io/queue-name"] != "team" || !*job.Spec.Suspend {
		t.Errorf("its Job is %v, suspended: %v", job.Labels, *job.Spec.Suspend)
	}
	q.lets("None")
	p.must("attach", name)
	if s := p.show(name); s.State != "succeeded" || s.counts("succeeded") != 3 {
		t.Errorf("it is %+v", s)
	}
	q.idles()
	p.must("delete", name)
	leavesNothing(t, q.space)
}

func TestAQueueThatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	p := newPerson(t, inside.Admin, q.space) // who may read queues
	if err := os.WriteFile(filepath.Join(p.home, "sweep.py"), []byte(counts), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"run", "plan", "export"} {
		said, code := p.metaml(verb, "sweep.py", "--python", python(t), "--queue", "teem")
		want := "namespace " + q.space + " of cluster admin has no queue teem\nIt has team.\n"
		if code != 2 || !strings.HasSuffix(said, want) {
			t.Errorf("%s ended with %d: %s", verb, code, said)
		}
	}
	leavesNothing(t, q.space)
}

// A queue that needs the room for others puts a run back.
func TestAQueuePutsARunBack(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	q.lets("None")
	p := q.person()
	script := strings.Replace(waits, `print("began"`, `print("attempt", metaml.attempt()`, 1)
	name := p.submits(script, "--retries", "0") // it is not one of them
	for i := range 3 {
		eventually(t, "trial has begun", func(context.Context) (bool, error) {
			//nolint:contextcheck // it is the test's, whose end ends this
			log, _ := p.metaml("logs", fmt.Sprintf("%s:%d", name, i))
			return log == "attempt 1\n", errors.New(log)
		})
	}
	q.lets("HoldAndDrain")
	p.sees(name, "it waits in the queue again", waitsInQueue)
	q.lets("None")
	releases(t, q.space)
	p.must("attach", name)
	s := p.show(name)
	if s.State != "succeeded" || s.counts("succeeded") != 3 {
		t.Errorf("it is %+v", s)
	}
	for i, one := range s.Trials {
		if one.Attempt != 2 || one.Metrics["loss"] != float64(i) {
			t.Errorf("trial %d is %+v", i, one)
		}
		// The pod counts what the Job controller counted: nobody tells it that a queue took another one back.
		for n := 1; n <= 2; n++ {
			log := p.must("logs", fmt.Sprintf("%s:%d", name, i), "--attempt", strconv.Itoa(n))
			if !strings.HasPrefix(log, "attempt 1\n") { // and in the first that it was interrupted
				t.Errorf("trial %d printed %q in attempt %d", i, log, n)
			}
		}
	}
}

// A run that waits in a queue and is stopped does not begin when its turn comes.
func TestARunThatWaitsInAQueueIsStopped(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	p := q.person()
	name := p.submits(saves)
	p.sees(name, "it waits in the queue", waitsInQueue)
	p.must("stop", name)
	p.sees(name, "it is stopped", func(s shown) bool { return s.State == "stopped" && s.counts("stopped") == 8 })
	q.lets("None")
	q.idles()
	if how := ends(t, q.space, "fit-1"); how != batchv1.JobFailed {
		t.Errorf("its Job ended as %s", how)
	}
	writes, err := here(t).Writes()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range writes {
		if one.Namespace == q.space && one.Resource == "pods" && one.Verb == "create" {
			t.Errorf("a pod was made: %+v", one)
		}
	}
	if s := p.show(name); s.State != "stopped" || s.counts("stopped") != 8 {
		t.Errorf("it is %+v", s)
	}
}

// A run that its queue has let in is stopped as any other, and gives back what the queue held for it.
func TestARunThatAQueueLetInIsStoppedAndResumed(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	q.lets("None")
	p := q.person()
	name := p.submits(saves)
	p.sees(name, "two trials began", func(s shown) bool {
		return len(s.Trials[0].Metrics) > 0 && len(s.Trials[1].Metrics) > 0
	})
	p.must("stop", name)
	p.sees(name, "it is stopped", func(s shown) bool { return s.State == "stopped" && s.counts("stopped") == 8 })
	q.idles()
	for _, i := range []int{0, 1, 2, 7} {
		p.savedIfBegun(name, i, i < 2)
	}
	q.lets("Hold")
	p.briefly("resume", name)
	p.sees(name, "it waits in the queue again", waitsInQueue)
	q.lets("None")
	p.sees(name, "two trials run again", func(s shown) bool { return s.counts("running") == 2 })
	p.must("stop", "--now", name)
	p.sees(name, "it is stopped", func(s shown) bool { return s.State == "stopped" })
	p.must("delete", name)
	leavesNothing(t, q.space)
}
