package program

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/test/venv"
)

// check sends cases to testdata/check.py.
func check(tb testing.TB, cases []map[string]any) []map[string]any {
	tb.Helper()
	in, err := json.Marshal(cases)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), venv.Python(tb), "testdata/check.py")
	cmd.Stdin = bytes.NewReader(in)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		tb.Fatalf("check.py: %v\n%s", err, stderr.String())
	}
	var answers []map[string]any
	if err := json.Unmarshal(out.Bytes(), &answers); err != nil {
		tb.Fatalf("check.py: %v\n%s", err, out.String())
	}
	return answers
}

func notebook(cells []string) *session.Document {
	d := &session.Document{V: 1, Kind: session.Live, Interpreter: session.Interpreter{Version: "3.11.2"}}
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
