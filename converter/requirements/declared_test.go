package requirements_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/requirements"
	"github.com/metaml/metaml/test/venv"
)

func TestDeclared(t *testing.T) {
	const found = "# /// script\n# dependencies = [\n#   \"a>=1\",\n# ]\n#\n# requires-python = \">=3.11\"\n# ///\n"
	unended := strings.TrimSuffix(found, "\n")
	windows := strings.ReplaceAll(found, "\n", "\r\n")
	for _, c := range []struct{ name, source, block, want string }{
		{"alone", found, found, ">=3.11 a>=1"},
		{"among code", "#!/usr/bin/python\n\n" + found + "import a\n", found, ">=3.11 a>=1"},
		{"with a last line that does not end", unended, unended, ">=3.11 a>=1"},
		{"with lines of Windows", windows, windows, ">=3.11 a>=1"},
		{"empty", "# /// script\n#\n# ///\n", "# /// script\n#\n# ///\n", ""},
		{"of another type", strings.Replace(found, "script", "other", 1), "", "none"},
		{"without an end", strings.Replace(found, "# ///\n", "", 1), "", "none"},
		{"with code inside", strings.Replace(found, "#\n", "x = 1\n", 1), "", "none"},
		{"indented", strings.ReplaceAll(found, "# ", " # "), "", "none"},
		{"none", "import a\n", "", "none"},
		{"twice", found + "x = 1\n" + found, "", "inline metadata stands twice, in line 1 and line 9"},
		{"no TOML", "x = 1\n# /// script\n# a = \n# ///\n", "", "the inline metadata in line 2 cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := requirements.Declared(c.source)
			switch {
			case err != nil:
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
			case got == nil:
				if c.want != "none" {
					t.Errorf("none, want %q", c.want)
				}
			default:
				said := strings.TrimSpace(got.Python + " " + strings.Join(got.Dependencies, " "))
				if said != c.want || c.source[got.Start:got.End] != c.block {
					t.Errorf("%q of %q, want %q of %q", said, c.source[got.Start:got.End], c.want, c.block)
				}
			}
		})
	}
}

// What a notebook declares counts as what it asks pip for, and the block that is written says the same again.
func TestDeclaredDependenciesAreResolved(t *testing.T) {
	e := newEnvironment(t)
	e.install("a", nil, one("a.py"))
	asked := []requirements.Asked{
		{Kind: requirements.Inline, Text: "a >= 0.5 ; python_version >= '3'"}, {Kind: requirements.Inline, Text: "b>2"},
	}
	set := e.resolve("import a", asked...)
	if got := strings.Join(lines(set.Requirements()), "|"); got != "a==1.0|b>2" {
		t.Errorf("%q", got)
	}
	s := requirements.Script{Asked: asked, Python: ">=3.11, <4"}
	text := block(t, alone(t, s), "")
	read, err := requirements.Declared("\n" + text)
	if err != nil {
		t.Fatal(err)
	}
	want := &requirements.Declaration{
		Start: 1, End: 1 + len(text), Python: ">=3.11,<4",
		Dependencies: []string{"a>=0.5 ; python_version >= '3'", "b>2"},
	}
	if !reflect.DeepEqual(read, want) {
		t.Errorf("%+v, want %+v", read, want)
	}
	var peps map[string]any
	script := write(t, 0o644, text, t.TempDir(), "script.py")
	if err := json.Unmarshal([]byte(runPython(t, venv.Python(t), readInline, script)), &peps); err != nil {
		t.Fatal(err)
	}
	if peps["requires-python"] != read.Python {
		t.Errorf("by the PEP's own code %q", peps["requires-python"])
	}
}
