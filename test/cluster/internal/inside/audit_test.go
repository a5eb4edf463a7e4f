package inside

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLineThatIsNotWholeIsLeftForLater(t *testing.T) {
	log := filepath.Join(t.TempDir(), "audit.log")
	const line = `{"verb":"patch","user":{"username":"admin"},"objectRef":{"resource":"jobs","subresource":"status",` +
		`"namespace":"n","name":"j"},"responseStatus":{"code":200}}` + "\n"
	if err := os.WriteFile(log, []byte(line+line[:40]), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := writes(log)
	if err != nil {
		t.Fatal(err)
	}
	want := Write{Verb: "patch", User: "admin", Namespace: "n", Resource: "jobs/status", Name: "j", Code: 200}
	if len(got) != 1 || got[0] != want {
		t.Errorf("read %+v, want %+v alone", got, want)
	}
}
