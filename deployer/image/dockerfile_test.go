package image

import (
	"regexp"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/image/resolve"
)

// docker build gets the same wheels, by their digests, on the same base.
func TestADockerfileMakesTheSameEnvironment(t *testing.T) {
	s := newStore(t)
	m, _ := maker(t, packages(t))
	base := s.has(t, debian)
	request := Request{
		Packages: resolve.Input{Requirements: "top\nbelow==1.0\n", Arch: "amd64"}, Base: base,
		To: registryAt(t, s.host+"/env"),
	}
	dockerfile, requirements, err := m.Dockerfile(t.Context(), request, "/opt/program")
	if err != nil {
		t.Fatal(err)
	}
	made, err := m.Make(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(dockerfile, "\nFROM "+made.Base+"\n") {
		t.Errorf("it is not put on %s:\n%s", made.Base, dockerfile)
	}
	for _, w := range made.Wheels {
		line := w.Name + "==" + w.Version + " --hash=sha256:" + w.SHA256 + "\n"
		if !strings.Contains(requirements, line) {
			t.Errorf("it lacks %s:\n%s", line, requirements)
		}
	}
	if shell := regexp.MustCompile(`(?m)^RUN (--mount=\S+ )*[^-\["]`).FindString(dockerfile); shell != "" {
		t.Errorf("a shell gets %q", shell)
	}
}
