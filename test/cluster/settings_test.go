//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// writes makes a file of a person.
func (p *person) writes(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func TestWhatIsIncludedIsWhereItWas(t *testing.T) {
	t.Parallel()
	p := newPerson(t, inside.Admin, namespace(t))
	p.writes("data/rows.csv", "1,2,3")
	name := p.submits(`
import metaml

@metaml.Train
def fit():
    with open("data/rows.csv") as f:
        print("it has", f.read())
`, "--include", "data")
	p.sees(name, "it has succeeded", func(s shown) bool { return s.State == "succeeded" })
	if log := p.must("logs", name); !strings.Contains(log, "it has 1,2,3") {
		t.Errorf("it printed %q", log)
	}
}

func TestARunThatCannotStartIsStopped(t *testing.T) {
	t.Parallel()
	p := newPerson(t, inside.Admin, namespace(t))
	name := p.submits(saves, "--memory", "900Gi", "--start-timeout", "3s")
	out, code := p.metaml("attach", name)
	if want := "it was stopped, since no trial started within 3.0 s: "; code != 1 || !strings.Contains(out, want) ||
		!strings.Contains(out, "Insufficient memory") {
		t.Errorf("attach ended with %d: %s", code, out)
	}
	if s := p.show(name); s.State != "stopped" || s.counts("stopped") != 8 {
		t.Errorf("it is %+v", s)
	}
}

func TestTheAgentComesFromAnImage(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	image := pushAgent(t)
	name := p.submits(rates, "--agent-image", image)
	p.sees(name, "it has succeeded", func(s shown) bool { return s.State == "succeeded" && s.counts("succeeded") == 3 })
	for _, object := range left(t.Context(), t, space) {
		if strings.Contains(object, "metaml-pod-linux") {
			t.Errorf("the agent was sent along: %s", object)
		}
	}

	wrong := p.submits(rates, "--agent-image", inside.BarePython, "--name", "wrong", "--retries", "0")
	s := p.sees(wrong, "it has failed", func(s shown) bool { return s.State == "failed" })
	if text := s.Trials[0].Text; !strings.Contains(text, "the image of --agent-image, "+inside.BarePython) {
		t.Errorf("with an image that has no agent it says %q", text)
	}
}

func TestAPartOfTheAgentThatSomebodyDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	first := p.submits(rates)
	maps := client(t, inside.Admin).CoreV1().ConfigMaps(space)
	list, err := maps.List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=agent"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if name := list.Items[i].Name; strings.HasSuffix(name, "-1") {
			if err := maps.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	second := p.submits(rates, "--again")
	p.sees(second, "it has succeeded", func(s shown) bool { return s.State == "succeeded" })
	p.must("stop", "--now", first)
	p.sees(first, "it has ended", func(s shown) bool { return s.State == "stopped" || s.State == "succeeded" })
	p.must("delete", first, second)
	leavesNothing(t, space)
}

// unpackedProgram is a program that pods execute, as `make build` made it.
func unpackedProgram(t *testing.T, p pod.Program) []byte {
	t.Helper()
	packed, err := os.Open(filepath.Join("..", "..", "bin", pod.BinaryName(p, "amd64")))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	plain, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	program, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// pushAgent gives the registry an image that has the programs of pods and nothing else, as
// docs/reference/kubernetes.md shows one.
func pushAgent(t *testing.T) (image string) {
	t.Helper()
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	for _, p := range ship.Programs {
		program := unpackedProgram(t, p)
		if err := files.WriteHeader(&tar.Header{
			Name: strings.TrimPrefix(pod.InAgentImage(p), "/"), Mode: 0o755, Size: int64(len(program)),
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write(program); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	send := func(method, path, kind string, data []byte) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://localhost:5000/v2/agent/"+path,
			bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", kind)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusCreated {
			t.Fatalf("the registry answered %s to %s %s", answer.Status, method, path)
		}
	}
	blob := func(kind string, data []byte) map[string]any {
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
		send(http.MethodPost, "blobs/uploads/?digest="+digest, "application/octet-stream", data)
		return map[string]any{"mediaType": kind, "size": len(data), "digest": digest}
	}
	encoded := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	const oci = "application/vnd.oci.image."
	layers := []any{blob(oci+"layer.v1.tar", layer.Bytes())}
	config := blob(oci+"config.v1+json", encoded(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{
			"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer.Bytes()))},
		},
	}))
	send(http.MethodPut, "manifests/1", oci+"manifest.v1+json", encoded(map[string]any{
		"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": config, "layers": layers,
	}))
	return "localhost:5000/agent:1"
}
