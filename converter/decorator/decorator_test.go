package decorator_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/converter/decorator"
	"github.com/metaml/metaml/internal/usererror"
)

func TestDecoratorsAreReadWithoutRunning(t *testing.T) {
	for _, c := range []struct {
		name, src string
		want      []decorator.Entry
	}{
		{"none", "def f(): pass", nil},
		{
			"without settings",
			"from metaml import Train\n\n@Train\ndef f(): pass",
			[]decorator.Entry{
				{Function: "f", Kind: "train", Line: 3, Settings: map[string]any{}},
			},
		},
		{
			"with settings and others around it",
			"import metaml as mm\n@mm.Train(settings={'parallelism': 4, 'hyper_parameters': draw(), 'tensorboard': " +
				"True}, package={'name': 'x', 'publish': False})\n@other\ndef f(a): pass",
			[]decorator.Entry{
				{
					Function: "f", Kind: "train", Line: 2, Settings: map[string]any{
						"parallelism": "4", "hyper_parameters": "draw", "tensorboard": "true", "package.name": "x",
						"package.publish": "false",
					},
				},
			},
		},
		{
			"two by other names",
			"from metaml import Serve as S, Train as T\n@S({'url': \"/p\"})\ndef g(x): pass\n@T({'with': ['a', " +
				"'b']})\ndef f(): pass",
			[]decorator.Entry{
				{Function: "g", Kind: "serve", Line: 2, Settings: map[string]any{"url": "/p"}},
				{Function: "f", Kind: "train", Line: 4, Settings: map[string]any{"with": []any{"a", "b"}}},
			},
		},
		{
			"an example",
			"from metaml import Serve\n@Serve(settings={'url': '/p'}, port=8080, example=[1, {'a': None}])\n" +
				"def f(x): pass",
			[]decorator.Entry{
				{
					Function: "f", Kind: "serve", Line: 2, Settings: map[string]any{
						"url": "/p", "port": "8080", "example": `[1,{"a":null}]`,
					},
				},
			},
		},
		{
			"lists and dicts",
			"from metaml import Train\n@Train(env={'A': 1_0, 'B': None, 'C': True}, mount=('pvc:a:/a',), cpu=0.5)\n" +
				"def f(): pass",
			[]decorator.Entry{
				{
					Function: "f", Kind: "train", Line: 2, Settings: map[string]any{
						"env":   map[string]any{"A": json.Number("10"), "B": nil, "C": true},
						"mount": []any{"pvc:a:/a"}, "cpu": "0.5",
					},
				},
			},
		},
		{"of another module", "from elsewhere import Train\n@Train\ndef f(): pass", nil},
		{"a syntax error", "def f(:", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decorator.Find(c.src)
			if err != nil {
				t.Error(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
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
		t.Run(src, func(t *testing.T) {
			entries, err := decorator.Find("from metaml import Serve\n@Serve(settings={'example': " + src +
				"})\ndef f(x): pass")
			if want == "" {
				if err == nil {
					t.Errorf("got %+v", entries)
				}
				return
			}
			if err != nil || len(entries) != 1 || entries[0].Settings["example"] != want {
				t.Errorf("got %+v, %v; want %s", entries, err, want)
			}
		})
	}
}

func TestWhatIsComputedIsRefused(t *testing.T) {
	for name, value := range map[string]string{
		"parallelism": "cores() * 2", "with": "[a]", "env": "{'A': f'{x}'}", "hyper_parameters": "[{'a': 1}]",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decorator.Find("from metaml import Train\n@Train(settings={'" + name + "': " + value +
				"})\ndef f(): pass")
			var c *usererror.Error
			if !errors.As(err, &c) || c.Line != 2 ||
				c.Text != `the decorator of f has "`+name+`" as something that is only known when the script runs` {
				t.Errorf("got %v", err)
			}
		})
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
