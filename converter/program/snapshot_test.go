package program

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/test/venv"
)

var update = flag.Bool("update", false, "write the snapshots of testdata/*.txtar again")

// TestSnapshots makes the program of each testdata/*.txtar: its parts named "cell" are the cells, "args" the command
// line. The parts "main.py", "script.py" and "stdout" are what must come out; each main.py is run by Python, with its
// map read by other code than ours.
func TestSnapshots(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no snapshots: %v", err)
	}
	var cases []map[string]any
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var cells []string
			var args []string
			entry := ""
			typed := map[string]any{}
			doc := &session.Document{
				V: 1, Kind: session.Live, Interpreter: session.Interpreter{Version: "3.11.2"}, Source: "story.ipynb",
			}
			ok := true
			for _, f := range ar.Files {
				switch f.Name {
				case "cell":
					cells = append(cells, string(f.Data))
					doc.Cells = append(doc.Cells, session.Cell{
						Seq: len(cells), Count: len(cells), Source: string(f.Data), OK: &ok,
					})
					typed[strconv.Itoa(len(cells))] = string(f.Data)
				case "args":
					args = strings.Fields(string(f.Data))
				case "function":
					entry = strings.TrimSpace(string(f.Data))
				}
			}
			s, err := slicer.Of(context.Background(), doc, slicer.Options{Function: entry})
			if err != nil {
				t.Fatal(err)
			}
			p, err := Make(s, Train)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{"main.py": p.Main(), "script.py": Script(s), "explain": s.Explain()}
			dir := filepath.Join(t.TempDir(), "program")
			if err := p.Write(dir); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), venv.Python(t), append([]string{"main.py"}, args...)...)
			cmd.Dir = filepath.Join(dir, "code")
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("python main.py %s: %v", strings.Join(args, " "), err)
			}
			got["stdout"] = string(out)
			script := filepath.Join(t.TempDir(), "script.py")
			if err := os.WriteFile(script, []byte(got["script.py"]), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err = exec.CommandContext(t.Context(), venv.Python(t), append([]string{script}, args...)...).Output()
			if err != nil || string(out) != got["stdout"] {
				t.Errorf("the script for people gives %q (%v), the program %q", out, err, got["stdout"])
			}
			cases = append(cases, map[string]any{
				"kind": "map", "main": p.Main(), "map": p.Map, "typed": typed,
				"generated": strings.Contains(p.Main(), "_metaml_"),
			})
			if *update {
				var kept []txtar.File
				for _, f := range ar.Files {
					if _, made := got[f.Name]; !made {
						kept = append(kept, f)
					}
				}
				for _, name := range []string{"main.py", "script.py", "explain", "stdout"} {
					kept = append(kept, txtar.File{Name: name, Data: []byte(got[name])})
				}
				ar.Files = kept
				if err := os.WriteFile(file, txtar.Format(ar), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, f := range ar.Files {
				if g, made := got[f.Name]; made && g != string(f.Data) {
					t.Errorf("%s is stale (go test ./converter/program -update):\ngot:\n%s\nwant:\n%s", f.Name, g,
						f.Data)
				}
				delete(got, f.Name)
			}
			for name := range got {
				t.Errorf("the snapshot has no part %q (go test ./converter/program -update)", name)
			}
		})
	}
	for i, a := range check(t, cases) {
		for _, w := range a["wrong"].([]any) {
			t.Errorf("%s: %v", files[i], w)
		}
	}
}
