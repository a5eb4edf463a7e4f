package flask_test

import (
	"cmp"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/flask"
	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/test/venv"
)

// example is a function in the cells of a notebook, and what its application answers.
type example struct {
	name, cells string
	o           flask.Options
	requests    []request
}

// programs are functions by what is around them.
var programs = []example{
	{"healthy", `
def f(x):
    return x`, flask.Options{}, []request{{at: "/healthz", want: "ok\n", answered: "text/html; charset=utf-8"}}},
	{"our_names", `
import json as request

app, answer, json, Response, sys = 1, 2, 3, 4, 5
---
def f(check, respond):
    return request.dumps([app, answer, json, Response, sys, check, respond])`, flask.Options{}, []request{
		post(`{"check": 6, "respond": 7}`, `[1, 2, 3, 4, 5, 6, 7]`).answers(text),
	}},
	{"stand_ins", `
import metaml
from metaml import output
from metaml import report as tell

folder = metaml.model("a-run")
---
def f(x):
    tell(loss=x)
    (output() / "x").write_text("kept")
    metaml.checkpoint()
    assert metaml.seed() == metaml.seed() > 0
    assert metaml.trial() is metaml.attempt() is None
    return [str(folder), str(metaml.model()), (output() / "x").read_text()]`, flask.Options{}, []request{
		post("0", `["model", "model", "kept"]`),
	}},
	{"order", `
# The cells of a notebook are not in the order of a file.
numbers = [3, 4]  # before what imports
---
import os, random
---
os.environ["COLOUR"] = "blue"
---
import colorsys
import email.message as message


def mail():
    return message.Message()
---
def f(x):
    """How blue it is."""
    mail()
    return [os.environ["COLOUR"], colorsys.rgb_to_hsv(0, 0, x)[2], max(numbers)]`, flask.Options{
		Port: 80, Host: "0.0.0.0", Workers: 3, File: "blue_app.py",
	}, []request{
		post("1", `["blue", 1, 4]`),
	}},
}

// TestApplicationsAnswer runs generated applications with Flask and sends them requests.
func TestApplicationsAnswer(t *testing.T) { //nolint:tparallel // the log is read when all have answered
	t.Parallel()
	cases := slices.Concat(inputs, outputs, programs)
	dir := t.TempDir()
	var codes, files []string
	for _, c := range cases {
		file := filepath.Join(dir, c.name+".py")
		cells := strings.TrimPrefix(c.cells, "\n")
		if i := strings.LastIndex(cells, "\n---\n"); i >= 0 {
			cells = cells[:i+5] + "%%serve\n" + cells[i+5:]
		} else {
			cells = "%%serve\n" + cells
		}
		code := application(t, cells, c.o)
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		codes, files = append(codes, code), append(files, file)
	}
	address, log := start(t, dir, regexp.MustCompile(`^(\d+)$`),
		append([]string{venv.Python(t), abs(t, "testdata/serve.py")}, files...)...)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			compareOrUpdate(t, filepath.Join("testdata", "apps", c.name+".py"), codes[i])
			path := cmp.Or(c.o.Path, "/predict")
			for _, r := range c.requests {
				ask(t, "http://127.0.0.1:"+address+"/"+c.name+cmp.Or(r.at, path), r)
			}
		})
	}
	if got := log(); !strings.Contains(got, "ZeroDivisionError: division by zero") ||
		!strings.Contains(got, "object is not JSON serializable") {
		t.Errorf("the log has no reasons:\n%s", got)
	}
}

// TestItRunsByItselfAndUnderGunicorn: the pickle that the application loads names a class of the training's __main__.
func TestItRunsByItselfAndUnderGunicorn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	training, err := sliced(t, `import joblib
class Doubler:
    def predict(self, x):
        return 2 * x
---
%%train
def train():
    joblib.dump(Doubler(), "doubler.joblib")`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := program.Make(training, program.Train)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(filepath.Join(dir, "program")); err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(dir, "model")
	if err := os.Mkdir(model, 0o700); err != nil {
		t.Fatal(err)
	}
	train := exec.CommandContext(t.Context(), venv.Python(t), filepath.Join(dir, "program", "code", "main.py"))
	train.Dir = model
	if out, err := train.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := &session.Document{V: 1, Kind: session.Saved, Source: "doubler.ipynb", Cells: []session.Cell{
		{Seq: 1, Source: "import joblib\nimport metaml\n\ndoubler = joblib.load(metaml.model() / \"doubler.joblib\")"},
		{Seq: 2, Source: "%%serve\ndef double(x: int):\n    return doubler.predict(x)"},
	}}
	server, err := slicer.Of(t.Context(), d, slicer.Options{Definitions: filepath.Join(dir, "program", "code")})
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	code, err := flask.Application(server, flask.Options{Port: port, File: "doubler_app.py"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "doubler_app.py"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	// The model's folder is ./model, since MODEL is not set.
	for _, command := range [][]string{
		{venv.Python(t), "doubler_app.py"},
		{venv.Python(t), "-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "2", "doubler_app:app"},
	} {
		address, log := start(t, dir, regexp.MustCompile(`(?:Running on|Listening at:) http://(127\.0\.0\.1:\d+)`),
			command...)
		ask(t, "http://"+address+"/predict", post("21", "42"))
		if t.Failed() {
			t.Fatalf("%v:\n%s\n%s", command, log(), code)
		}
	}
}
