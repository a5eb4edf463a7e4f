package local

import (
	"os"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// TestTheEnvironmentOfAFailedRunExpires, since it may hold secrets; until then a resume has it.
func TestTheEnvironmentOfAFailedRunExpires(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(1), "def train():\n    raise ValueError\n", nil)
	if l.State.Phase != run.Failed {
		t.Fatal(b.describe(l))
	}
	b.expireEnvironments(time.Now().Add(environmentKept - time.Hour))
	if !exists(l.Folder.EnvironmentFile()) {
		t.Fatal("it is gone within its time")
	}
	b.expireEnvironments(time.Now().Add(environmentKept + time.Hour))
	if exists(l.Folder.EnvironmentFile()) {
		t.Error("it is kept for ever")
	}
}

// TestTheEnvironmentOfAnActiveRunStays, however old it is.
func TestTheEnvironmentOfAnActiveRunStays(t *testing.T) {
	b := newBench(t)
	name := b.submit(b.spec(1), "import time\ndef train():\n    open('up', 'w').write('1')\n    time.sleep(600)\n", nil)
	b.appears("up")
	old := time.Now().Add(-2 * environmentKept)
	if err := os.Chtimes(b.Folder(name).Events(), old, old); err != nil {
		t.Fatal(err)
	}
	b.expireEnvironments(time.Now())
	if !exists(b.Folder(name).EnvironmentFile()) {
		t.Error("it went while the run goes on")
	}
	if err := b.Stop(t.Context(), name, nil, true); err != nil {
		t.Fatal(err)
	}
	b.await(name)
}
