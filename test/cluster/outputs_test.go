//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
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
	weight := 0.0
	for range 60 {
		weight = 0.9*weight + 3
	}
	s := p.show(name)
	if one := s.Trials[0]; s.State != "succeeded" || one.Attempt != 2 || one.Metrics["weight"] != weight {
		t.Errorf("the run is %+v, want the weight %v", s, weight)
	}
	log := p.must("logs", name)
	if !strings.Contains(log, "begins with epoch ") || strings.Contains(log, "begins with epoch 0\n") {
		t.Errorf("the second attempt printed %q", log)
	}
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
	folder := strings.TrimSpace(p.must("pull", name))
	model, err := os.ReadFile(filepath.Join(folder, "model.txt"))
	if err != nil || !strings.HasPrefix(string(model), "29.") {
		t.Errorf("in %s there is %q, %v", folder, model, err)
	}
	eventually(t, "the monitor has ended again", func(ctx context.Context) (bool, error) {
		left := monitors(ctx, t, space, name)
		return len(left) == 0, fmt.Errorf("%q are left", left)
	})
	out, code := p.metaml("run", "sweep.py", "--again", "--python", python(t), "--output", "pvc:nowhere")
	if code != 2 || !strings.Contains(out, "no such PersistentVolumeClaim") {
		t.Errorf("of a volume that is not there it says %d, %s", code, out)
	}
}

// large leaves 2 GiB behind, of which the disk has little.
const large = `
import metaml

rows = [{"x": 3}]

@metaml.Train(settings={"hyper_parameters": "rows"})
def fit(x):
    with open(metaml.output() / "large", "wb") as file:
        file.truncate(2 << 30)
        file.seek(-3, 2)
        file.write(b"end")
`

// Files of any size go through the monitor, which has 64 MiB, and through us.
func TestLargeFilesAreFetchedInBoundedMemory(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	claim(t, space, "runs")
	p := newPerson(t, inside.Admin, space)
	name := p.submits(large, "--output", "pvc:runs")
	p.must("attach", name)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pull := exec.CommandContext(ctx, binary(t), "pull", name)
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
	t.Logf("2 GiB came within %s, with %d MB", time.Since(began).Round(100*time.Millisecond), most.peak/1e6)
	file, err := os.Open(filepath.Join(strings.TrimSpace(out.String()), "large"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	end := make([]byte, 4)
	if n, err := file.ReadAt(end, 2<<30-3); n != 3 || !errors.Is(err, io.EOF) || string(end[:3]) != "end" {
		t.Errorf("it ends with %q, %v", end[:n], err)
	}
}
