package settings_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

var update = flag.Bool("update", false, "write the files that are made from the settings anew")

func TestTheExampleInTheDocsIsRight(t *testing.T) {
	_, text, _ := strings.Cut(settings.Reference(), "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	file := filepath.Join(t.TempDir(), "metaml.toml")
	write(t, file, text)
	r, err := settings.Resolve(run.Train, settings.Sources{File: settings.File{Path: file}})
	if err != nil || r.Text("memory") != "8Gi" || len(r.List("secret")) != 1 {
		t.Errorf("%s is read as %v, %v", text, r, err)
	}
}

func TestMadeFilesAreAsTheSettings(t *testing.T) {
	for path, want := range map[string]string{
		"docs/reference/settings.md":                          settings.Reference(),
		"jupyter-ext/python/metaml/_session/setting_names.py": settings.PythonNames(),
	} {
		t.Run(path, func(t *testing.T) {
			file := filepath.Join("..", "..", filepath.FromSlash(path))
			if *update {
				write(t, file, want)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, string(got)); d != "" {
				t.Errorf("%s differs from the code (go test ./deployer/settings -update makes it anew)\n%s", path, d)
			}
		})
	}
}
