//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// saves is a sweep of 8 trials, 2 at a time, whose trials go on until they are stopped, and take a while to save.
const saves = `
import time
import metaml

rows = [{"x": i} for i in range(8)]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": 2})
def fit(x):
    print("began", x, flush=True)
    metaml.report(loss=x)
    try:
        time.sleep(1000)
    except KeyboardInterrupt:
        time.sleep(2)
        print("saved", x, flush=True)
        raise
`

// counts says how many trials are in a state.
func (s shown) counts(state string) int {
	n := 0
	for _, t := range s.Trials {
		if t.State == state {
			n++
		}
	}
	return n
}

func TestASweepIsStoppedResumedAndDeletedFromAnotherMachine(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	first, second := newPerson(t, inside.Admin, space), newPerson(t, inside.Admin, space)
	name := first.submits(saves)
	if again := first.submits(saves); again != name {
		t.Errorf("the same once more is %s", again)
	}
	second.briefly("attach", name)
	second.sees(name, "two trials run", func(s shown) bool { return s.counts("running") == 2 })
	for _, trial := range []string{":0", ":1"} { // a pod runs for a while before its trial does
		first.reads(name+trial, "began")
	}
	second.must("stop", name)
	if out, code := first.metaml("attach", name); code != 1 || !strings.Contains(out, "was stopped") {
		t.Errorf("attach ended with %d: %s", code, out)
	}
	s := first.show(name)
	if s.State != "stopped" || s.counts("stopped") != 8 {
		t.Errorf("it is %+v", s)
	}
	for _, i := range []int{0, 1, 2, 7} {
		first.savedIfBegun(name, i, i < 2)
	}

	first.briefly("resume", name)
	first.sees(name, "two trials run again", func(s shown) bool { return s.counts("running") == 2 })
	first.must("stop", "--now", name)
	first.sees(name, "it is stopped", func(s shown) bool { return s.State == "stopped" })
	if s := first.show(name); s.Trials[0].Attempt != 2 {
		t.Errorf("trial 0 is in attempt %d", s.Trials[0].Attempt)
	}
	// A node that still has this file when the run is resumed once more does not stop it.
	bare, _, _ := strings.Cut(name, "@")
	owner, err := client(t, inside.Admin).CoreV1().ConfigMaps(space).Get(t.Context(), bare, metav1.GetOptions{})
	if err != nil || !strings.Contains(owner.Data["stop.json"], `"round":2`) {
		t.Errorf("the stop of the second round is %q, %v", owner.Data["stop.json"], err)
	}
	first.must("delete", name)
	leavesNothing(t, space)
}

// reads waits until a trial has printed a text.
func (p *person) reads(trial, text string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(100 * time.Millisecond) {
		log, _ := p.metaml("logs", trial)
		if strings.Contains(log, text) {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s did not print %q within %s, but %q", trial, text, patience, log)
		}
	}
}

// briefly runs a command that watches a run, and leaves it after a while.
func (p *person) briefly(args ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 8*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, binary(p.t), args...)
	c.Env, c.Dir = p.env, p.home
	_ = c.Run() // until the time is over
}

// slow is a sweep of 20 trials, 2 at a time, of which the first takes 20 seconds to save.
const slow = `
import time
import metaml

rows = [{"x": i} for i in range(20)]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": 2})
def fit(x):
    print("began", x, flush=True)
    try:
        time.sleep(1000)
    except KeyboardInterrupt:
        time.sleep(20 if x == 0 else 0)
        print("saved", x, flush=True)
        raise
`

func TestAStopWaitsForWhatIsSavedAndNoTrialBeginsMeanwhile(t *testing.T) {
	t.Parallel()
	p := newPerson(t, inside.Admin, namespace(t))
	name := p.submits(slow)
	p.reads(name+":0", "began")
	p.reads(name+":1", "began")
	p.must("stop", name)
	if out, code := p.metaml("attach", name); code != 1 || !strings.Contains(out, "was stopped") {
		t.Errorf("attach ended with %d: %s", code, out)
	}
	if s := p.show(name); s.counts("stopped") != 20 {
		t.Errorf("it is %+v", s)
	}
	for i := range 20 {
		p.savedIfBegun(name, i, i < 2)
	}
}

// savedIfBegun checks by its log that a trial of a stopped run began and saved what it had, or that it never began. The
// Job controller may start a pod in the place of one that ended before the Job is made smaller: its trial does not
// begin, which its log may say.
func (p *person) savedIfBegun(name string, trial int, begun bool) {
	p.t.Helper()
	log := p.must("logs", fmt.Sprintf("%s:%d", name, trial))
	began := strings.Contains(log, fmt.Sprintf("began %d\n", trial))
	saved := strings.Contains(log, fmt.Sprintf("saved %d\n", trial))
	if began != begun || saved != begun {
		p.t.Errorf("trial %d printed %q", trial, log)
	}
}

func TestWhatTrialsWaitFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, reason, text string
		args               []string
	}{
		{
			"image", "image cannot be pulled", "there is no image localhost:5000/nowhere:1",
			[]string{"--image", "localhost:5000/nowhere:1"},
		},
		{"memory", "unschedulable", "Insufficient memory", []string{"--memory", "900Gi"}},
		{"node", "unschedulable", "node affinity", []string{"--node-selector", "disk=fast"}},
		{"secret", "configuration", `secret "nowhere" not found`, []string{"--secret", "TOKEN=nowhere/key"}},
		{
			"account", "configuration", "there is no service account", []string{"--service-account", "nobody"},
		},
		{
			"volume", "unschedulable", `persistentvolumeclaim "nowhere" not found`,
			[]string{"--mount", "pvc:nowhere:/data"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t, inside.Admin, namespace(t))
			name := p.submits(saves, append(c.args, "--name", c.name)...)
			s := p.sees(name, "it says why it waits", func(s shown) bool {
				return s.Trials[0].Waiting != nil && s.Trials[0].Waiting.Reason == c.reason
			})
			if w := s.Trials[0].Waiting; !strings.Contains(w.Text, c.text) || w.Hint == "" {
				t.Errorf("it says %q %q", w.Text, w.Hint)
			}
			p.must("stop", name)
			p.sees(name, "it is stopped", func(s shown) bool {
				return s.State == "stopped" && s.counts("stopped") == 8
			})
		})
	}
}

func TestAQuotaAndALimitRangeHoldTrialsBack(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			corev1.ResourcePods: resource.MustParse("1"), corev1.ResourceLimitsCPU: resource.MustParse("1"),
		}},
	}
	if _, err := client(t, inside.Admin).CoreV1().ResourceQuotas(space).Create(t.Context(), quota,
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	limits := &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer,
			Max: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi"),
			},
		}}},
	}
	if _, err := client(t, inside.Admin).CoreV1().LimitRanges(space).Create(t.Context(), limits,
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p := newPerson(t, inside.Admin, space)
	refused := p.submits(saves, "--name", "large", "--memory", "2Gi")
	s := p.sees(refused, "a rule refuses it", func(s shown) bool {
		return s.Trials[0].Waiting != nil && s.Trials[0].Waiting.Reason == "refused by admission"
	})
	if w := s.Trials[0].Waiting; !strings.Contains(w.Text, "maximum memory usage per Container is 1Gi") {
		t.Errorf("it says %q", w.Text)
	}
	p.must("stop", refused)
	p.sees(refused, "it is stopped", func(s shown) bool { return s.State == "stopped" })
	name := p.submits(saves)
	p.sees(name, "one runs and one waits for the quota", func(s shown) bool {
		return s.counts("running") == 1 && s.Trials[1].Waiting != nil && s.Trials[1].Waiting.Reason == "quota"
	})
	p.must("stop", "--now", name)
	p.sees(name, "it is stopped", func(s shown) bool { return s.State == "stopped" })
}

const counts = `
import os, time
import metaml

rows = [{"x": i} for i in range(3)]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": 3})
def fit(x):
    print("began", flush=True)
    time.sleep(6)
    return {"loss": x}
`

// waits is counts, with trials that go on until they are released.
var waits = strings.Replace(counts, "time.sleep(6)",
	`while not os.path.exists("`+released+`"):
        time.sleep(0.1)`, 1)

// released is the file in a pod that lets a trial of waits end.
const released = "/tmp/released"

// releases lets the trials of waits end that are in a namespace, and those that begin from now on.
func releases(t *testing.T, space string) {
	t.Helper()
	ctx := t.Context() // it ends before what is called at the end
	var over sync.WaitGroup
	over.Go(func() {
		for ; ctx.Err() == nil; <-time.After(200 * time.Millisecond) {
			pods, err := client(t, inside.Admin).CoreV1().Pods(space).List(ctx, metav1.ListOptions{})
			if err != nil {
				continue // the server is killed in some tests
			}
			for i := range pods.Items {
				if pods.Items[i].DeletionTimestamp != nil {
					continue // it is to be ended, not to end by itself before that
				}
				processes, _ := inside.InPod(string(pods.Items[i].UID), "metaml._loader") // it may be gone
				for _, pid := range processes {
					_ = os.WriteFile(fmt.Sprintf("/proc/%d/root%s", pid, released), nil, 0o600)
				}
			}
		}
	})
	t.Cleanup(over.Wait)
}

// survives submits a run, kills something while its trials run, and sees each trial counted once and the run end right.
// attempts is how often trial 0 is run.
func survives(t *testing.T, attempts int, kill func(t *testing.T, space, name string)) {
	t.Helper()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	name := p.submits(waits)
	for _, trial := range []string{":0", ":1", ":2"} {
		p.reads(name+trial, "began")
	}
	kill(t, space, name)
	releases(t, space)
	if out, code := p.metaml("attach", name); code != 0 {
		t.Fatalf("it ended with %d: %s", code, out)
	}
	s := p.show(name)
	if s.State != "succeeded" || s.counts("succeeded") != 3 || s.Trials[0].Attempt != attempts ||
		s.Trials[1].Attempt != 1 {
		t.Errorf("it is %+v", s)
	}
	for _, trial := range []string{":0", ":1", ":2"} {
		if log := p.must("logs", name+trial); log != "began\n" {
			t.Errorf("trial %s printed %q", trial, log)
		}
	}
}

// All tests share the servers, so nothing else runs meanwhile.
func TestARunSurvivesAServerThatIsKilled(t *testing.T) {
	for _, server := range []string{"kube-apiserver", "kubelet"} {
		t.Run(server, func(t *testing.T) {
			survives(t, 1, func(t *testing.T, _, _ string) {
				t.Helper()
				if err := here(t).Restart(t.Context(), server); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestARunSurvivesWhatIsKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		attempts int
		kill     func(t *testing.T, space, name string)
	}{
		{"the follower", 1, func(t *testing.T, _, name string) {
			t.Helper()
			kill := exec.CommandContext(t.Context(), "pkill", "-KILL", "-f", "metaml follow "+name)
			if err := kill.Run(); err != nil {
				t.Error("nobody followed it:", err)
			}
		}},
		{"every process of a pod", 2, func(t *testing.T, space, _ string) {
			t.Helper()
			if _, err := inside.KillPod(string(trialPod(t, space, "0").UID)); err != nil {
				t.Fatal(err)
			}
		}},
		{"the process of a trial", 2, func(t *testing.T, space, _ string) {
			t.Helper()
			if n, err := inside.KillInPod(string(trialPod(t, space, "0").UID), "metaml._loader"); n == 0 || err != nil {
				t.Fatalf("killed %d processes: %v", n, err)
			}
		}},
		{"a pod, by deleting it", 2, func(t *testing.T, space, _ string) {
			t.Helper()
			pod := trialPod(t, space, "0")
			if err := client(t, inside.Admin).CoreV1().Pods(space).Delete(t.Context(), pod.Name,
				metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}},
		{"a pod, by an eviction", 2, func(t *testing.T, space, _ string) {
			t.Helper()
			pod := trialPod(t, space, "0")
			if err := client(t, inside.Admin).CoreV1().Pods(space).EvictV1(t.Context(), &policyv1.Eviction{
				ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: space},
			}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			survives(t, c.attempts, c.kill)
		})
	}
}

// trialPod finds the pod of an index.
func trialPod(t *testing.T, space, index string) *corev1.Pod {
	t.Helper()
	list, err := client(t, inside.Admin).CoreV1().Pods(space).List(t.Context(), metav1.ListOptions{
		LabelSelector: "batch.kubernetes.io/job-completion-index=" + index,
	})
	if err != nil || len(list.Items) == 0 {
		t.Fatal("there is no pod of the index", index, err)
	}
	return &list.Items[0]
}
