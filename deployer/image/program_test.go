package image

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/test/noted"
)

func script(text string) []layer.File {
	return []layer.File{{Path: "opt/metaml/program/code/main.py", Mode: 0o644, Content: layer.Bytes(text)}}
}

// An edit of the program is one layer more on the environment that is there.
func TestAProgramIsPutOnItsEnvironment(t *testing.T) {
	s := newStore(t)
	m, said := maker(t, packages(t))
	repository := s.host + "/team/env"
	request := Request{
		Packages: resolve.Input{Requirements: "below==1.0\n", Arch: "amd64"},
		Base:     s.has(t, debian),
		To:       registryAt(t, repository),
		Program:  script("1"),
	}
	make := func(text string) *Made {
		t.Helper()
		*said = nil
		s.asked.Store(0)
		request.Program = script(text)
		made, err := m.Make(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	first := make("1")
	files, _ := tree(t, first.Reference)
	if files["opt/metaml/program/code/main.py"] != "1" ||
		files["opt/venv/lib/python3.11/site-packages/below.py"] == "" {
		t.Error("it lacks the program or a package")
	}
	second := make("2")
	if second.Reference == first.Reference || len(*said) > 0 {
		t.Errorf("an edit gives %s, and says %q", second.Reference, *said)
	}
	again := make("1")
	if again.Reference != first.Reference || !again.Known ||
		s.asked.Load() > 2 { // the base and the image
		t.Errorf("without an edit it is %s after %d requests", again.Reference, s.asked.Load())
	}
	if err := m.Tag(t.Context(), request.To, first, "train-1"); err != nil {
		t.Fatal(err)
	}
	tagged, err := name.NewTag(repository + ":train-1")
	if err != nil {
		t.Fatal(err)
	}
	if is, err := remote.Head(tagged); err != nil || !strings.HasSuffix(first.Reference, is.Digest.String()) {
		t.Errorf("train-1 is %v: %v", is, err)
	}

	t.Run("an environment that somebody deleted is made again", func(t *testing.T) {
		gone := first.Layers[len(first.Layers)-1].Digest
		var deleted atomic.Bool
		deleted.Store(true)
		lacks := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, gone) {
				deleted.Store(false)
			}
			image := strings.Contains(r.URL.Path, "/team/env/manifests/")
			if r.Method == http.MethodHead && deleted.Load() && (image || strings.Contains(r.URL.Path, gone)) {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			s.inner.ServeHTTP(w, r)
		})
		s.answer.Store(&lacks)
		defer s.answer.Store(nil)
		request.To = registryAt(t, repository) // one that has not seen the layer
		made := make("3")
		if deleted.Load() || made.Reference == first.Reference || len(*said) == 0 {
			t.Errorf("it is %s, and said %q", made.Reference, *said)
		}
	})
}

func TestAnOutlineSaysWhatWouldBeMade(t *testing.T) {
	s := newStore(t)
	m, said := maker(t, packages(t))
	request := Request{
		Packages: resolve.Input{Requirements: "top\nbelow==1.0\n", Arch: "amd64"}, Base: s.has(t, debian),
		To: registryAt(t, s.host+"/env"),
	}
	before, err := m.Outline(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if before.There != "" || before.Load == 0 || len(before.Layers) != 1 || before.Layers[0].There ||
		len(before.Layers[0].Wheels) != 2 {
		t.Errorf("before it is %+v", before)
	}
	made, err := m.Make(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	*said = nil
	after, err := m.Outline(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if after.There != made.Reference || !after.Layers[0].There || after.Layers[0].Size == 0 || len(*said) > 0 {
		t.Errorf("afterwards it is %+v, and said %q", after, *said)
	}
	request.Base = s.has(t, map[string]string{"usr/bin/python3.11": "another"})
	if shares, err := m.Outline(t.Context(), request); err != nil || shares.There != "" || !shares.Layers[0].There {
		t.Errorf("on another base it is %+v: %v", shares, err)
	}
}

// A model is a layer of its own below the program: the same while the program is edited, and sent once.
func TestAModelIsALayerBelowTheProgram(t *testing.T) {
	s := newStore(t)
	m, _ := maker(t, packages(t))
	repository := s.host + "/team/env"
	request := Request{
		Packages: resolve.Input{Requirements: "below==1.0\n", Arch: "amd64"}, Base: s.has(t, debian),
		To: registryAt(t, repository),
		Model: []layer.File{{
			Path: "opt/metaml/model/weights", Mode: 0o644, Content: layer.Bytes(strings.Repeat("w", 1000)),
		}},
	}
	var tops [3][]string // the two uppermost layers of each image
	for i, text := range []string{"1", "2", "2"} {
		if i == 2 {
			request.Model = nil
		}
		request.Program = script(text)
		var sent noted.List[string]
		counts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if digest := r.URL.Query().Get("digest"); r.Method == http.MethodPut && digest != "" {
				sent.Add(digest)
			}
			s.inner.ServeHTTP(w, r)
		})
		s.answer.Store(&counts)
		made, err := m.Make(t.Context(), request)
		s.answer.Store(nil)
		if err != nil {
			t.Fatal(err)
		}
		files, _ := tree(t, made.Reference)
		if files["opt/metaml/program/code/main.py"] != text || (files["opt/metaml/model/weights"] != "") != (i < 2) {
			t.Errorf("image %d has other files", i)
		}
		layers, err := made.image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range layers[len(layers)-2:] {
			digest, err := l.Digest()
			if err != nil {
				t.Fatal(err)
			}
			tops[i] = append(tops[i], digest.String())
		}
		if slices.Contains(sent.All(), tops[i][0]) != (i == 0) {
			t.Errorf("image %d: of its layers %q were sent %q", i, tops[i], sent.All())
		}
	}
	if tops[0][0] != tops[1][0] || tops[0][1] == tops[1][1] || tops[1][1] != tops[2][1] {
		t.Errorf("the model and the program are in %q", tops)
	}
}

// Of an image the last layers alone are to be sent, and never more than there are.
func TestTopmost(t *testing.T) {
	picture, err := random.Image(10, 3)
	if err != nil {
		t.Fatal(err)
	}
	all, err := picture.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []int{0, 1, 2, 3, 3} {
		layers, err := topmost{picture, n}.Layers()
		if err != nil || !slices.Equal(layers, all[3-want:]) {
			t.Errorf("of %d it has %d: %v", n, len(layers), err)
		}
	}
}
