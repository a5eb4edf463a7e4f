//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// weighs is a sweep of which each trial leaves a number behind, and as much else as SIZE says.
const weighs = `
import os
import pickle
import metaml

class Weight:
    def __init__(self, x):
        self.x = x

    def times(self, number):
        return self.x * number

rows = [{"x": 3}, {"x": 4}]

@metaml.Train(settings={"hyper_parameters": "rows"})
def fit(x):
    (metaml.output() / "deep").mkdir()
    (metaml.output() / "deep" / "weight.pickle").write_bytes(pickle.dumps(Weight(x)))
    (metaml.output() / "latest").symlink_to("deep")
    (metaml.output() / "noise").write_bytes(os.urandom(SIZE))
    return {"score": float(x)}
`

// times is a server that multiplies by what the second trial has left, of a class that the training has alone, and says
// what becomes of writing there.
const times = `
import pickle
import metaml

weight = pickle.loads((metaml.model() / "latest" / "weight.pickle").read_bytes())

@metaml.Serve(settings={"model": "fit-1:1", "example": "1"})
def times(number: int):
    try:
        (metaml.model() / "deep" / "more.txt").write_text("0")
        wrote = "written"
    except OSError as error:
        wrote = error.strerror
    return {"product": weight.times(number), "wrote": wrote}
`

// trains runs a sweep whose trials leave a model of so many random bytes behind.
func (p *person) trains(size int, args ...string) {
	p.t.Helper()
	name := p.submits(strings.Replace(weighs, "SIZE", fmt.Sprint(size), 1), args...)
	p.must("attach", name)
	if s := p.show(name); s.State != "succeeded" {
		p.t.Fatalf("the training is %+v", s)
	}
}

// plans is what `metaml plan` says of a script with a server.
func (p *person) plans(script string) string {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.home, "serve.py"), []byte(script), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.must("plan", "serve.py", "--python", python(p.t))
}

// plannedObject is an object in a plan.
var plannedObject = regexp.MustCompile(`(Deployment|Service|PodDisruptionBudget|ConfigMap|Secret) ([a-z0-9-]+)(…)?`)

// made checks that each object of a plan is there, under its name.
func (p *person) made(space, plan string) {
	p.t.Helper()
	all := objects(p.t.Context(), p.t, space, "app.kubernetes.io/managed-by=metaml")
	found := plannedObject.FindAllStringSubmatch(plan, -1)
	if len(found) < 8 {
		p.t.Errorf("this test does not see the objects of the plan\n%s", plan)
	}
	for _, one := range found {
		name := strings.ToLower(one[1]) + "s/" + one[2]
		if one[3] != "" { // the first of several
			name = strings.TrimSuffix(name, "-0") + "-0"
		}
		if !slices.ContainsFunc(all, func(o object) bool { return o.name == name }) {
			p.t.Errorf("there is no %s, and it is planned\n%s", name, plan)
		}
	}
}

// servers are the pods of a namespace's server, and its objects with parts of a model.
func servers(ctx context.Context, t *testing.T, space string) (pods []corev1.Pod, parts []string) {
	t.Helper()
	core := client(t, inside.Admin).CoreV1()
	list, err := core.Pods(space).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=server"})
	if err != nil {
		t.Fatal(err)
	}
	maps, err := core.ConfigMaps(space).List(ctx, metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/component=model",
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range maps.Items {
		parts = append(parts, maps.Items[i].Name)
	}
	return list.Items, parts
}

// With --image the model is in the cluster's own objects, so that pods have it that start while nobody follows it.
func TestAModelComesWithItsServer(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	p.trains(2 << 20) // incompressible: more than one object
	planned := p.plans(times)
	said, code := p.serves(times)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	p.made(space, planned)
	asked := `"cluster_url": "http://times-1.` + space + `/predict"`
	if shown := p.must("show", "--json", "times-1"); !strings.Contains(shown, asked) {
		t.Errorf("there is no %s in %s", asked, shown)
	}
	if status, answer := post(t, p.showServer("times-1").URL, "2"); !strings.Contains(answer, `"product":8`) {
		t.Errorf("%d: %s", status, answer)
	}
	edited := strings.Replace(times, "weight.times(number)", "weight.times(number) + 0", 1)
	planned = p.plans(edited)
	if !strings.Contains(planned, "revision 1 answers until those of revision 2 do") {
		t.Errorf("of an edit it is planned\n%s", planned)
	}
	if said, code = p.serves(edited); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	p.made(space, planned)
	eventually(t, "the pod of revision 1 is gone", func(ctx context.Context) (bool, error) {
		pods, _ := servers(ctx, t, space)
		return len(pods) == 1, nil
	})
	before, parts := servers(t.Context(), t, space)
	if len(before) != 1 || len(parts) != 6 {
		t.Fatalf("there are %d pods, and parts of a model %q", len(before), parts)
	}

	losesFollower(t, space)
	p.must("delete", "fit-1") // the server does not need it any more
	if err := client(t, inside.Admin).CoreV1().Pods(space).Delete(t.Context(), before[0].Name,
		metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another pod is ready", func(ctx context.Context) (bool, error) {
		pods, _ := servers(ctx, t, space)
		return len(pods) == 1 && pods[0].UID != before[0].UID && isReady(&pods[0]), nil
	})
	p.must("attach", "times-1")
	if status, answer := post(t, p.readyAgain("times-1").URL, "3"); !strings.Contains(answer, `"product":12`) {
		t.Errorf("the new pod answers %d: %s", status, answer)
	}
	p.must("stop", "times-1")
	p.must("delete", "times-1")
	leavesNothing(t, space)
}

// isReady reports whether a pod is.
func isReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// A model that the cluster's own objects cannot have is refused before anything is made, and both ways are said.
func TestAModelThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	p.trains(9 << 20)
	said, code := p.serves(times)
	for _, want := range []string{
		"the model fit-1@" + inside.Admin + "/" + space + ":1 is too large", "more than 8 MiB",
		"--repository REGISTRY/NAME in place of --image", "--output pvc:NAME",
	} {
		if code != 2 || !strings.Contains(said, want) {
			t.Errorf("exit code %d, without %q: %s", code, want, said)
		}
	}
	for _, one := range left(t.Context(), t, space) {
		if strings.Contains(one, "times") {
			t.Errorf("%s was made", one)
		}
	}
	if out := p.must("runs"); strings.Contains(out, "times") {
		t.Errorf("it is listed: %s", out)
	}
}

// A model that training has left on a volume is read from there.
func TestAModelOnAVolumeIsMounted(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	claim(t, space, "runs")
	p := newPerson(t, inside.Admin, space)
	p.trains(9<<20, "--output", "pvc:runs/mine")
	said, code := p.serves(times)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	_, answer := post(t, p.showServer("times-1").URL, "2")
	if !strings.Contains(answer, `"product":8`) || !strings.Contains(answer, "Read-only file system") {
		t.Errorf("it answers %s", answer)
	}
	pods, parts := servers(t.Context(), t, space)
	if len(pods) != 1 || len(parts) > 0 {
		t.Fatalf("there are %d pods, and parts of a model %q", len(pods), parts)
	}
	for i := range pods[0].Spec.Volumes {
		v := &pods[0].Spec.Volumes[i]
		if c := v.PersistentVolumeClaim; c != nil && (c.ClaimName != "runs" || !c.ReadOnly) {
			t.Errorf("the volume is %+v", c)
		}
	}

	// Another machine has neither the model nor the code that tells what it is made of.
	other := newPerson(t, inside.Admin, space)
	other.must("runs", "--target", "kubernetes", "--namespace", space)
	if said, code := other.serves(times, "--name", "elsewhere"); code != 0 {
		t.Fatalf("on another machine: exit code %d: %s", code, said)
	}
	if _, answer := post(t, other.showServer("elsewhere-1").URL, "2"); !strings.Contains(answer, `"product":8`) {
		t.Errorf("what was submitted on another machine answers %s", answer)
	}
	if path := fetched(t, other.home); path != "" {
		t.Errorf("pods read the model from the volume, and yet it was fetched to %s", path)
	}
}

// fetched finds a model on somebody's machine; "" is none.
func fetched(t *testing.T, home string) (path string) {
	t.Helper()
	if err := filepath.WalkDir(home, func(at string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "weight.pickle" {
			path = at
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return path
}

// counting is the cluster's registry at an address where what it gets is counted, in bytes of content.
func counting(t *testing.T) (host string, got *atomic.Int64) {
	t.Helper()
	to, err := url.Parse("http://" + registry)
	if err != nil {
		t.Fatal(err)
	}
	got = &atomic.Int64{}
	behind := httputil.NewSingleHostReverseProxy(to)
	behind.ErrorLog = log.New(io.Discard, "", 0) // who hangs up in the middle is no news
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch || r.Method == http.MethodPut || r.Method == http.MethodPost {
			r.Body = &countedBody{r.Body, got}
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), got
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// In an image, which a decorator's package asks for, the model is a layer of its own below the program: an edit of the
// code does not send it again.
func TestAModelInAnImageIsSentOnce(t *testing.T) {
	t.Parallel()
	const size = 12 << 20
	space := namespace(t)
	host, got := counting(t)
	p := plain(t, space)
	repository := host + "/" + space + "/environments"
	p.trains(size, "--repository", repository)
	trained := got.Load()
	packaged := strings.Replace(times, `"example": "1"}`,
		`"example": "1"}, package={"repository": "`+repository+`"}`, 1)
	said, code := p.serves(packaged)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	if _, answer := post(t, p.showServer("times-1").URL, "2"); !strings.Contains(answer, `"product":8`) ||
		!strings.Contains(answer, "Read-only file system") {
		t.Errorf("it answers %s", answer)
	}
	served := got.Load()
	if sent := served - trained; sent < size || sent > size+1<<20 {
		t.Errorf("of a model of %d bytes %d were sent", size, sent)
	}
	if said, code = p.serves(strings.Replace(packaged, "weight.times(number)", "-weight.times(number)", 1)); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	if s := p.showServer("times-1"); s.Revision != 2 {
		t.Errorf("it is %+v", s)
	} else if _, answer := post(t, s.URL, "2"); !strings.Contains(answer, `"product":-8`) {
		t.Errorf("after an edit it answers %s", answer)
	}
	sent := got.Load() - served
	if sent == 0 || sent > 100_000 {
		t.Errorf("an edit has sent %d bytes", sent)
	}
	t.Logf("with the model %d bytes were sent, with an edit of the code %d", served-trained, sent)
	if _, parts := servers(t.Context(), t, space); len(parts) > 0 {
		t.Errorf("the model is in %q as well", parts)
	}
}
