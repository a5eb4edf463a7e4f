package flask_test

import (
	"errors"
	"testing"

	"github.com/metaml/metaml/converter/flask"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/internal/usererror"
)

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
