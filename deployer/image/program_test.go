package image

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/resolve"
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
		deleted := true
		lacks := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, gone) {
				deleted = false
			}
			image := strings.Contains(r.URL.Path, "/team/env/manifests/")
			if r.Method == http.MethodHead && deleted && (image || strings.Contains(r.URL.Path, gone)) {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			s.inner.ServeHTTP(w, r)
		})
		s.answer.Store(&lacks)
		defer s.answer.Store(nil)
		request.To = registryAt(t, repository) // one that has not seen the layer
		made := make("3")
		if deleted || made.Reference == first.Reference || len(*said) == 0 {
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
