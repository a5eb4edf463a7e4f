package settings_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/settings"
)

var update = flag.Bool("update", false, "write docs/reference/settings.md anew")

func TestReferenceIsInTheDocs(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "reference", "settings.md")
	if *update {
		write(t, path, settings.Reference())
	}
	docs, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(settings.Reference(), string(docs)); d != "" {
		t.Errorf("docs/reference/settings.md differs from the code (go test ./deployer/settings -update makes it "+
			"anew)\n%s", d)
	}
}
