package install_test

import (
	"path/filepath"
	"testing"
)

// repository is the clone's root.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}
