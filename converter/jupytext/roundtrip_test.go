package jupytext

import (
	"fmt"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/nbformat"
)

// contents describes what of a document text holds.
func contents(t *testing.T, d *nbformat.Document) *notebook {
	t.Helper()
	n, err := fromDocument(d)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *notebook) String() string {
	s := dumps(n.meta.object())
	for i := range n.cells {
		c := &n.cells[i]
		s += fmt.Sprintf("\n%s %s %q", c.kind, dumps(c.meta.object()), c.source)
	}
	return s
}

func TestANotebookComesBack(t *testing.T) {
	for _, format := range []struct {
		name  string
		write func(*nbformat.Document, Options) ([]byte, error)
		read  func([]byte, Options) (*nbformat.Document, error)
	}{
		{"percent", Percent, FromPercent},
		{"markdown", Markdown, FromMarkdown},
	} {
		t.Run(format.name, func(t *testing.T) {
			for seed := range uint64(4000) {
				d := newGenerator(seed).document(seed%2 == 1)
				text, err := format.write(d, Options{})
				if err != nil {
					t.Errorf("seed %d: %v\n%s", seed, err, contents(t, d))
					continue
				}
				back, err := format.read(text, Options{})
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
					continue
				}
				if want, got := contents(t, d), contents(t, back); !want.same(got) {
					t.Errorf("seed %d:\n%s\nbecomes\n%s\nby\n%s", seed, want, got, text)
				}
			}
		})
	}
}

func TestAScriptComesBack(t *testing.T) {
	for seed := range uint64(4000) {
		text := newGenerator(seed).script()
		d, err := FromPercent([]byte(text), Options{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		back, err := Percent(d, Options{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if string(back) != text {
			t.Fatalf("seed %d:\n%s\nbecomes\n%s\nby\n%s", seed, text, back, d.Bytes())
		}
	}
}

func FuzzFromPercent(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(newGenerator(seed).script())
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := FromPercent([]byte(text), Options{})
		if err != nil {
			return
		}
		back, err := Percent(d, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if string(back) != text {
			t.Errorf("%q becomes %q by\n%s", text, back, d.Bytes())
		}
	})
}

// backFromMarkdown checks that a text of Markdown comes back.
func backFromMarkdown(t *testing.T, text string) {
	t.Helper()
	d, err := FromMarkdown([]byte(text), Options{})
	if err != nil {
		return
	}
	back, err := Markdown(d, Options{})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if string(back) != text {
		t.Errorf("%q becomes %q by\n%s", text, back, d.Bytes())
	}
}

// markdown makes a text as a person may write it.
func (g *generator) markdown() string {
	text := pick(g, []string{"", "", "---\ntitle: x\n---\n\n", "---\njupyter:\n  a: 1\n---\n", "\n"})
	for range g.IntN(5) {
		source := g.source(g.IntN(2) == 0)
		switch g.IntN(4) {
		case 0:
			name := pick(g, []string{"", "python", "R", "bash x=1", "{r}", "python .noeval", "json", `python {"a": 1}`})
			text += "```" + name + "\n" + source + "\n```\n"
		case 1:
			name := pick(g, []string{"region", "md", "raw", "markdown"})
			text += "<!-- #" + name + pick(g, []string{"", " a=1", " Title", ` tags=["x"]`}) + " -->\n" + source +
				"\n<!-- #end" + name + " -->\n"
		default:
			text += source + "\n"
		}
		text += strings.Repeat("\n", g.IntN(4))
	}
	return text
}

func TestMarkdownComesBack(t *testing.T) {
	for seed := range uint64(4000) {
		backFromMarkdown(t, newGenerator(seed).markdown())
	}
}

func FuzzFromMarkdown(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(newGenerator(seed).markdown())
	}
	f.Fuzz(backFromMarkdown)
}
