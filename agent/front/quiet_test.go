package front_test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

func TestNothing(*testing.T) {}

// The test's own program has the libraries of a front. As a process of its own it says nothing when it starts.
func TestAFrontStartsWithoutAWord(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	c := exec.CommandContext(t.Context(), self, "-test.run", "^TestNothing$")
	c.Stderr = &said
	if err := c.Run(); err != nil || said.Len() > 0 {
		t.Errorf("%v: %s", err, &said)
	}
}
