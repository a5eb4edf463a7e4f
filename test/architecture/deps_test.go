package architecture_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the dependency lists anew")

// TestNothingRegistersEveryGroupOfKubernetes keeps client-go's clientset and its typed clients out: each imports a
// scheme of all groups that Kubernetes has, for which every start of a program would pay.
func TestNothingRegistersEveryGroupOfKubernetes(t *testing.T) {
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/...")
	command.Dir = filepath.Join("..", "..")
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	for imported := range strings.FieldsSeq(string(text)) {
		for _, all := range []string{"k8s.io/client-go/kubernetes", "k8s.io/client-go/applyconfigurations"} {
			if imported == all || strings.HasPrefix(imported, all+"/") {
				t.Errorf("a program links %s; deployer/kube/cluster has the clients that there are", imported)
			}
		}
	}
}

// TestOneProgramAloneSpeaksToBuilders keeps BuildKit's client out of the others: it costs each start 3 ms.
func TestOneProgramAloneSpeaksToBuilders(t *testing.T) {
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/metaml", "./cmd/metaml-nbconvert")
	command.Dir = filepath.Join("..", "..")
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	for imported := range strings.FieldsSeq(string(text)) {
		if strings.HasPrefix(imported, "github.com/moby/buildkit/") {
			t.Errorf("metaml links %s; what needs a builder is in metaml-build", imported)
		}
	}
}

// TestDependenciesOfSmallBinariesAreListed keeps what kernel, agent and the programs of pods link in a file, so that
// a new dependency is seen in the diff of a review.
func TestDependenciesOfSmallBinariesAreListed(t *testing.T) {
	for _, name := range []string{"metaml-agent", "metaml-kernel", "metaml-monitor", "metaml-pod", "metaml-server"} {
		t.Run(name, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
				"{{if not .Standard}}{{.ImportPath}}{{end}}", "./cmd/"+name)
			command.Dir = filepath.Join("..", "..")
			command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
			command.Stderr = os.Stderr
			text, err := command.Output()
			if err != nil {
				t.Fatalf("go list -deps: %v", err)
			}
			file := filepath.Join("deps", name+".txt")
			if *update {
				if err := os.WriteFile(file, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(text), "\n")); diff != "" {
				t.Errorf("%s links other packages than %s says (-want +got):\n%s\nif that is meant: go test "+
					"./test/architecture -update", name, file, diff)
			}
		})
	}
}
