package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheWheelHasTheLicencesOfWhatIsLinked checks two programs of ours that share some modules.
func TestTheWheelHasTheLicencesOfWhatIsLinked(t *testing.T) {
	var programs [][]byte
	for _, name := range []string{"metaml-kernel", "metaml-agent"} {
		out := filepath.Join(t.TempDir(), name)
		build := exec.CommandContext(t.Context(), "go", "build", "-o", out, "github.com/metaml/metaml/cmd/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, said)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, data)
	}
	modules, goVersion, err := linked(programs)
	if err != nil {
		t.Fatal(err)
	}
	text, err := thirdParty(programs)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "standard library, "+goVersion+" (LICENSE)") {
		t.Error("Go's own licence is missing")
	}
	for _, want := range []string{
		"\nJupyter's notebook schemas (LICENSE)\n", "Jupyter Development Team",
		"\nJupytext's languages and expressions (LICENSE)\n", "Marc Wouts",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, m := range modules {
		if strings.Count(string(text), "\n"+m.String()+" (") == 0 {
			t.Errorf("the licence of %s is missing", m)
		}
	}
	for _, want := range []string{"github.com/go-zeromq/zmq4 ", "github.com/valyala/fasthttp "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%v are linked, and %sis not among them", modules, want)
		}
	}
}

func TestAModuleWithoutALicenceIsNamed(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "main.go"), "package main\n")
	err := appendLicences(nil, "example.com/bare v1.0.0", folder, true)
	if err == nil || !strings.Contains(err.Error(), "example.com/bare v1.0.0 has no file with its licence") {
		t.Errorf("error %v, want the module's name", err)
	}
}

func TestNamesOfLicenceFiles(t *testing.T) {
	for name, want := range map[string]bool{
		"LICENSE": true, "LICENCE.md": true, "license.txt": true, "LICENSE-APACHE": true,
		"COPYING": true, "NOTICE": true, "PATENTS": true, "UNLICENSE": true,
		"licenses.go": false, "notices": false, "README.md": false, "license": true, "copyingfile.go": false,
	} {
		t.Run(name, func(t *testing.T) {
			if got := licenceName.MatchString(name); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
