package architecture_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// tracked gives the repository's files that git knows or would add, with slashes, and that are there.
func tracked(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(repositoryFiles(t), func(name string) bool {
		info, err := os.Stat(filepath.Join(root, name))
		return err != nil || !info.Mode().IsRegular()
	})
}

// pages gives the Markdown that people read.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, name := range tracked(t) {
		if strings.HasSuffix(name, ".md") && !strings.Contains(name, "testdata/") {
			found = append(found, name)
		}
	}
	if len(found) < 25 {
		t.Fatalf("only %d pages: this test reads the wrong folder", len(found))
	}
	return found
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

var (
	fence    = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	codeSpan = regexp.MustCompile("`[^`\n]+`")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
)

// blank replaces what matches by spaces, so that places stay.
func blank(text string, pattern *regexp.Regexp) string {
	return pattern.ReplaceAllStringFunc(text, func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '\n' {
				return r
			}
			return ' '
		}, s)
	})
}

func lineOf(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }

// anchors gives the anchors that a page's headings get: lower case, without punctuation, blanks as hyphens.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(blank(page, fence), -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		found[anchor] = true
	}
	return found
}

func TestLinksOfThePagesLeadSomewhere(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		text := blank(blank(read(t, page), fence), codeSpan)
		for _, m := range link.FindAllStringSubmatchIndex(text, -1) {
			target := text[m[2]:m[3]]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(target, "#")
			full := page
			if path != "" {
				full = filepath.ToSlash(filepath.Join(filepath.Dir(page), path))
			}
			switch {
			case !exists(full):
				t.Errorf("%s:%d links to %s, which is not there", page, lineOf(text, m[0]), target)
			case anchor != "" && !anchors(read(t, full))[anchor]:
				t.Errorf("%s:%d links to %s, and %s has no such heading", page, lineOf(text, m[0]), target, full)
			}
		}
	}
	if links < 100 {
		t.Errorf("found %d links: the pattern does not see them", links)
	}
}

// ours are the folders with which a path of the repository begins.
const ours = `(?:\.github|agent|cmd|converter|deployer|examples|internal|jupyter-ext|kernel|requirements|test|tools)`

// repositoryPath is a path in a code span.
var repositoryPath = regexp.MustCompile("`((?:docs|" + ours + ")/[^`\\s]*)`")

func TestPathsThatThePagesNameAreThere(t *testing.T) {
	paths := 0
	for _, page := range pages(t) {
		if page == "CHANGELOG.md" {
			continue // it is about what was
		}
		text := blank(read(t, page), fence)
		for _, m := range repositoryPath.FindAllStringSubmatchIndex(text, -1) {
			paths++
			name := text[m[2]:m[3]]
			if strings.ContainsAny(name, "<>{}") || strings.Contains(name, "NAME") || strings.Contains(name, "…") {
				continue // a pattern for a name, in words
			}
			if found, err := filepath.Glob(filepath.Join(root, name)); err != nil || len(found) == 0 {
				t.Errorf("%s:%d names %s, which is not there", page, lineOf(text, m[0]), name)
			}
		}
	}
	if paths < 40 {
		t.Errorf("found %d paths: the pattern does not see them", paths)
	}
}

// mention is a page that code, a script or a configuration file names, with the section that it names.
var (
	mention = regexp.MustCompile(`\b(docs/[\w./-]+\.(?:md|svg|png)|CONTRIBUTING\.md|SECURITY\.md)((?:,? ?(?:and ` +
		`)?§\d+)*)`)
	section = regexp.MustCompile(`§(\d+)`)
)

// written are the endings of files that name pages.
var written = []string{".go", ".py", ".js", ".md", ".toml", ".yml", ".sh", ".ini", ".txt", ".in", ""}

func TestPagesThatTheCodeNamesAreThere(t *testing.T) {
	mentions := 0
	for _, name := range tracked(t) {
		if strings.Contains(name, "testdata/") || !slices.Contains(written, filepath.Ext(name)) ||
			name == "CHANGELOG.md" || strings.HasSuffix(name, "docs_test.go") {
			continue
		}
		text := read(t, name)
		if !utf8.ValidString(text) {
			continue
		}
		if strings.HasSuffix(name, ".md") {
			text = blank(text, link) // TestLinksOfThePagesLeadSomewhere has them
		}
		for _, m := range mention.FindAllStringSubmatchIndex(text, -1) {
			page, sections := text[m[2]:m[3]], text[m[4]:m[5]]
			mentions++
			if !exists(page) {
				t.Errorf("%s:%d names %s, which is not there", name, lineOf(text, m[0]), page)
				continue
			}
			for _, s := range section.FindAllStringSubmatch(sections, -1) {
				if !regexp.MustCompile(`(?m)^## ` + s[1] + `\. `).MatchString(read(t, page)) {
					t.Errorf("%s:%d names §%s of %s, which has no such section", name, lineOf(text, m[0]), s[1], page)
				}
			}
		}
	}
	if mentions < 30 {
		t.Errorf("found %d mentions: the pattern does not see them", mentions)
	}
}

// plainPath is a path in a comment: of a folder or a file, perhaps with an identifier of the package after a dot. Pages
// are TestPagesThatTheCodeNamesAreThere's.
var plainPath = regexp.MustCompile("(?:^|[\\s(`])(" + ours + `/[\w/*-]+(?:\.[a-z]{2,4}\b)?)`)

// moduleDocstring is the text at the head of a Python file.
var moduleDocstring = regexp.MustCompile(`^(?:#[^\n]*\n)*"""((?s).*?)"""`)

func TestPathsThatPackageCommentsNameAreThere(t *testing.T) {
	paths := 0
	for _, name := range tracked(t) {
		if strings.Contains(name, "testdata/") {
			continue
		}
		comment := ""
		switch filepath.Ext(name) {
		case ".go":
			const mode = parser.PackageClauseOnly | parser.ParseComments
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, mode)
			if err != nil {
				t.Fatal(err)
			}
			comment = file.Doc.Text()
		case ".py":
			if m := moduleDocstring.FindStringSubmatch(read(t, name)); m != nil {
				comment = m[1]
			}
		}
		for _, m := range plainPath.FindAllStringSubmatch(comment, -1) {
			paths++
			if found, err := filepath.Glob(filepath.Join(root, m[1])); err != nil || len(found) == 0 {
				t.Errorf("the comment at the head of %s names %s, which is not there", name, m[1])
			}
		}
	}
	if paths < 40 {
		t.Errorf("found %d paths: the pattern does not see them", paths)
	}
}

// The rules of a cell are cited by number, also by people who cannot change with us.
func TestRulesKeepTheirNumbers(t *testing.T) {
	want := []string{
		"1. From a cell to a request", "2. The session document", "3. What goes into the program", "4. Hyperparameters",
		"5. Which run is this", "6. How a trial runs", "7. States", "8. Interrupt, detach, stop",
		"9. What the user holds",
		"10. Nothing lost on the local target", "11. What people see",
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(read(t, "docs/reference/rules.md"),
		-1) {
		got = append(got, m[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("the sections of docs/reference/rules.md differ\n%s", cmp.Diff(want, got))
	}
}

func TestEveryPageIsInTheIndex(t *testing.T) {
	index := read(t, "docs/README.md")
	for _, page := range pages(t) {
		name, inside := strings.CutPrefix(page, "docs/")
		if inside && name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not link %s", page)
		}
	}
}

func TestACellRunsInTenSteps(t *testing.T) {
	page := read(t, "docs/internals/how-a-cell-runs.md")
	steps := regexp.MustCompile(`(?m)^## (\d+)\. .*\n`).FindAllStringIndex(page, -1)
	if len(steps) != 10 {
		t.Fatalf("docs/internals/how-a-cell-runs.md has %d steps, want 10", len(steps))
	}
	for i, at := range steps {
		end := len(page)
		if i+1 < len(steps) {
			end = steps[i+1][0]
		}
		// That the files are there is TestPathsThatThePagesNameAreThere's.
		if !repositoryPath.MatchString(page[at[0]:end]) {
			t.Errorf("step %d names no file", i+1)
		}
	}
}

// Prose is at most 120 columns wide. Tables and code are as wide as they must be.
func TestLinesOfThePagesAreReadable(t *testing.T) {
	for _, page := range pages(t) {
		if page == "CHANGELOG.md" {
			continue
		}
		for i, line := range strings.Split(blank(read(t, page), fence), "\n") {
			if n := utf8.RuneCountInString(line); n > 120 && !strings.HasPrefix(strings.TrimSpace(line), "|") {
				t.Errorf("%s:%d has %d columns", page, i+1, n)
			}
		}
	}
}
