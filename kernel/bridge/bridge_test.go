package bridge

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTheDocumentedTableIsTheTable keeps docs/internals/kernel.md true.
func TestTheDocumentedTableIsTheTable(t *testing.T) {
	doc, err := os.ReadFile("../../docs/internals/kernel.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range Table {
		line := fmt.Sprintf("| %s | %s | `%s` | %s | %s |", row.Direction, row.Channel, row.Type, row.What, row.Why)
		if !strings.Contains(string(doc), line+"\n") {
			t.Errorf("docs/internals/kernel.md lacks the row\n%s", line)
		}
	}
	if got := strings.Count(string(doc), "| "+string(ToChild)+" |") +
		strings.Count(string(doc), "| "+string(ToFrontEnd)+" |"); got != len(Table) {
		t.Errorf("docs/internals/kernel.md has %d rows, the table %d", got, len(Table))
	}
}

func TestIdentitiesThatTheLibraryCutsAreCarriedInHex(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"plain", "a\x00b", "a\x00c", "\xff", "é"} {
		got := childIdentity(id)
		if other, twice := seen[got]; twice {
			t.Errorf("%q and %q are both %q", id, other, got)
		}
		seen[got] = id
		if strings.ContainsRune(got, 0) {
			t.Errorf("%q became %q", id, got)
		}
	}
	if childIdentity("plain") != "plain" {
		t.Error("an ordinary identity was changed")
	}
}

func TestFoldersOfTheLivingAreKept(t *testing.T) {
	base := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", base)
	first, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	second, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.dir); err != nil {
		t.Errorf("a living kernel's folder was swept: %v", err)
	}
	_ = first.lock.Close() // as the system does for a killed process
	third, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.dir); err == nil {
		t.Error("a dead kernel's folder was left")
	}
	second.remove()
	third.remove()
	left, err := os.ReadDir(base)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
