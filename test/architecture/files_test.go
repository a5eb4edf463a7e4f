package architecture_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/metaml/metaml"
)

var root = filepath.Join("..", "..")

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestGoModReplacesNothing(t *testing.T) {
	if regexp.MustCompile(`(?m)^\s*replace\b`).MatchString(read(t, "go.mod")) {
		t.Error("go.mod has a replace: it is ignored when others build us, so nobody would get what was tested")
	}
}

func TestChangelogTellsOfThisVersion(t *testing.T) {
	if !regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(metaml.Version()) +
		`\b`).MatchString(read(t, "CHANGELOG.md")) {
		t.Errorf("CHANGELOG.md has no section %s, the version in VERSION", metaml.Version())
	}
}

// forbidden are texts that a tracked file must not have. They are put together
// here from halves, since this file is tracked too.
var forbidden = []struct {
	pattern, reason string
	code            bool // in code alone; a guide may use the word of a person
}{
	{pattern: `\b(proxy|sum)\.golang` + `\.org`, reason: "where modules come from is the machine's own setting"},
	{pattern: `\b(pypi|test\.pypi)` + `\.org/`, reason: "where packages come from is the machine's own setting"},
	{pattern: `\bfiles\.python` + `hosted\.org`, reason: "where packages come from is the machine's own setting"},
	{pattern: `\bregistry\.npm` + `js\.org`, reason: "where packages come from is the machine's own setting"},
	{pattern: `\b(deb|security)\.deb` + `ian\.org`, reason: "where packages come from is the machine's own setting"},
	{pattern: `(^|[^a-z.])/ro` + `ot/`, reason: "a path of one machine"},
	{pattern: `/wo` + `rk/(main|shared)\b`, reason: "a path of one machine"},
	{
		pattern: `(?i)\bto` + `ld\b`, code: true,
		reason: "say by what: it is sent, written, reported, signalled, ordered",
	},
}

// repositoryFiles gives the files that git tracks or would add, with slashes. One that was just deleted may be among
// them.
func repositoryFiles(t *testing.T) []string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	command.Dir = root
	text, err := command.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	names := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	if len(names) < 20 {
		t.Fatalf("git ls-files found %d files, this test reads the wrong folder", len(names))
	}
	return names
}

func TestFilesHaveNoForbiddenText(t *testing.T) {
	names := repositoryFiles(t)
	for _, f := range forbidden {
		t.Run(f.pattern, func(t *testing.T) {
			pattern := regexp.MustCompile(`(?m)` + f.pattern)
			for _, name := range names {
				if f.code && !isCode(name) {
					continue
				}
				data, err := os.ReadFile(filepath.Join(root, name))
				if os.IsNotExist(err) {
					continue // deleted, and the deletion is not committed yet
				}
				if err != nil {
					t.Fatal(err)
				}
				if at := pattern.FindIndex(data); at != nil {
					t.Errorf("%s:%d has %q: %s", name, 1+strings.Count(string(data[:at[0]]), "\n"), data[at[0]:at[1]],
						f.reason)
				}
			}
		})
	}
}

func isCode(name string) bool {
	return strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".py")
}

// A notebook that was saved by accident would carry somebody's outputs.
func TestExampleNotebooksAreStoredWithoutOutputs(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(root, "examples", "*.ipynb"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no notebooks in examples (%v)", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			var notebook struct {
				Cells []struct {
					ID             string            `json:"id"`
					Outputs        []json.RawMessage `json:"outputs"`
					ExecutionCount *int              `json:"execution_count"`
				} `json:"cells"`
			}
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, &notebook); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i, cell := range notebook.Cells {
				if len(cell.Outputs) > 0 || cell.ExecutionCount != nil || cell.ID == "" {
					t.Errorf("%s: cell %d has outputs, a number or no id: clear all outputs before saving", name, i+1)
				}
			}
		})
	}
}
