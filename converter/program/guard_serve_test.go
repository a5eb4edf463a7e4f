package program

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/test/venv"
)

// TestServersAnswerOnTheCommandLine runs main.py of servers by hand: JSON in, the answer out.
func TestServersAnswerOnTheCommandLine(t *testing.T) {
	for _, c := range []struct{ function, input, want string }{
		{"def f(input): return {'n': len(input), 'first': input[0]}", `["a", 2]`, `{"n": 2, "first": "a"}`},
		{"def f(input): return 'Grüße'", `{}`, "Grüße"},
		{"def f(input): return b'raw'", `null`, "raw"},
		{"def f(a, b=2, *, c=3): return [a, b, c]", `{"a": 1, "c": 5}`, "[1, 2, 5]"},
		{"def f(a, /, b, **more): return [a, b, more]", `{"b": 1, "a": 2, "z": 3}`, `[2, 1, {"z": 3}]`},
		{"def f(*, only): return only", `7`, "7"},
		{"def f(body: bytes): return body[::-1]", "not JSON", "NOSJ ton"},
		{"import numpy as np\ndef f(x: np.ndarray): return x.mean(axis=0)", `[[1, 2], [3, 4]]`, "[2.0, 3.0]"},
		{
			"from numpy.typing import NDArray\ndef f(x: 'NDArray[float]', k: int): return x.sum() * k",
			`{"x": [1, 2], "k": 3}`, "9",
		},
		{"def f(n: int):\n    for i in range(n):\n        yield {'i': i}", `2`, "{\"i\": 0}\n{\"i\": 1}"},
		{"import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x", `[1]`, "[1]"},
		{"async def f(x):\n    for i in x:\n        yield i", `["a", "b"]`, "a\nb"},
		{
			"json, sys, show, given, body = 1, 2, 3, 4, 5\ndef f(parser): return [json, sys, show, given, body, " +
				"parser]", `6`, "[1, 2, 3, 4, 5, 6]",
		},
	} {
		t.Run(c.function, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "program")
			p := served(t, []string{"%%serve\n" + c.function}, slicer.Options{})
			if err := p.Write(dir); err != nil {
				t.Fatal(err)
			}
			code := filepath.Join(dir, "code")
			if got := runMain(t, code, "", c.input); strings.TrimSpace(got) != c.want {
				t.Errorf("%s\nwith the argument %s: %q, want %q", c.function, c.input, got, c.want)
			}
			if got := runMain(t, code, c.input); strings.TrimSpace(got) != c.want {
				t.Errorf("%s\nwith %s on standard input: %q, want %q", c.function, c.input, got, c.want)
			}
		})
	}
}

// runMain runs a program's main.py in its folder and gives what it prints.
func runMain(t *testing.T, code, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), venv.Python(t), append([]string{"main.py"}, args...)...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stderr = code, strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python main.py %v: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

// served makes the program of a server, whose function is in the last cell.
func served(t *testing.T, cells []string, o slicer.Options) *Program {
	t.Helper()
	s, err := slicer.Of(t.Context(), notebook(cells), o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Make(s, Serve)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
