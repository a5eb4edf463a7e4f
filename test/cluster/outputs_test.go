//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// resumes is a training of 60 epochs that keeps each, and goes on from what was kept.
const resumes = `
import json, time
import metaml

rows = [{"x": 3}]

@metaml.Train(settings={"hyper_parameters": "rows"})
def fit(x):
    state = metaml.output() / "state.json"
    epoch, weight = json.loads(state.read_text()) if state.exists() else (0, 0.0)
    print("begins with epoch", epoch, flush=True)
    while epoch < 60:
        time.sleep(0.15)
        epoch, weight = epoch + 1, 0.9 * weight + x
        state.write_text(json.dumps([epoch, weight]))
        metaml.checkpoint()
        metaml.report(step=epoch, weight=weight)
    (metaml.output() / "model.txt").write_text(str(weight))
    return {"weight": weight}
`

// sawItGoOn checks that the second attempt went on from a checkpoint, and ended with what an undisturbed one ends with.
func (p *person) sawItGoOn(name string) {
	p.t.Helper()
	weight := 0.0
	for range 60 {
		weight = 0.9*weight + 3
	}
	s := p.show(name)
	if one := s.Trials[0]; s.State != "succeeded" || one.Attempt != 2 || one.Metrics["weight"] != weight {
		p.t.Errorf("the run is %+v, want the weight %v", s, weight)
	}
	log := p.must("logs", name)
	if !strings.Contains(log, "begins with epoch ") || strings.Contains(log, "begins with epoch 0\n") {
		p.t.Errorf("the second attempt printed %q", log)
	}
}

// A pod is evicted in the middle of its training: the next one goes on from the checkpoint, and the run ends with what
// an undisturbed one ends with. Its files are here.
func TestTrainingGoesOnAfterAnEviction(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	name := p.submits(resumes)
	p.sees(name, "it trains", func(s shown) bool { return s.Trials[0].Metrics["weight"] > 20 })
	pod := trialPod(t, space, "0")
	if err := client(t, inside.Admin).CoreV1().Pods(space).EvictV1(t.Context(), &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: space},
	}); err != nil {
		t.Fatal(err)
	}
	p.must("attach", name)
	p.sawItGoOn(name)
	folder := strings.TrimSpace(p.must("pull", name))
	model, err := os.ReadFile(filepath.Join(folder, "model.txt"))
	if err != nil || !strings.HasPrefix(string(model), "29.") {
		t.Errorf("in %s there is %q, %v", folder, model, err)
	}
	copied := filepath.Join(p.home, "copied")
	if out := p.must("pull", name+":0", "--to", copied); out != copied+"\n" {
		t.Errorf("it says %q", out)
	}
	if _, err := os.Stat(filepath.Join(copied, "state.json")); err != nil {
		t.Error(err)
	}
	if out, code := p.metaml("pull", name, "--trial", "7"); code != 2 || !strings.Contains(out, "has no trial 7") {
		t.Errorf("of a trial that is not there it says %d, %s", code, out)
	}
}

// With --output pvc:NAME the files lie on the volume, and are fetched from there when they are wanted.
func TestFilesOnAVolumeAreFetchedWhenTheyAreWanted(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	volume := claim(t, space, "runs")
	p := newPerson(t, inside.Admin, space)
	name := p.submits(strings.Replace(resumes, "sleep(0.15)", "sleep(0.02)", 1), "--output", "pvc:runs/mine")
	p.must("attach", name)
	there := filepath.Join(volume, "mine/metaml", space, bare(name)+"-*/trials/00000/output/model.txt")
	found, err := filepath.Glob(there)
	if err != nil || len(found) != 1 {
		t.Errorf("on the volume there is %q, %v", found, err)
	}
	eventually(t, "the monitor ends with the run", func(ctx context.Context) (bool, error) {
		left := monitors(ctx, t, space, name)
		return len(left) == 0, fmt.Errorf("%q are left", left)
	})
	p.pullsModel(name)
	eventually(t, "the monitor has ended again", func(ctx context.Context) (bool, error) {
		left := monitors(ctx, t, space, name)
		return len(left) == 0, fmt.Errorf("%q are left", left)
	})
	out, code := p.metaml("run", "sweep.py", "--again", "--python", python(t), "--output", "pvc:nowhere")
	if code != 2 || !strings.Contains(out, "no such PersistentVolumeClaim") {
		t.Errorf("of a volume that is not there it says %d, %s", code, out)
	}
}

// A monitor that nobody asked for longer than --keep has ended, and is made again when its files are wanted.
func TestFilesAreFetchedAfterTheMonitorHasEnded(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	claim(t, space, "runs")
	p := newPerson(t, inside.Admin, space)
	short := strings.Replace(resumes, "sleep(0.15)", "sleep(0.02)", 1)
	name := p.submits(short, "--output", "pvc:runs", "--keep", "3s")
	losesFollower(t, space)
	eventually(t, "the monitor ends by itself", func(ctx context.Context) (bool, error) {
		job, err := client(t, inside.Admin).BatchV1().Jobs(space).Get(ctx, bare(name)+"-monitor", metav1.GetOptions{})
		return err == nil && job.Status.Succeeded > 0, fmt.Errorf("it is %+v, %w", job, err)
	})
	p.pullsModel(name)
	eventually(t, "the monitor has ended again", func(ctx context.Context) (bool, error) {
		left := monitors(ctx, t, space, name)
		return len(left) == 0, fmt.Errorf("%q are left", left)
	})
}

// pushable is the cluster's registry with a login, at an address that pods reach as well, and the name of a Secret of
// the namespace with that login.
func pushable(t *testing.T, space string) (repository, secret string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(nodeAddress(t), "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(behindLogin("http://"+registry, "ann", "p"))
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	login := fmt.Sprintf(`{"auths":{%q:{"auth":"YW5uOnA="}}}`, l.Addr()) // ann:p
	_, err = client(t, inside.Admin).CoreV1().Secrets(space).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "pushes"}, Type: corev1.SecretTypeDockerConfigJson,
		StringData: map[string]string{corev1.DockerConfigJsonKey: login},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String() + "/" + space + "/outputs", "pushes"
}

// With --output registry the files are in a repository: training goes on from there although its pod and the monitor
// that had sent them are gone, and any machine fetches them.
func TestFilesInARegistryOutliveTheMonitor(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	repository, secret := pushable(t, space)
	p := newPerson(t, inside.Admin, space)
	name := p.submits(resumes, "--output", "registry", "--output-repository", repository, "--registry-secret", secret)
	p.sees(name, "it trains", func(s shown) bool { return s.Trials[0].Metrics["weight"] > 20 })
	pods := client(t, inside.Admin).CoreV1().Pods(space)
	trial := trialPod(t, space, "0")
	if text := fmt.Sprintf("%+v", trial.Spec); strings.Contains(text, secret) || strings.Contains(text, repository) {
		t.Errorf("the pod of the trial has the login: %s", text)
	}
	for _, pod := range append(monitors(t.Context(), t, space, name), trial.Name) {
		now := int64(0)
		if err := pods.Delete(t.Context(), pod, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			t.Fatal(err)
		}
	}
	p.must("attach", name)
	p.sawItGoOn(name)
	eventually(t, "the monitor ends with the run", func(ctx context.Context) (bool, error) {
		left := monitors(ctx, t, space, name)
		return len(left) == 0, fmt.Errorf("%q are left", left)
	})
	p.pullsModel(name)
	newPerson(t, inside.Admin, space).pullsModel(name) // on another machine
}

func (p *person) pullsModel(name string) {
	p.t.Helper()
	folder := strings.TrimSpace(p.must("pull", name))
	model, err := os.ReadFile(filepath.Join(folder, "model.txt"))
	if err != nil || !strings.HasPrefix(string(model), "29.") {
		p.t.Errorf("in %s there is %q, %v", folder, model, err)
	}
}

// reports is a sweep of two trials that report, print and end.
const reports = `
import time
import metaml

rows = [{"x": 1}, {"x": 2}]

@metaml.Train(settings={"hyper_parameters": "rows"})
def fit(x):
    for step in range(20):
        metaml.report(step=step, loss=x / (step + 1))
        time.sleep(0.5)
    print("printed by", x)
    return {"score": float(x)}
`

// With --record registry nothing of the cluster's disks is needed: nobody follows a run, its monitor has to leave its
// node, all pods of trials go, and another machine has the whole story.
func TestARecordInARegistryOutlivesAllPods(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	repository, secret := pushable(t, space)
	evening := newPerson(t, inside.Admin, space)
	name := evening.submits(reports, "--record", "registry", "--output-repository", repository, "--registry-secret",
		secret, "--output", "none")
	losesFollower(t, space)
	eventually(t, "both have ended", func(ctx context.Context) (bool, error) {
		is, err := phases(ctx, t, space, name)
		return is[corev1.PodSucceeded] == 2, errors.Join(fmt.Errorf("the pods are %v", is), err)
	})
	pods := client(t, inside.Admin).CoreV1().Pods(space)
	for _, monitor := range monitors(t.Context(), t, space, name) {
		if err := pods.Delete(t.Context(), monitor, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the monitor has ended", func(ctx context.Context) (bool, error) {
			_, err := pods.Get(ctx, monitor, metav1.GetOptions{})
			return apierrors.IsNotFound(err), err
		})
	}
	now := int64(0)
	if err := pods.DeleteCollection(t.Context(), metav1.DeleteOptions{GracePeriodSeconds: &now},
		metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=trial"}); err != nil {
		t.Fatal(err)
	}

	morning := newPerson(t, inside.Admin, space)
	out := morning.must("attach", name)
	s := morning.show(name)
	if s.State != "succeeded" || s.counts("succeeded") != 2 {
		t.Errorf("attach said %s\nand it is %+v", out, s)
	}
	for i, one := range s.Trials {
		if one.Metrics["score"] != float64(i+1) {
			t.Errorf("trial %d is %+v", i, one)
		}
		if log := morning.must("logs", fmt.Sprintf("%s:%d", name, i)); log != fmt.Sprintf("printed by %d\n", i+1) {
			t.Errorf("trial %d printed %q", i, log)
		}
	}
	if d := morning.detail(name); len(d.History) != 40 || d.LastOnly {
		t.Errorf("it has %d reports, last only: %v", len(d.History), d.LastOnly)
	}
}

// What cannot go to a registry is refused before a trial starts, and leaves nothing behind.
func TestARegistryThatTakesNothingIsRefused(t *testing.T) {
	space := namespace(t)
	repository, _ := pushable(t, space)
	p := newPerson(t, inside.Admin, space)
	if err := os.WriteFile(filepath.Join(p.home, "sweep.py"), []byte(resumes), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options []string
		want    string
	}{
		{"no repository", []string{}, "--output registry needs a repository, and none is named"},
		{
			"this machine's own",
			[]string{"--output-repository", registry + "/outputs"},
			"would send files to " + registry + ", which is another place for each pod",
		},
		{
			"no such Secret",
			[]string{"--output-repository", repository, "--registry-secret", "nobody"},
			"--registry-secret names nobody, and namespace " + space + " has no such Secret",
		},
		{
			"no login",
			[]string{"--output-repository", repository},
			"a pod cannot keep files in " + repository + ": ",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code := p.metaml(append([]string{
				"run", "sweep.py", "--again", "--python", python(t), "--output", "registry",
			}, c.options...)...)
			if code == 0 || !strings.Contains(out, c.want) {
				t.Errorf("it says %d, %s", code, out)
			}
			owners, err := client(t, inside.Admin).CoreV1().ConfigMaps(space).List(t.Context(), metav1.ListOptions{
				LabelSelector: "app.kubernetes.io/component=run",
			})
			if err != nil || len(owners.Items) > 0 {
				t.Errorf("there are %d runs: %v", len(owners.Items), err)
			}
		})
	}
}

// large leaves as many MiB behind as there is in x, of which the disk has little.
const large = `
import metaml

rows = [{"x": MIB}]

@metaml.Train(settings={"hyper_parameters": "rows"})
def fit(x):
    with open(metaml.output() / "large", "wb") as file:
        file.truncate(x << 20)
        file.seek(-3, 2)
        file.write(b"end")
`

// Files of any size go through the monitor, which has 64 MiB, and through us.
func TestLargeFilesAreFetchedInBoundedMemory(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	claim(t, space, "runs")
	p := newPerson(t, inside.Admin, space)
	p.pullsLarge(2048, "--output", "pvc:runs")
	repository, secret := pushable(t, space)
	p.pullsLarge(512, "--output", "registry", "--output-repository", repository, "--registry-secret", secret)
}

// pullsLarge runs a trial that leaves so many MiB behind, and fetches them.
func (p *person) pullsLarge(mib int64, options ...string) {
	t := p.t
	t.Helper()
	name := p.submits(strings.Replace(large, "MIB", fmt.Sprint(mib), 1), options...)
	p.must("attach", name)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pull := exec.CommandContext(ctx, binary(t), "pull", name, "--json")
	pull.Env, pull.Dir = p.env, p.home
	began := time.Now()
	var out, said strings.Builder
	pull.Stdout, pull.Stderr = &out, &said
	if err := pull.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- pull.Wait() }()
	var most memory // the system's own figure counts the process that started it
	for going := true; going; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %s", err, said.String())
			}
			going = false
		case <-time.After(20 * time.Millisecond):
			if now, ok := memoryOf(pull.Process.Pid); ok {
				most = now
			}
		}
	}
	if most.peak == 0 || most.peak > 100_000_000 {
		t.Errorf("it held %d bytes", most.peak)
	}
	t.Logf("%d MiB came within %s, with %d MB", mib, time.Since(began).Round(100*time.Millisecond), most.peak/1e6)
	var folder string
	moved := 0
	for line := range strings.Lines(out.String()) {
		var is struct {
			Came, All int64
			Folder    string
		}
		if err := json.Unmarshal([]byte(line), &is); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		folder = is.Folder
		if is.Came > 0 && (is.All == 0 || is.Came <= is.All) {
			moved++
		}
	}
	if moved == 0 {
		t.Errorf("it does not say how much has come: %s", out.String())
	}
	file, err := os.Open(filepath.Join(folder, "large"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	end := make([]byte, 4)
	if n, err := file.ReadAt(end, mib<<20-3); n != 3 || !errors.Is(err, io.EOF) || string(end[:3]) != "end" {
		t.Errorf("it ends with %q, %v", end[:n], err)
	}
}

// nodeAddress is where pods reach what listens on the cluster's node.
func nodeAddress(t *testing.T) string {
	t.Helper()
	nodes, err := client(t, inside.Admin).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(nodes.Items, func(n corev1.Node) bool { return n.Status.NodeInfo.KubeletVersion != "" })
	addresses := nodes.Items[i].Status.Addresses
	return addresses[slices.IndexFunc(addresses, func(a corev1.NodeAddress) bool {
		return a.Type == corev1.NodeInternalIP
	})].Address
}
