package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metaml/metaml/deployer/settings"
)

var updateReference = flag.Bool("update-reference", false, "write docs/reference/commands.md anew")

func TestCommandsAreInTheDocs(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "reference", "commands.md")
	want := commandReference(newRoot(newApp()))
	if *updateReference {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(docs)); d != "" {
		const remedy = "go test ./cmd/metaml -run Docs -update-reference writes it"
		t.Errorf("docs/reference/commands.md differs from the code (%s)\n%s", remedy, d)
	}
}

// commandReference is the page of all commands, in Markdown.
func commandReference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`# Commands

<!-- Made from cmd/metaml by: go test ./cmd/metaml -run Docs -update-reference -->

RUN is the name of a run, a series (its newest run), the unique beginning of a name, or ` + "`last`" + `, which is also
taken where an optional RUN is left out. In a notebook ` + "`%metaml COMMAND`" + ` does the same; there a variable that
holds a Run or a Server will do for RUN. ` + "`metaml-nbconvert`" + ` has [a guide](../guides/nbconvert.md).
Exit codes: [exit-codes.md](exit-codes.md).
`)
	for _, c := range root.Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n```\n%s\n```\n", c.Name(), strings.TrimSuffix(c.Short, "."), c.UseLine())
		rows, hasSettings := flagRows(c)
		if len(rows) > 0 {
			b.WriteString("\n| option | |\n| --- | --- |\n" + strings.Join(rows, ""))
		}
		if hasSettings {
			b.WriteString("\nEvery setting of [settings.md](settings.md) is an option too: " +
				"`hyper_parameters` is `--hyper-parameters`.\n")
		}
	}
	return b.String()
}

// flagRows are the options of a command that are no settings, and whether it takes settings too.
func flagRows(c *cobra.Command) (rows []string, hasSettings bool) {
	takesSettings := c.Flags().Lookup("hyper-parameters") != nil
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if _, ok := settings.Lookup(f.Name); ok && takesSettings {
			hasSettings = true
			return
		}
		if f.Name == "help" || strings.HasPrefix(f.Name, "no-") {
			return
		}
		name := "`--" + f.Name
		if kind := f.Value.Type(); kind != "bool" {
			name += " " + strings.ToUpper(kind)
		}
		name += "`"
		if f.Shorthand != "" {
			name += ", `-" + f.Shorthand + "`"
		}
		text := strings.ReplaceAll(f.Usage, "|", `\|`)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" {
			text += " (" + f.DefValue + ")"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s |\n", name, text))
	})
	return rows, hasSettings
}

// docCommand is a command of ours in a page: `metaml VERB … --option`, and in a cell %%train, %%serve or %metaml.
var (
	docCommand = regexp.MustCompile("(?m)(?:^|[`])(metaml|%metaml|%%train|%%serve)((?: [^`\n]*)?)")
	docOption  = regexp.MustCompile(`(?:^| )--([a-z][a-z-]*)`)
)

// TestDocsNameOptionsThatExist reads every command line in the pages for people and looks its verb and options up.
func TestDocsNameOptionsThatExist(t *testing.T) {
	verbs := map[string]*cobra.Command{}
	root := newRoot(newApp())
	for _, c := range root.Commands() {
		verbs[c.Name()] = c
	}
	pages := []string{filepath.Join("..", "..", "README.md"), filepath.Join("..", "..", "CONTRIBUTING.md")}
	for _, folder := range []string{"tutorial", "guides", "reference"} {
		found, err := filepath.Glob(filepath.Join("..", "..", "docs", folder, "*.md"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages in docs/%s (%v)", folder, err)
		}
		pages = append(pages, found...)
	}
	seen := 0
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range docCommand.FindAllStringSubmatch(string(data), -1) {
			rest, _, _ := strings.Cut(m[2], " #")
			verb := "run"
			if strings.HasSuffix(m[1], "metaml") {
				words := strings.Fields(rest)
				if len(words) == 0 || !regexp.MustCompile(`^[a-z]+$`).MatchString(words[0]) {
					continue
				}
				verb = words[0]
			}
			command, ok := verbs[verb]
			if !ok {
				t.Errorf("%s: there is no command %q", page, "metaml "+verb)
				continue
			}
			if words := strings.Fields(rest); len(words) > 1 { // a command may have commands of its own
				for _, below := range command.Commands() {
					if below.Name() == words[1] {
						command = below
					}
				}
			}
			for _, option := range docOption.FindAllStringSubmatch(rest, -1) {
				seen++
				if command.Flags().Lookup(option[1]) == nil {
					t.Errorf("%s: metaml %s has no option --%s", page, verb, option[1])
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("found %d options in the pages: the pattern does not see them", seen)
	}
}
