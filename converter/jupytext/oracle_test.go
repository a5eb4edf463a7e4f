package jupytext

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/test/venv"
)

// asked is a document with the format that jupytext shall write it in.
type asked struct {
	Document string `json:"document"`
	Format   string `json:"format"`
}

// askJupytext gives jupytext's text of documents, "" where it fails. One process answers for all.
func askJupytext(t *testing.T, documents []asked) []string {
	t.Helper()
	const script = `
import json, sys, warnings
import jupytext, nbformat
warnings.simplefilter("ignore")
answers = []
for asked in json.load(sys.stdin):
    try:
        fmt = asked["format"]
        if fmt.startswith("all "):
            fmt = {"cell_metadata_filter": "all", "notebook_metadata_filter": "all",
                   **jupytext.formats.long_form_one_format(fmt[4:])}
        text = jupytext.writes(nbformat.reads(asked["document"], 4), fmt=fmt)
        answers.append(text if text.endswith("\n") else text + "\n")
    except Exception:
        answers.append("")
json.dump(answers, sys.stdout)
`
	var texts []string
	venv.Ask(t, venv.Python(t), []string{"-c", script}, documents, &texts)
	return texts
}

// inLanguage makes a document one of another language's kernel.
func inLanguage(d *nbformat.Document, name, extension string) {
	spec, info := nbformat.ObjectValue(), nbformat.ObjectValue()
	spec.Set("display_name", nbformat.StringValue(name))
	spec.Set("language", nbformat.StringValue(name))
	spec.Set("name", nbformat.StringValue("k"))
	info.Set("name", nbformat.StringValue(name))
	info.Set("file_extension", nbformat.StringValue(extension))
	d.Metadata().Set("kernelspec", spec)
	d.Metadata().Set("language_info", info)
}

func TestTextIsJupytexts(t *testing.T) {
	everything := regexp.MustCompile(`(?m)^(# )?    (cell|notebook)_metadata_filter: all\n`)
	like := Options{LikeJupytext: true}
	for _, c := range []struct {
		name, format string
		options      Options
		write        func(*nbformat.Document, Options) ([]byte, error)
		read         func([]byte, Options) (*nbformat.Document, error)
		language     [2]string
		documents    uint64
	}{
		{"percent", "py:percent", like, Percent, FromPercent, [2]string{}, 1500},
		{"all of percent", "all py:percent", Options{}, Percent, FromPercent, [2]string{}, 800},
		{"all of markdown", "all md", Options{}, Markdown, FromMarkdown, [2]string{}, 800},
		{"markdown", "md", like, Markdown, FromMarkdown, [2]string{}, 1500},
		{"R", "auto:percent", like, Percent, FromPercent, [2]string{"R", ".r"}, 200},
		{"julia", "auto:percent", like, Percent, FromPercent, [2]string{"julia", ".jl"}, 200},
		{"scala", "auto:percent", like, Percent, FromPercent, [2]string{"scala", ".scala"}, 200},
		{"bash", "auto:percent", like, Percent, FromPercent, [2]string{"bash", ".sh"}, 200},
		{"C++", "auto:percent", like, Percent, FromPercent, [2]string{"C++17", ".cpp"}, 200},
		{"javascript", "auto:percent", like, Percent, FromPercent, [2]string{"javascript", ".js"}, 200},
		{"C#", "auto:percent", like, Percent, FromPercent, [2]string{"C#", ".cs"}, 200},
		{"ocaml", "auto:percent", like, Percent, FromPercent, [2]string{"OCaml", ".ml"}, 200},
		{"rust", "auto:percent", like, Percent, FromPercent, [2]string{"rust", ".rs"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			var documents []*nbformat.Document
			var questions []asked
			for seed := range c.documents {
				d := newGenerator(seed).document(false)
				if c.language[0] != "" {
					inLanguage(d, c.language[0], c.language[1])
				}
				documents = append(documents, d)
				questions = append(questions, asked{string(d.Bytes()), c.format})
			}
			differ := 0
			for i, want := range askJupytext(t, questions) {
				got, err := c.write(documents[i], c.options)
				if err != nil {
					t.Fatal(err)
				}
				if !c.options.LikeJupytext {
					want = everything.ReplaceAllString(want, "")
				}
				if string(got) == want {
					continue
				}
				if c.name == "all of markdown" {
					// A cell stands between comments also where only another one behind it would ask for that.
					differ++
					continue
				}
				if !c.options.LikeJupytext {
					// They differ only where jupytext's text is not that of the same notebook.
					back, err := c.read([]byte(want), Options{})
					if err != nil || !contents(t, back).same(contents(t, documents[i])) {
						differ++
						continue
					}
				}
				t.Errorf("seed %d:\n%s\njupytext:\n%s", i, got, want)
			}
			if differ > len(documents)/4 {
				t.Errorf("%d of %d texts differ from jupytext's", differ, len(documents))
			}
		})
	}
}

// The notebooks of our examples and of the packages that the tests install.
func TestRealNotebooks(t *testing.T) {
	var questions []asked
	var names []string
	for _, folder := range []string{"../../examples", filepath.Dir(filepath.Dir(venv.Python(t)))} {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".ipynb" {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if d, err := nbformat.Parse(data); err == nil {
				if major, _ := d.Version(); major == 4 {
					questions = append(questions, asked{string(data), "py:percent"}, asked{string(data), "md"})
					names = append(names, path)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(names) < 5 {
		t.Fatalf("only %d notebooks", len(names))
	}
	for i, want := range askJupytext(t, questions) {
		d := notebookOf(t, questions[i].Document)
		write, read := Percent, FromPercent
		if i%2 == 1 {
			write, read = Markdown, FromMarkdown
		}
		got, err := write(d, Options{LikeJupytext: true, Extension: ".py"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s as %s (-jupytext +ours)\n%s", names[i/2], questions[i].Format, diff)
		}
		exact, err := write(d, Options{})
		if err != nil {
			t.Fatal(err)
		}
		back, err := read(exact, Options{Extension: Extension(d)})
		if err != nil {
			t.Fatal(err)
		}
		if !contents(t, back).same(contents(t, d)) {
			t.Errorf("%s as %s does not come back", names[i/2], questions[i].Format)
		}
	}
	t.Logf("%d notebooks", len(names))
}
