package flask_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaml/metaml/converter/flask"
	"github.com/metaml/metaml/converter/program"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/venv"
)

var update = flag.Bool("update", false, "write testdata/apps anew")

// notebook cells are separated by lines of three dashes.
func sliced(t *testing.T, cells string) (*slicer.Slice, error) {
	t.Helper()
	d := &session.Document{V: 1, Kind: session.Saved, Source: "digits.ipynb"}
	for i, c := range strings.Split(cells, "\n---\n") {
		d.Cells = append(d.Cells, session.Cell{Seq: i + 1, Source: c})
	}
	return slicer.Of(t.Context(), d, slicer.Options{})
}

func application(t *testing.T, cells string, o flask.Options) string {
	t.Helper()
	s, err := sliced(t, cells)
	if err != nil {
		t.Fatalf("%v\n%s", err, cells)
	}
	text, err := flask.Application(s, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, cells)
	}
	if strings.Contains(text, "import metaml") || strings.Contains(text, "from metaml") {
		t.Errorf("it still imports metaml:\n%s", text)
	}
	return text
}

// request is one request to an application, and the answer that it must get.
type request struct {
	send, want string // body → answer; without a body it is a GET
	kind       string // content type of the body; "" is JSON, "none" is none
	query      string
	status     int    // 0 is 200
	answered   string // content type of the answer; "" is JSON
	at         string // path; "" is the function's
}

func get(query, want string) request { return request{query: query, want: want} }
func post(send, want string) request { return request{send: send, want: want} }
func bad(status int, send, want string) request {
	return request{send: send, status: status, want: want}
}
func (r request) as(kind string) request      { r.kind = kind; return r }
func (r request) answers(kind string) request { r.answered = kind; return r }

const (
	text  = "text/plain; charset=utf-8"
	raw   = "application/octet-stream"
	lines = "application/x-ndjson"
	form  = "application/x-www-form-urlencoded"
)

// TestApplicationsAnswer runs generated applications with Flask and sends them requests.
func TestApplicationsAnswer(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, cells string
		o           flask.Options
		requests    []request
	}{
		{"anything", `
def f(input):
    return {"got": input if not isinstance(input, bytes) else len(input)}`, flask.Options{}, []request{
			post(`[1, {"a": null}]`, `{"got": [1, {"a": null}]}`),
			get("a=1&b=2&b=3", `{"got": {"a": "1", "b": ["2", "3"]}}`),
			post("\x00\x01\x02", `{"got": 3}`).as("image/png"),
			post(`{"a": 1}`, `{"got": {"a": 1}}`).as(form), post(`[2]`, `{"got": [2]}`).as("none"),
			post(`a=1&b=x`, `{"got": {"a": "1", "b": "x"}}`).as(form),
			bad(400, `{"a"`, `{"error": "the body is not JSON: Expecting ':' delimiter: line 1 column 5 (char 4)"}`),
			bad(400, `{"a": 1,}`, `{"error": "the body is not JSON: `).as(form),
			bad(400, strings.Repeat("[", 100000), `{"error": "the body is not JSON: `),
			bad(400, "\"\xff\"", `{"error": "the body is not JSON: 'utf-8' codec can't decode byte 0xff`),
		}},
		{"arguments", `
def f(a, b: int = 2, *, c: float = 0.5, **more):
    return [a, b, c, more]`, flask.Options{}, []request{
			post(`{"a": "x"}`, `["x", 2, 0.5, {}]`),
			post(`{"a": 1, "b": 3, "c": 4, "d": 5}`, `[1, 3, 4.0, {"d": 5}]`),
			get("a=1&b=3&c=1.5", `["1", 3, 1.5, {}]`),
			bad(422, `{"b": 1}`, `{"error": "missing a required argument: 'a'"}`),
			bad(422, `{"a": 1, "b": "3"}`, `{"error": "b must be int, not str"}`),
			bad(422, `{"a": 1, "b": true}`, `{"error": "b must be int, not bool"}`),
			bad(422, `[1]`, `{"error": "the body must be an object, not list"}`),
			bad(415, `x`, `{"error": "the content type must be application/json"}`).as("image/png"),
		}},
		{"no_others", `
def f(a, b):
    return a + b`, flask.Options{}, []request{
			bad(422, `{"a": 1, "b": 2, "c": 3}`, `{"error": "got an unexpected keyword argument 'c'"}`),
		}},
		{"array", `
import numpy as np
---
def f(image: np.ndarray):
    return image * 2`, flask.Options{}, []request{
			post(`[[1, 2], [3, 4]]`, `[[2.0, 4.0], [6.0, 8.0]]`),
			bad(422, `[[1], [2, 3]]`, `{"error": "image must be an array of float: `),
			bad(422, `["a"]`, `{"error": "image must be an array of float: `),
			{query: "image=1", status: 405, want: `{"error": "The method is not allowed for the requested URL."}`},
		}},
		{"typed_array", `
import numpy
from numpy.typing import NDArray

Image = NDArray[numpy.float32]
---
def f(x: "Image", k: int) -> dict:
    return {"type": str(x.dtype), "sum": (x * k).sum()}`, flask.Options{}, []request{
			post(`{"x": [1, 2], "k": 3}`, `{"type": "float32", "sum": 9.0}`),
			bad(422, `{"x": {}, "k": 3}`, `{"error": "x must be an array of float32: `),
		}},
		{"text", `
def f(name: str) -> str:
    return f"Grüße, {name}"`, flask.Options{}, []request{
			post(`"Ada"`, "Grüße, Ada").answers(text),
			bad(422, `1`, `{"error": "name must be str, not int"}`),
		}},
		{"bytes", `
def f(body: bytes) -> bytes:
    return body[::-1]`, flask.Options{}, []request{
			post("abc", "cba").as("image/png").answers(raw), post(`[1]`, "]1[").answers(raw),
			post("--b\r\nContent-Disposition: form-data; name=\"body\"; filename=\"a\"\r\n\r\nabc\r\n--b--\r\n", "cba").
				as("multipart/form-data; boundary=b").answers(raw),
			bad(422, "--b\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\nabc\r\n--b--\r\n",
				`{"error": "body is missing: the form has no file of that name"}`).as("multipart/form-data; " +
				"boundary=b"),
		}},
		{"either", `
def f(x):
    answers = {"text": "hi", "bytes": b"hi", "json": [x]}
    return answers[x]`, flask.Options{}, []request{
			post(`"text"`, "hi").answers(text), post(`"bytes"`, "hi").answers(raw), post(`"json"`, `["json"]`),
		}},
		{"dataclass", `
from dataclasses import dataclass


@dataclass
class Flower:
    width: float
    name: str = "iris"
---
def f(flower: Flower, many: list[Flower] | None = None):
    return [flower, len(many or [])]`, flask.Options{}, []request{
			post(`{"flower": {"width": 1.5}, "many": [{"width": 1}]}`, `[{"width": 1.5, "name": "iris"}, 1]`),
			post(`{"flower": {"width": 1.5}, "many": null}`, `[{"width": 1.5, "name": "iris"}, 0]`),
			bad(422, `{"flower": {"name": "x"}}`, `{"error": "flower: missing a required argument: 'width'"}`),
			bad(422, `{"flower": {"width": 1, "x": 2}}`, `{"error": "flower: got an unexpected keyword argument 'x'"}`),
			bad(422, `{"flower": 3}`, `{"error": "flower must be an object, not int"}`),
			bad(422, `{"flower": {"width": 1}, "many": 3}`, `{"error": "many must be list, not int"}`),
		}},
		{"typed_dict", `
from typing import TypedDict


class Plain(TypedDict):
    width: float


class Flower(Plain, total=False):
    name: str
---
def f(flower: Flower):
    return flower["width"]`, flask.Options{}, []request{
			post(`{"width": 2}`, "2"),
			bad(422, `{"name": "x"}`, `{"error": "flower has no width"}`),
			bad(422, `{"width": 2, "x": 1, "y": 2}`, `{"error": "flower has x, y, which is not expected"}`),
		}},
		{"pydantic_model", `
from pydantic import BaseModel, Field


class Flower(BaseModel):
    width: float = Field(gt=0)


class Rose(Flower):
    thorns: int = 0
---
def f(rose: Rose):
    return rose`, flask.Options{}, []request{
			post(`{"width": 2}`, `{"width": 2.0, "thorns": 0}`), get("width=3", `{"width": 3.0, "thorns": 0}`),
			bad(422, `{"width": -1, "thorns": "x"}`,
				`{"error": "width: Input should be greater than 0; thorns: Input should be a valid integer`),
		}},
		{"pydantic_list", `
from pydantic import BaseModel


class Flower(BaseModel):
    width: float
---
def f(flowers: list[Flower]) -> float:
    return sum(one.width for one in flowers)`, flask.Options{}, []request{
			post(`[{"width": 2}, {"width": 3}]`, "5.0"),
			bad(422, `[{"width": 2}, {}]`, `{"error": "1.width: Field required"}`),
		}},
		{"stream", `
def f(n):
    if n < 0:
        raise ValueError(n)
    for i in range(n):
        yield {"i": i}`, flask.Options{}, []request{
			post("2", "{\"i\": 0}\n{\"i\": 1}\n").answers(lines), post("0", "").answers(lines),
			bad(500, "-1", `{"error": "f failed; the log has the reason under this id", "id": "`),
		}},
		{"stream_text", `
def f(n):
    for i in range(n):
        yield f"{i} "`, flask.Options{}, []request{post("3", "0 1 2 ").answers(text)}},
		{"stream_any", `
def f(parts):
    yield from parts`, flask.Options{}, []request{
			post(`["a", "b"]`, "ab").answers(text), post(`[1, [2]]`, "1\n[2]\n").answers(lines),
		}},
		{"asynchronous", `
import asyncio
---
async def f(x):
    await asyncio.sleep(0.001)
    return x`, flask.Options{}, []request{post("[1]", "[1]")}},
		{"asynchronous_stream", `
async def f(x):
    for i in x:
        yield i.encode()`, flask.Options{}, []request{post(`["a", "b"]`, "ab").answers(raw)}},
		{"batch", `
def f(inputs):
    return [len(inputs) for _ in inputs]`, flask.Options{Batch: true}, []request{post(`"x"`, "1")}},
		{"batch_array", `
import numpy as np


def f(rows: np.ndarray):
    return rows.sum(axis=1)`, flask.Options{Batch: true}, []request{post(`[1, 2]`, "3.0")}},
		{"batch_typed", `
def f(numbers: list[int]):
    return [n + 1 for n in numbers]`, flask.Options{Batch: true}, []request{
			post(`1`, "2"), bad(422, `"1"`, `{"error": "numbers must be int, not str"}`),
		}},
		{"failing", `
def f(x):
    if x:
        return object()
    return 1 / x`, flask.Options{Path: "/other"}, []request{
			bad(500, `0`, `{"error": "f failed; the log has the reason under this id", "id": "`),
			bad(500, `1`, `{"error": "f failed;`),
			{at: "/predict", status: 404, want: `{"error": "The requested URL was not found`},
		}},
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
		{"worded", `
import metaml
from metaml import HTTPError
---
def f(age):
    if age < 0:
        raise HTTPError(422, "age must not be negative")
    if age > 200:
        raise metaml.HTTPError(404, "nobody", headers={"X-Age": "1"})
    if age > 100:
        raise HTTPError(404)
    if age == 0:
        return "new"
    if age == 1:
        return {"age": 1}
    return metaml.Response(b"<p>", type="text/html", status=201)`, flask.Options{
			Path: "/v1/people/a%3Ab:age",
		}, []request{
			bad(422, "-1", `{"error": "age must not be negative"}`), bad(404, "300", `{"error": "nobody"}`),
			bad(404, "101", `{"error": "Not Found"}`),
			bad(201, "2", "<p>").answers("text/html; charset=utf-8"),
			post("0", "new").answers(text), post(`{"age": 1}`, `{"age": 1}`),
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
	dir := t.TempDir()
	var files []string
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
		if golden := filepath.Join("testdata", "apps", c.name+".py"); *update {
			if err := os.WriteFile(golden, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if want, err := os.ReadFile(golden); err != nil || string(want) != code {
			t.Errorf("%s is not what is written now (-update writes it): %v\n%s", golden, err, code)
		}
		files = append(files, file)
	}
	address, log := start(t, dir, regexp.MustCompile(`^(\d+)$`),
		append([]string{venv.Python(t), abs(t, "testdata/serve.py")}, files...)...)
	for _, c := range cases {
		path := cmp.Or(c.o.Path, "/predict")
		for _, r := range c.requests {
			ask(t, "http://127.0.0.1:"+address+"/"+c.name+cmp.Or(r.at, path), r)
		}
	}
	if got := log(); !strings.Contains(got, "ZeroDivisionError: division by zero") ||
		!strings.Contains(got, "object is not JSON serializable") {
		t.Errorf("the log has no reasons:\n%s", got)
	}
}

// ask sends a request and compares the answer; of an error, how it begins.
func ask(t *testing.T, address string, r request) {
	t.Helper()
	method := http.MethodPost
	if r.send == "" {
		method, address = http.MethodGet, address+"?"+r.query
	}
	q, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(r.send))
	if err != nil {
		t.Fatal(err)
	}
	if r.kind != "none" {
		q.Header.Set("Content-Type", cmp.Or(r.kind, "application/json"))
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, status := string(body), cmp.Or(r.status, 200)
	same := got == r.want || status >= 400 && strings.HasPrefix(squeezed(got), squeezed(r.want))
	if kind := a.Header.Get("Content-Type"); a.StatusCode != status || !same ||
		kind != cmp.Or(r.answered, "application/json") {
		t.Errorf("%s %s %.60q: %d %s %q; want %d %s %q", method, address, r.send, a.StatusCode, kind, got, status,
			cmp.Or(r.answered, "application/json"), r.want)
	}
	if strings.Contains(got, "Traceback") {
		t.Errorf("%s: the caller got a traceback: %s", address, got)
	}
}

func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

// start runs a server until the end of the test, gives what the pattern finds in a line that it writes, and what it has
// written so far.
func start(t *testing.T, dir string, address *regexp.Regexp, command ...string) (string, func() string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // gunicorn ends its workers first
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		cancel(errors.New("the test has ended"))
		t.Fatal(err)
	}
	_ = w.Close()
	var mu sync.Mutex
	var log bytes.Buffer
	found, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			mu.Lock()
			log.WriteString(lines.Text() + "\n")
			mu.Unlock()
			if m := address.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1]:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		cancel(errors.New("the test has ended"))
		_ = cmd.Wait()
		<-ended
		_ = r.Close()
	})
	written := func() string {
		mu.Lock()
		defer mu.Unlock()
		return log.String()
	}
	select {
	case a := <-found:
		return a, written
	case <-ended:
		t.Fatalf("%v ended:\n%s", command, written())
	case <-t.Context().Done():
		t.Fatalf("%v did not tell its address:\n%s", command, written())
	}
	return "", nil
}

func abs(t *testing.T, name string) string {
	t.Helper()
	p, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
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

// TestWhatCannotBeExportedIsNamed: errors, with what to do.
func TestWhatCannotBeExportedIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cells string
		batch bool
		want  string
	}{
		{
			"def f(): return 1", false,
			"f has no parameters, and a request has to go somewhere\nGive it one: def f(input).",
		},
		{
			"def f(a, /, b): return 1", false,
			"parameter a of f has no name for callers (it stands before a /), and its value comes by name\nLeave out " +
				"the / in the parameters of f.",
		},
		{
			"def f(a, b): return 1", true,
			"f has 2 parameters, and with --batch a function gets one list of inputs\nWrite def f(inputs):, where " +
				"each input is an object.",
		},
		{
			"def f(a):\n    yield a", true,
			"f is a generator, which answers one input, and has --batch\nLeave out --batch, or return a list.",
		},
		{
			"import lib\nclient = await lib.connect()\ndef f(a): return client", false,
			"cell 1, line 3, awaits outside of a function (client = await lib.connect()), and a Flask application " +
				"has no loop for that\nDo it inside of the function.",
		},
		{
			"import metaml\ndef f(a):\n    return metaml.run('x').best().output", false,
			"cell 1, line 4, uses metaml.run, which needs MetaML and cannot be in a plain application\nLeave it out, " +
				"or load what it gives from the folder metaml.model().",
		},
		{
			"from metaml import runs\ndef f(a): return runs()", false,
			"cell 1, line 3, uses metaml.runs, which needs MetaML and cannot be in a plain application\nLeave it " +
				"out, or load what it gives from the folder metaml.model().",
		},
		{
			"from datetime import datetime\ndef f(when: datetime): return 1", false,
			"parameter when of f (datetime) is of a class that the application would not know how to make from " +
				"JSON\nTake what JSON has, such as a dict, or use a pydantic model.",
		},
		{
			"from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n@dataclass\nclass B:\n    a: A\n" +
				"def f(b: B): return 1",
			false,
			"parameter b of f (B) has the field a (A), and the application makes a B of plain values alone\n" +
				"Take what JSON has, such as a dict, or use a pydantic model.",
		},
		{
			"import numpy as np\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n" +
				"def f(b: 'A | np.ndarray'): return 1",
			false,
			"parameter b of f ('A | np.ndarray') may be made in several ways, and the application cannot tell which\n" +
				"Take what JSON has, such as a dict, or use a pydantic model.",
		},
		{
			"def f(a: bytes, b): return 1", false,
			"parameter a of f (bytes) is bytes beside other parameters, and a body that is bytes has no fields\nTake " +
				"what JSON has, such as a dict, or use a pydantic model.",
		},
	} {
		t.Run(c.cells, func(t *testing.T) {
			t.Parallel()
			s, err := sliced(t, "%%serve\n"+c.cells)
			if err != nil {
				t.Errorf("%s: %v", c.cells, err)
				return
			}
			_, err = flask.Application(s, flask.Options{Batch: c.batch})
			if _, ok := errors.AsType[*usererror.Error](err); !ok || err.Error() != c.want {
				t.Errorf("%s:\n%v\nwant\n%s", c.cells, err, c.want)
			}
		})
	}
}

func TestAPathWithAParameterIsNotExported(t *testing.T) {
	t.Parallel()
	s, err := sliced(t, "%%serve\ndef f(id): return 1")
	if err != nil {
		t.Fatal(err)
	}
	const want = "--url /items/{id} has a parameter of f, which the application would not take from there\nGive it a " +
		"path without braces."
	if _, err = flask.Application(s, flask.Options{Path: "/items/{id}"}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// FuzzApplication: whatever can be sliced is written or refused, and never panics.
func FuzzApplication(f *testing.F) {
	for _, seed := range []string{
		"import metaml as m\nx = m.model('a')\ndef f(a: 'int | None', *b, c=1, **d) -> str:\n    return m.report(1)",
		"from dataclasses import dataclass as d\n@d(frozen=True)\nclass A(B[int]):\n    x: list['A']\ndef f(a: A): " +
			"yield a",
		"import numpy as np, a.b as b\nT = np.ndarray[1, np.dtype[np.int8]]\nasync def f(a: T | list[T]): return [a] " +
			"if a else (b'x')",
		"class A(B, A, T): pass\nclass B(A, B): pass\nT = list['T | A | B']\ndef f(a: 'A | T', b: dict[T, A]): " +
			"return a",
		"import os\nos.environ['a'] = 'b'\nfrom x import *\nfrom .y import z as z\nclass P(pydantic.BaseModel): " +
			"pass\ndef f(a: dict[str, P], /): return a",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, src string, batch bool) {
		d, err := session.FromScript([]byte(src), "")
		if err != nil {
			return
		}
		d.Cwd = ""
		s, err := slicer.Of(t.Context(), d, slicer.Options{})
		if err != nil {
			return
		}
		_ = flask.UsesModel(s)
		_, _ = flask.Application(s, flask.Options{Batch: batch})
	})
}
