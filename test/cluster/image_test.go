//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
	"github.com/metaml/metaml/test/index"
)

// registry is that of the cluster, as this machine and the nodes see it.
var registry, _, _ = strings.Cut(inside.BarePython, "/")

// The digits notebook runs on the packages that its kernel has, on a plain Python: nobody names an image. A second
// machine with nothing in its home makes the same one of the same packages; on a third a builder makes it.
func TestTheDigitsNotebookNeedsNoImage(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	var images []string
	for i, name := range []string{"train-model-1", "train-model-2", "train-model-3"} {
		p := plain(t, space, "METAML_REPOSITORY="+registry+"/"+space+"/environments", "METAML_MEMORY=512Mi")
		if i == 2 {
			p.env = append(p.env, "METAML_BUILDER="+buildkit)
			if out, _ := p.metaml("doctor", "--target", "kubernetes"); !strings.Contains(out, buildkit+", BuildKit") {
				t.Errorf("doctor says %s", out)
			}
		}
		out, _ := p.metaml("doctor", "--target", "kubernetes", "--repository", registry+"/env")
		if !strings.Contains(out, "made of the packages that the session has, for "+registry+"/env") {
			t.Errorf("doctor says %s", out)
		}
		sources := digits(t, 5)
		sweep := &sources[len(sources)-1]
		*sweep = strings.Replace(*sweep, "--completions 16", "--completions 2 --again", 1)
		cells, failed := p.executes(at{}, append(sources, "%metaml build")...)
		if failed {
			t.Fatalf("the cell shows %s", cells[len(cells)-1].shows())
		}
		if s := p.show(name); s.State != "succeeded" || s.counts("succeeded") != 2 {
			t.Errorf("it is %+v", s)
		}
		job, err := client(t, inside.Admin).BatchV1().Jobs(space).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		image := job.Spec.Template.Spec.Containers[0].Image
		if !strings.HasPrefix(image, registry+"/"+space+"/environments@sha256:") {
			t.Errorf("its image is %s", image)
		}
		if lock := p.lock(name); i != 2 && !strings.Contains(lock, "\nscikit-learn==") {
			t.Errorf("its packages are %q", lock)
		}
		if built := cells[len(cells)-1].shows(); !strings.Contains(built, image) {
			t.Errorf("it runs in %s, and %%metaml build shows %s", image, built)
		}
		images = append(images, image)
	}
	another := plain(t, space)
	another.must("runs", "--target", "kubernetes", "--namespace", space)
	if lock := another.lock("train-model-1"); !strings.Contains(lock, " --hash=sha256:") {
		t.Errorf("another machine reads the packages %q", lock)
	}
	if images[0] != images[1] || images[1] == images[2] {
		t.Errorf("two machines, and one with a builder, made %q", images)
	}
}

// lock is the list of packages in a run's record.
func (p *person) lock(name string) string {
	p.t.Helper()
	var is struct{ Lock string }
	out := p.must("show", "--json", name)
	if err := json.Unmarshal([]byte(out), &is); err != nil {
		p.t.Fatalf("%v in %.500s", err, out)
	}
	if is.Lock == "" {
		return ""
	}
	data, err := os.ReadFile(is.Lock)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

// What the kernel has loaded of the packages that a program uses can be imported in its pod, module by module.
func TestAPodImportsAllThatTheKernelImported(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := plain(t, space, "METAML_REPOSITORY="+registry+"/"+space+"/environments", "METAML_MEMORY=512Mi")
	cells, failed := p.executes(at{}, "import joblib, numpy, scipy.sparse, sklearn.neural_network, sys",
		"ours = {'joblib', 'narwhals', 'numpy', 'scipy', 'sklearn', 'threadpoolctl'}\n"+
			"loaded = sorted(m for m in sys.modules if m.split('.')[0] in ours and sys.modules[m].__spec__)\n"+
			"len(loaded) > 300",
		`%%train --with loaded
def load():
    import importlib, sklearn, numpy, scipy, joblib
    for name in loaded:
        importlib.import_module(name)
    return {"modules": float(len(loaded))}`)
	if failed {
		t.Fatalf("the cell shows %s", cells[len(cells)-1].shows())
	}
	if enough := cells[1].shows(); !strings.Contains(enough, "True") {
		t.Errorf("more than 300 modules are loaded: %s", enough)
	}
	if s := p.show("load-1"); s.State != "succeeded" {
		t.Errorf("it is %+v", s)
	}
}

// Of the session nothing is in an image but what the program needs, and no login of an index: not in a layer, a
// configuration or a manifest, and not in an object of the run.
func TestNothingIsInAnImageThatNobodyNamed(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	address := guarded(t, index.Serve(t), "reader", planted+"an-index")
	p := plain(t, space, "METAML_REPOSITORY="+registry+"/"+space+"/environments",
		"UV_INDEX="+strings.Replace(address, "://", "://reader:"+planted+"an-index@", 1))
	p.plants()
	run := p.submits("import threadpoolctl\n\n" + strings.Join(secretive, "\n\n"))
	p.must("attach", run)
	all := gone(t, space)
	for _, tag := range tags(t, registry+"/"+space+"/environments") {
		for at, is := range entries(t, registry+"/"+space+"/environments:"+tag) {
			all[tag+" "+at] = []byte(is.text)
		}
		image := picture(t, registry+"/"+space+"/environments:"+tag)
		for what, read := range map[string]func() ([]byte, error){
			"manifest": image.RawManifest, "configuration": image.RawConfigFile,
		} {
			data, err := read()
			if err != nil {
				t.Fatal(err)
			}
			all["the "+what+" of "+tag] = data
		}
	}
	program := false
	for where, data := range all {
		if i := bytes.Index(data, []byte(planted)); i >= 0 {
			t.Errorf("in %s there is %q", where, data[max(0, i-40):min(len(data), i+80)])
		}
		program = program || strings.HasSuffix(where, "/code/main.py") && bytes.Contains(data, []byte("its token has"))
	}
	if !program {
		t.Error("this test does not see the program")
	}
}

// tags are the names in a repository.
func tags(t *testing.T, repository string) []string {
	t.Helper()
	at, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	all, err := remote.List(at)
	if err != nil || len(all) < 2 { // the environment, and the program on it
		t.Fatalf("it has %q: %v", all, err)
	}
	return all
}
