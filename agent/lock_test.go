package agent

import (
	"slices"
	"strings"
	"testing"
)

func TestTheLockNamesTheDistributionsThatWereLoaded(t *testing.T) {
	t.Parallel()
	b := newBench(t, "import numpy\ndef train():\n    pass\n", nil)
	if end := b.end(); !end.Returned {
		t.Fatalf("%+v", end)
	}
	b.Close() // waits for the lock
	lines := strings.Split(readFile(t, b.opts.Folder.PackageLock()), "\n")
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "numpy==") }) {
		t.Errorf("%q", lines)
	}
}

func TestTheLockIsWrittenOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", nil)
	b.lock(map[string]string{})
	b.lock(map[string]string{"never": "/read"})
	b.Close()
	if got := readFile(t, b.opts.Folder.PackageLock()); got != "" {
		t.Errorf("%q", got)
	}
}
