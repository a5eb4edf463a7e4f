package decorator_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/converter/decorator"
	"github.com/metaml/metaml/internal/usererror"
)

func TestDecoratorsAreReadWithoutRunning(t *testing.T) {
	for src, want := range map[string][]decorator.Entry{
		"def f(): pass": nil,
		"from metaml import Train\n\n@Train\ndef f(): pass": {
			{Function: "f", Kind: "train", Line: 3, Settings: map[string]string{}},
		},
		"import metaml as mm\n@mm.Train(settings={'parallelism': 4, 'hyper_parameters': draw(), 'tensorboard': " +
			"True}, package={'name': 'x', 'publish': False})\n@other\ndef f(a): pass": {
			{
				Function: "f", Kind: "train", Line: 2, Settings: map[string]string{
					"parallelism": "4", "hyper_parameters": "draw", "tensorboard": "true", "package.name": "x",
					"package.publish": "false",
				},
			},
		},
		"from metaml import Serve as S, Train as T\n@S({'url': \"/p\"})\ndef g(x): pass\n@T({'with': ['a', " +
			"'b']})\ndef f(): pass": {
			{Function: "g", Kind: "serve", Line: 2, Settings: map[string]string{"url": "/p"}},
			{Function: "f", Kind: "train", Line: 4, Settings: map[string]string{"with": "a,b"}},
		},
		"from metaml import Serve\n@Serve(settings={'url': '/p'}, port=8080, example=[1, {'a': None}])\ndef f(x): " +
			"pass": {
			{
				Function: "f", Kind: "serve", Line: 2, Settings: map[string]string{
					"url": "/p", "port": "8080", "example": `[1,{"a":null}]`,
				},
			},
		},
		"from elsewhere import Train\n@Train\ndef f(): pass": nil,
		"def f(:": nil,
	} {
		got, err := decorator.Find(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", src, d)
		}
	}
}

func TestAnExampleBecomesJSON(t *testing.T) {
	for src, want := range map[string]string{
		`[0, 1, -2.50, 1_000, 0x1f, 1e3]`:               `[0,1,-2.5,1000,31,1000]`,
		`{'a': 1, "b": [True, None], 'c': {'d': 'é"'}}`: `{"a":1,"b":[true,null],"c":{"d":"é\""}}`,
		`()`:            `[]`,
		`7`:             `7`,
		`'{"a": 1}'`:    `{"a": 1}`,
		`sample`:        `sample`,
		`{'a': sample}`: "", `[f()]`: "", `{1: 2}`: "", `[b'x']`: "", `[~1]`: "", `{**a}`: "",
	} {
		entries, err := decorator.Find("from metaml import Serve\n@Serve(settings={'example': " + src +
			"})\ndef f(x): pass")
		if want == "" {
			if err == nil {
				t.Errorf("%s: %+v", src, entries)
			}
			continue
		}
		if err != nil || len(entries) != 1 || entries[0].Settings["example"] != want {
			t.Errorf("%s: %+v, %v; want %s", src, entries, err, want)
		}
	}
}

func TestWhatIsComputedIsRefused(t *testing.T) {
	_, err := decorator.Find("from metaml import Train\n@Train(settings={'parallelism': cores() * 2})\ndef f(): pass")
	var c *usererror.Error
	if !errors.As(err, &c) || c.Line != 2 ||
		c.Text != `the decorator of f has "parallelism" as something that is only known when the script runs` {
		t.Errorf("got %v", err)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("from metaml import Train\n@Train(settings={'a': [1, x()]})\ndef f(): pass")
	f.Add("from metaml import Serve\n@Serve({'example': {'a': [-1, 'b', None]}})\ndef f(): pass")
	f.Add("from metaml import Serve\n@Serve(url=, port=x, example={'a'})\ndef f(): pass")
	f.Add("@Train(**x)\nclass A: pass")
	f.Add("import metaml\n@metaml.Train({**a}, settings=3, package=)\ndef f(): pass")
	f.Fuzz(func(_ *testing.T, src string) { _, _ = decorator.Find(src) })
}
