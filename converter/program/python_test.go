package program

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/test/venv"
)

// checker is a process that executes testdata/check.py.
type checker struct {
	to   io.Writer
	from *json.Decoder
}

func newChecker(tb testing.TB) *checker {
	tb.Helper()
	script, err := filepath.Abs("testdata/check.py")
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), venv.Python(tb), script)
	cmd.Dir, cmd.Stderr = tb.TempDir(), os.Stderr
	// Notebooks write files, temporary ones too.
	cmd.Env = append(os.Environ(), "TMPDIR="+cmd.Dir)
	to, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = to.Close(), cmd.Wait() })
	return &checker{to, json.NewDecoder(from)}
}

// check has cases executed.
func (c *checker) check(tb testing.TB, cases []map[string]any) []map[string]any {
	tb.Helper()
	if err := json.NewEncoder(c.to).Encode(cases); err != nil {
		tb.Fatalf("check.py: %v", err)
	}
	var answers []map[string]any
	if err := c.from.Decode(&answers); err != nil {
		tb.Fatalf("check.py: %v", err)
	}
	return answers
}

// check sends cases to testdata/check.py.
func check(tb testing.TB, cases []map[string]any) []map[string]any {
	tb.Helper()
	return newChecker(tb).check(tb, cases)
}

// wrong says in what a program differs from its notebook, "" if in nothing, by what check.py answers.
func wrong(answer map[string]any) string {
	if text, failed := answer["program_error"].(string); failed {
		return "the program fails: " + text
	}
	text, _ := answer["differs"].(string)
	return text
}

func notebook(cells []string) *session.Document {
	d := &session.Document{V: 1, Kind: session.Live, Interpreter: session.Interpreter{Version: "3.11.2"}}
	if modules, err := filepath.Abs("testdata"); err == nil {
		d.Path = []string{modules}
	}
	ok := true
	for i, c := range cells {
		d.Cells = append(d.Cells, session.Cell{Seq: i + 1, Count: i + 1, Source: c, OK: &ok})
	}
	return d
}

func sliced(tb testing.TB, cells []string, o slicer.Options) *Program {
	tb.Helper()
	s, err := slicer.Of(context.Background(), notebook(cells), o)
	if err != nil {
		tb.Fatalf("%v\n%s", err, strings.Join(cells, "\n---\n"))
	}
	p, err := Make(s, Train)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
