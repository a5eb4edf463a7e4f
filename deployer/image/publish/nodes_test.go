package publish

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/metaml/metaml/internal/usererror"
)

func TestALocalClusterIsRecognized(t *testing.T) {
	for _, c := range []struct {
		called, context string
		nodes           []Node
		want            string // command that loads FILE
	}{
		{
			"kind, whatever its context is called", "dev",
			[]Node{{ProviderID: "kind://docker/web/web-control-plane"}},
			"kind load image-archive FILE --name web",
		},
		{"kind, and nodes that may not be read", "kind-web", nil, "kind load image-archive FILE --name web"},
		{"a context called so by others", "kind-web", []Node{{ProviderID: "aws:///eu-1/i-1"}}, ""},
		{
			"k3d", "k3d-web",
			[]Node{{Name: "k3d-web-server-0"}, {Name: "k3d-web-agent-0"}},
			"k3d image import FILE --cluster web",
		},
		{"k3d by its context alone", "k3d-web", []Node{{Name: "ip-10-0-0-1"}}, ""},
		{
			"minikube", "other",
			[]Node{{Labels: map[string]string{"minikube.k8s.io/name": "web"}}},
			"minikube image load FILE --profile web",
		},
		{"Docker Desktop", "docker-desktop", []Node{{Name: "docker-desktop"}}, "docker load --input FILE"},
		{
			"Rancher Desktop with containerd", "rancher-desktop",
			[]Node{{Name: "lima-rancher-desktop", Runtime: "containerd://2.0.0"}},
			"nerdctl --namespace k8s.io load --input FILE",
		},
		{
			"Rancher Desktop with Docker", "rancher-desktop",
			[]Node{{Name: "lima-rancher-desktop", Runtime: "docker://27.0"}},
			"docker load --input FILE",
		},
		{"a cloud", "prod", []Node{{Name: "ip-10-0-0-1", ProviderID: "aws:///eu-1/i-1"}}, ""},
		{"a cloud whose nodes may not be read", "prod", nil, ""},
	} {
		t.Run(c.called, func(t *testing.T) {
			got := ""
			if tool := Recognize(c.context, c.nodes, nil); tool != nil {
				got = strings.Join(tool.command("FILE"), " ")
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// kept is a loader that keeps what it gets.
type kept struct{ to string }

func (k kept) Load(_ context.Context, archive string) error {
	data, err := os.ReadFile(archive)
	return errors.Join(err, os.WriteFile(k.to, data, 0o600))
}
func (k kept) String() string { return "a test" }

func TestAnImageIsLoadedAsAnArchive(t *testing.T) {
	image, err := random.Image(10_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	file := filepath.Join(t.TempDir(), "image.tar")
	to := &Nodes{Loader: kept{file}, Have: func(_ context.Context, reference string) bool {
		return strings.HasPrefix(reference, "metaml.local/environments:")
	}}
	if err := to.Publish(t.Context(), image, "tag", nil); err != nil {
		t.Fatal(err)
	}
	named, err := name.NewTag(to.Reference(digest))
	if err != nil {
		t.Fatal(err)
	}
	archived, err := tarball.ImageFromPath(file, &named)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(archived); err != nil || !to.Has(t.Context(), digest) {
		t.Errorf("it is not whole: %v", err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWhatAToolSaysIsSaid(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	tool := &Tool{Name: "kind", Cluster: "web"}
	err := tool.Load(t.Context(), "FILE")
	const missing = "kind, which loads images onto the nodes of kind cluster web, is not on the PATH"
	if is, ok := errors.AsType[*usererror.Error](err); !ok || is.Text != missing {
		t.Errorf("without it: %v", err)
	}
	script := "#!/bin/sh\necho loading\necho 'ERROR: no nodes found' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(bin, "kind"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	err = tool.Load(t.Context(), "FILE")
	if is, ok := errors.AsType[*usererror.Error](err); !ok || !strings.HasSuffix(is.Text, ": ERROR: no nodes found") {
		t.Errorf("it fails: %v", err)
	}
}

func TestARegistryThatAClusterNamesIsFound(t *testing.T) {
	const both = "host: \"localhost:5000\"\nhostFromContainerRuntime: \"registry:5000\"\nhelp: \"https://x\"\n"
	for _, c := range []struct {
		called, text   string
		inPod          bool
		pushed, pulled string
	}{
		{"from outside", both, false, "localhost:5000/env", "registry:5000/env"},
		{"with one name", "host: localhost:5000", false, "localhost:5000/env", "localhost:5000/env"},
		{"in a pod that has no way to it", both, true, "", ""},
		{"in a pod", "hostFromClusterNetwork: r.ns:5000/\nhost: h:1", true, "r.ns:5000/env", "h:1/env"},
		{"none", "help: x", false, "", ""},
	} {
		t.Run(c.called, func(t *testing.T) {
			h, err := ParseHosting(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if pushed, pulled := h.Repository("env", c.inPod); pushed != c.pushed || pulled != c.pulled {
				t.Errorf("got %s, %s", pushed, pulled)
			}
		})
	}
}

func TestNodesCallARepositoryOtherwise(t *testing.T) {
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	to, err := newRegistry(t, nil, s.host+"/env").PulledAs("--pull-repository", "mirror.example/env")
	if err != nil || to.Reference(digest) != "mirror.example/env@"+digest.String() || to.String() != s.host+"/env" {
		t.Errorf("got %s, %s: %v", to, to.Reference(digest), err)
	}
}

func FuzzParseHosting(f *testing.F) {
	f.Add("host: localhost:5000")
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := ParseHosting(text); err == nil {
			h.Repository("env", true)
		}
	})
}

func TestAnImageIsKeptInAFolder(t *testing.T) {
	image, err := random.Image(10_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	to := &Layout{Folder: filepath.Join(t.TempDir(), "images")}
	if to.Has(t.Context(), digest) {
		t.Error("it is there before")
	}
	for range 2 {
		if err := to.Publish(t.Context(), image, "env", nil); err != nil {
			t.Fatal(err)
		}
	}
	at, err := layout.FromPath(to.Folder)
	if err != nil {
		t.Fatal(err)
	}
	index, err := at.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 || !to.Has(t.Context(), digest) {
		t.Errorf("it lists %+v: %v", manifest, err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	if to.Reference(digest) != to.Folder+"@"+digest.String() {
		t.Errorf("it is called %s", to.Reference(digest))
	}
}

// gone is an image of which nobody has the layers here but the uppermost.
type gone struct{ v1.Image }

func (g gone) Layers() ([]v1.Layer, error) {
	all, err := g.Image.Layers()
	for i := range len(all) - 1 {
		all[i] = unreadable{all[i]}
	}
	return all, err
}

type unreadable struct{ v1.Layer }

func (unreadable) Compressed() (io.ReadCloser, error) { return nil, errors.New("nobody has it") }

// A program is put on an environment that the folder has, and this machine has not.
func TestWhatAFolderHasIsNotReadAgain(t *testing.T) {
	image, err := random.Image(10_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	to := &Layout{Folder: filepath.Join(t.TempDir(), "images")}
	if err := to.Publish(t.Context(), gone{image}, "", nil); err == nil {
		t.Error("it is there without its layers")
	}
	if err := to.Publish(t.Context(), image, "env", nil); err != nil {
		t.Fatal(err)
	}
	top, err := random.Layer(1000, types.OCILayer)
	if err != nil {
		t.Fatal(err)
	}
	with, err := mutate.AppendLayers(image, top)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Publish(t.Context(), gone{with}, "program", nil); err != nil {
		t.Error(err)
	}
	if digest, err := with.Digest(); err != nil || !to.Has(t.Context(), digest) {
		t.Errorf("it is not there: %v", err)
	}
}
