package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/test/venv"
)

var update = flag.Bool("update", false, "write the scripts of testdata/corpus, and the table of the docs, anew")

// mark is the line over a cell in the archives: # %% [markdown] tags=["a"] count=3.
var mark = regexp.MustCompile(`^# %%(?: \[(markdown|raw)\])?(?: tags=(\[.*\]))?(?: count=(\d+))?$`)

// ofText makes the notebook that an archive has as text.
func ofText(t *testing.T, text string, crlf bool) []byte {
	t.Helper()
	cells := []map[string]any{}
	var lines []string
	var cell map[string]any
	end := func() {
		if cell != nil {
			cell["source"] = strings.Join(lines, "\n")
			if crlf {
				cell["source"] = strings.Join(lines, "\r\n")
			}
			cells = append(cells, cell)
		}
		lines = nil
	}
	for l := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		m := mark.FindStringSubmatch(l)
		if m == nil {
			lines = append(lines, l)
			continue
		}
		end()
		tags := []string{}
		if m[2] != "" {
			if err := json.Unmarshal([]byte(m[2]), &tags); err != nil {
				t.Fatal(err)
			}
		}
		cell = map[string]any{"cell_type": "code", "metadata": map[string]any{"tags": tags}}
		if m[1] != "" {
			cell["cell_type"] = m[1]
			continue
		}
		cell["outputs"], cell["execution_count"] = []string{}, nil
		if m[3] != "" {
			cell["execution_count"] = json.RawMessage(m[3])
		}
	}
	end()
	data, err := json.Marshal(map[string]any{
		"cells": cells, "metadata": map[string]any{}, "nbformat": 4, "nbformat_minor": 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// archive is a notebook of the corpus.
type archive struct {
	path  string
	about string
	how   []string // the words behind "options:"
	files map[string]string
}

// corpus reads testdata/corpus: NAME.txtar has what the notebook is there for, a line "options: …" where it has some,
// the notebook as text, other files, and what becomes of it.
func corpus(t *testing.T) map[string]archive {
	t.Helper()
	paths, err := filepath.Glob("testdata/corpus/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]archive{}
	for _, path := range paths {
		ar, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a := archive{path: path, files: map[string]string{}}
		for l := range strings.SplitSeq(strings.TrimSpace(string(ar.Comment)), "\n") {
			if how, ok := strings.CutPrefix(l, "options: "); ok {
				a.how = strings.Fields(how)
			} else {
				a.about += l + "\n"
			}
		}
		for _, f := range ar.Files {
			a.files[f.Name] = string(f.Data)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".txtar")] = a
	}
	return all
}

func (a archive) has(option string) bool { return slices.Contains(a.how, option) }

// options are the archive's.
func (a archive) options(t *testing.T, name string) Options {
	t.Helper()
	return Options{
		Name: name, Source: name + ".ipynb", Percent: a.has("percent"), QuietExpressions: a.has("quiet"),
		Show: a.has("show"), Parameters: a.has("parameters"),
		Open: func(file string) ([]byte, error) {
			text, ok := a.files[path.Clean(file)]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: file, Err: errors.New("no such file")}
			}
			return ofText(t, text, false), nil
		},
	}
}

// short is a script with the code of the helpers left out.
func (s *scripting) short() string {
	text, used := s.out.Text, []string{}
	for _, h := range s.helpers() {
		text = strings.Replace(text, "\n\n"+h.code+"\n", "", 1)
		used = append(used, strings.TrimPrefix(h.name, "_metaml_"))
	}
	if len(used) == 0 {
		return text
	}
	return strings.Replace(text, kernelGives+"\n", "# helpers: "+strings.Join(used, ", ")+"\n", 1)
}

// notes are a line for each.
func notes(all []Note) string {
	var b strings.Builder
	for _, n := range all {
		b.WriteString(n.String() + "\n")
	}
	return b.String()
}

// TestCorpus converts the notebooks of testdata/corpus, each of which is there for one rule.
func TestCorpus(t *testing.T) {
	all := corpus(t)
	if len(all) < 150 {
		t.Errorf("there are only %d notebooks", len(all))
	}
	scripts := map[string]string{} // those that the oldest Python of the tests can read
	for name, a := range all {
		t.Run(name, func(t *testing.T) {
			nb, err := nbformat.ReadBytes(ofText(t, a.files["notebook"], a.has("crlf")))
			if err != nil {
				t.Fatal(err)
			}
			made := func(o Options) *scripting {
				s, err := convert(t.Context(), nb, o)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			o := a.options(t, name)
			s := made(o)
			got := map[string]string{"notes": notes(s.out.Notes), "refused": notes(s.out.Refused)}
			if len(s.out.Refused) == 0 {
				got["script"] = s.short()
			} else {
				if s.out.Text != "" {
					t.Error("there is a script of what is refused")
				}
				o.KeepGoing = true
				s = made(o)
				got["keep-going"] = s.short()
			}
			if !a.has("python3.12") {
				scripts[name] = s.out.Text
			}
			a.compare(t, got)
		})
	}
	compiled(t, scripts)
}

// compare checks what became of an archive's notebook, or writes it down.
func (a archive) compare(t *testing.T, got map[string]string) {
	t.Helper()
	if *update {
		var b bytes.Buffer
		b.WriteString(a.about)
		if len(a.how) > 0 {
			b.WriteString("options: " + strings.Join(a.how, " ") + "\n")
		}
		ar := &txtar.Archive{Comment: b.Bytes()}
		old, err := txtar.ParseFile(a.path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range old.Files {
			if _, made := got[f.Name]; !made && f.Name != "script" && f.Name != "keep-going" {
				ar.Files = append(ar.Files, f)
			}
		}
		for _, part := range []string{"script", "notes", "refused", "keep-going"} {
			if got[part] != "" {
				ar.Files = append(ar.Files, txtar.File{Name: part, Data: []byte(got[part])})
			}
		}
		if err := os.WriteFile(a.path, txtar.Format(ar), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, part := range []string{"script", "notes", "refused", "keep-going"} {
		if got[part] != a.files[part] {
			t.Errorf("%s: the %s is\n%s\nwant\n%s\nif it is right now: go test ./converter/script -update",
				a.path, part, got[part], a.files[part])
		}
	}
}

// compiled has Python compile scripts by their names.
func compiled(t *testing.T, scripts map[string]string) {
	t.Helper()
	data, err := json.Marshal(scripts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), venv.Python(t), "-c", `
import json, sys, warnings
warnings.simplefilter("ignore")
for name, text in json.load(sys.stdin).items():
    try:
        compile(text, name, "exec", dont_inherit=True)
    except SyntaxError as e:
        print(name, e, text, sep="\n")
`)
	cmd.Stdin = bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
