package requirements_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/metaml/metaml/converter/requirements"
)

// alone resolves without an interpreter.
func alone(t *testing.T, s requirements.Script) *requirements.Set {
	t.Helper()
	set, err := s.Resolve(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// lines gives the lines of requirements.txt that are no comments.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

func TestWhatANotebookAsksPipFor(t *testing.T) {
	for _, c := range []struct{ name, text, want, note string }{
		{"a name", "pandas", "pandas", ""},
		{"in another spelling", "Ruamel.YAML", "ruamel-yaml", ""},
		{"quiet and newer", "-q -U --no-cache-dir pandas", "pandas", ""},
		{"several", "a b==1.0 c", "a|b==1.0|c", ""},
		{"with the word itself", "install a", "a", ""},
		{"quoted", `"a>=1,<2" 'b[x,y]~=1.4'`, "a>=1,<2|b[x,y]~=1.4", ""},
		{"as a shell would not read it", "a>=1 b<2 c > log.txt", "a>=1|b<2|c", ""},
		{"into nothing", "a 2>/dev/null", "a", ""},
		{"and then", "a && echo done", "a", ""},
		{"and then without blanks", "a; rm x", "a", ""},
		{"with a comment", "a # for plots", "a", ""},
		{"a marker", `"a; sys_platform == 'win32'"`, "a ; sys_platform == 'win32'", ""},
		{"options with values", "--target lib -c c.txt --timeout=5 --progress-bar off a", "a", "pip install -c c.txt"},
		{
			"a file", "-r more.txt", "",
			"pip install -r more.txt (cell 1, line 2): what the file asks for is not in here",
		},
		{"a file without a blank", "-rmore.txt", "", "pip install -r more.txt"},
		{"a folder", ".", "", "pip install . (cell 1, line 2): the folder is on one machine alone"},
		{"an editable folder", "-e ../mine", "", "pip install ../mine"},
		{"a wheel here", "a-1.0-py3-none-any.whl", "", "the file is on one machine alone"},
		{"a wheel there", "https://x.org/b_c-1.0-py3-none-any.whl", "b-c @ https://x.org/b_c-1.0-py3-none-any.whl", ""},
		{"an index", "a -i https://x.org/simple", "--extra-index-url https://x.org/simple|a", ""},
		{
			"a login", "--extra-index-url=https://me:secret@x.org/simple a",
			"--extra-index-url https://x.org/simple|a", "https://x.org/simple needs a login, which is left out",
		},
		{
			"a repository", "git+https://github.com/a/My_Tool.git", "my-tool @ git+https://github.com/a/My_Tool.git",
			"my-tool is taken for the name of what git+https://github.com/a/My_Tool.git has",
		},
		{"a revision", "git+https://github.com/a/b@v1.0#egg=c", "c @ git+https://github.com/a/b@v1.0", ""},
		{
			"a folder in it", "'git+https://x.org/a/b#egg=c&subdirectory=d'",
			"c @ git+https://x.org/a/b#subdirectory=d",
			"",
		},
		{"by its name", "'c @ git+ssh://git@x.org/a/b.git@main'", "c @ git+ssh://git@x.org/a/b.git@main", ""},
		{"a repository to edit", "-e git+https://x.org/a/b#egg=c", "c @ git+https://x.org/a/b", ""},
		{"a value", "{name} a", "a", "pip install {name} (cell 1, line 2): it depends on a value of the notebook"},
		{"a variable", "$NAME", "", "it depends on a value"},
		{"no requirement", "'a b'", "", "that is no requirement"},
		{"pre-releases", "--pre a", "--pre|a", ""},
		{"the later one", "a==1 a==2", "a==2", ""},
		{"an unfinished quote", "'a", "a", ""},
		{"nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := []requirements.Asked{{Kind: requirements.Pip, Text: c.text, Cell: 1, Line: 2}}
			set := alone(t, requirements.Script{Asked: asked})
			if got := strings.Join(lines(set.Requirements()), "|"); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			notes := strings.Join(set.Notes, "\n")
			if (c.note == "") != (notes == "") || !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			if strings.Contains(set.Requirements(), "secret") {
				t.Errorf("a password is in:\n%s", set.Requirements())
			}
		})
	}
}

func TestWhatIsNotOfAnIndexStandsInComments(t *testing.T) {
	text := alone(t, requirements.Script{Asked: []requirements.Asked{
		{Kind: requirements.Conda, Text: "-y -c conda-forge  gdal", Cell: 3},
		{Kind: requirements.Apt, Text: "-y ffmpeg\nrm -rf x", Line: 4},
	}}).Requirements()
	for _, want := range []string{
		"# conda install -y -c conda-forge gdal (cell 3)\n", "# apt-get install -y ffmpeg rm -rf x (line 4)\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if got := lines(text); got != nil {
		t.Errorf("to install: %q", got)
	}
}

// Whatever a notebook has, each line of requirements.txt is a comment, an option that is known or a requirement.
func FuzzAsked(f *testing.F) {
	f.Add("-q 'a[b]>=1; os_name == \"nt\"' 'git+https://x.org/y@z#egg=w&subdirectory=v' -i https://u:p@x.org", "a")
	f.Add("\"a\n-e .\" a\u2028b 'c @ https://x\u0085y'", "b.c")
	line := regexp.MustCompile(`^(--pre|--(extra-index-url|find-links) https?://[^\s]+|` +
		`[a-z0-9]([a-z0-9-]*[a-z0-9])?(\[[a-z0-9,-]+\])?( @ [^\s]+|[<>=!~][^\s]*)?( ; .+)?)$`)
	f.Fuzz(func(t *testing.T, text, module string) {
		s := requirements.Script{
			Imports: []requirements.Import{{Module: module, Line: 1}},
			Asked:   []requirements.Asked{{Kind: requirements.Pip, Text: text}, {Kind: requirements.Apt, Text: text}},
		}
		set := alone(t, s)
		out := set.Requirements()
		if strings.ContainsFunc(out, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
			t.Errorf("a control character is in %q", out)
		}
		for _, got := range lines(out) {
			if !line.MatchString(got) {
				t.Errorf("%q of %q", got, text)
			}
		}
		inline, err := set.Inline("")
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Split(strings.TrimSuffix(inline, "\n"), "\n")
		if slices.ContainsFunc(all, func(l string) bool { return !strings.HasPrefix(l, "#") }) ||
			slices.Index(all[1:], "# ///") != len(all)-2 {
			t.Errorf("no block:\n%s", inline)
		}
	})
}

func TestNamesWithoutAnInterpreter(t *testing.T) {
	for _, c := range []struct{ name, source, want, note string }{
		{"its own", "import numpy", "numpy", ""},
		{
			"another", "import sklearn.svm, cv2, yaml, bs4, PIL.Image",
			"beautifulsoup4|opencv-python|pillow|pyyaml|scikit-learn",
			"",
		},
		{"an underscore", "import pytorch_lightning", "pytorch-lightning", ""},
		{"of Python", "import os.path, json, sqlite3, zoneinfo", "", ""},
		{
			"a namespace", "from google.cloud import storage, bigquery_v2",
			"google-cloud-bigquery|google-cloud-storage",
			"",
		},
		{"a part", "from google import protobuf\nimport azure.storage.blob", "azure-storage-blob|protobuf", ""},
		{"its classes", "from azure.identity import DefaultAzureCredential", "azure-identity", ""},
		{"nothing of it", "import google", "", "import google, line 1: nothing says which distribution has it"},
		{"of a service", "from google.colab import drive\nimport kaggle_secrets", "", "Colab alone has that module"},
		{
			"optional", "try:\n  import cupy\nexcept ImportError:\n  pass", "",
			"import cupy, line 2, optional: cupy is left out",
		},
		{"local", "import mine, mine.sub", "", ""},
		{"no name", "import naïve", "", "nothing says which distribution has it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			imports, err := requirements.Imports(c.source)
			if err != nil {
				t.Fatal(err)
			}
			set := alone(t, requirements.Script{Imports: imports, Local: []string{"mine"}})
			text := set.Requirements()
			if got := strings.Join(lines(text), "|"); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if notes := strings.Join(set.Notes, "\n"); !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			if got, want := strings.Count(text, "    # unpinned\n"), len(lines(text)); got != want {
				t.Errorf("%d of %d are marked as unpinned", got, want)
			}
		})
	}
}

// What a cell installs says which of the distributions is meant that bring a module, and in which version.
func TestAnImportIsWhatPipWasAskedFor(t *testing.T) {
	set := alone(t, requirements.Script{
		Imports: []requirements.Import{{Module: "cv2", Line: 7}, {Module: "psycopg2", Line: 8, Optional: true}},
		Asked:   []requirements.Asked{pip("opencv-python-headless==4.9.0.80 psycopg2")},
	})
	want := `opencv-python-headless==4.9.0.80
    # pip install, cell 1; import cv2, line 7
psycopg2
    # pip install, cell 1; import psycopg2, line 8, optional
    # unpinned
`
	if got := set.Requirements(); !strings.HasSuffix(got, "\n\n"+want) {
		t.Errorf("got:\n%s\nwant at its end:\n%s", got, want)
	}
}
