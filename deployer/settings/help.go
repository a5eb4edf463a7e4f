package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// Help is what %%train --help shows: every option with its value, its default and one sentence.
func Help(kind run.Kind) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%%%%%s [options] over the cell that defines the function\n\n", kind)
	for _, d := range Of(kind) {
		left := "--" + d.Flag()
		if d.Type != Bool {
			left += " " + d.Value
		}
		fmt.Fprintf(&b, "  %-34s %s", left, d.Help)
		if d.Default != "" && d.Type != Bool {
			fmt.Fprintf(&b, " (%s)", d.Default)
		}
		b.WriteString("\n")
	}
	b.WriteString("\nThe same names work in metaml.toml (hyper_parameters = …), as METAML_HYPER_PARAMETERS and in a " +
		"decorator's settings={…}.")
	return b.String()
}

// Reference is the settings reference in Markdown: docs/reference/settings.md is made from it, and a test compares the
// two.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Settings

<!-- Made from deployer/settings by: go test ./deployer/settings -update -->

Every setting has one name in four places, and the first that has a value wins:

1. in the cell or on the command line: ` + "`%%train --parallelism 4`, `metaml run FILE --parallelism 4`" + `;
2. in a decorator: ` + "`@Train(settings={'parallelism': 4})`" + `;
3. in the environment: ` + "`METAML_PARALLELISM=4`" + `;
4. in ` + "`metaml.toml`" + `, which is looked for in the notebook's folder and upward:
   ` + "`parallelism = 4`" + `. One that could be somebody else's is named and left out: it must belong to you,
   to root or to the owner of the notebook's folder, and not be writable by everybody.

` + "`metaml settings`" + ` shows each value and where it came from. A value that is wrong anywhere is refused
before anything starts, with its place. A setting that the target cannot honour is refused where it was typed,
and listed once as unused where it came from elsewhere.
`)
	for _, kind := range []run.Kind{run.Train, run.Serve} {
		section(&b, fmt.Sprintf("%%%%%s", kind), slices.DeleteFunc(Of(kind), func(d Def) bool {
			return !slices.Contains(d.Targets, run.Local)
		}))
	}
	section(&b, "%%train on a cluster", slices.DeleteFunc(Of(run.Train), func(d Def) bool {
		return slices.Contains(d.Targets, run.Local) || len(d.Targets) == 0
	}))
	section(&b, "%%serve on a cluster", slices.DeleteFunc(Of(run.Serve), func(d Def) bool {
		return slices.Contains(d.Targets, run.Local) || slices.Contains(d.Kinds, run.Train)
	}))
	b.WriteString(`
A number of cores and an amount of memory are written as Kubernetes writes them: ` + "`500m`" + ` is half a core, ` +
		"`4Gi`" + ` is
4 × 1024³ bytes, ` + "`4G`" + ` is 4 × 1000³.

A list is given by the flag once for each item, as a list in a decorator and in ` + "`metaml.toml`" + `, and in the
environment with commas where names are listed, else with an item on each line. Variables, secrets and labels may be a
dict and a table as well. A list of one place is never joined with that of another.

` + "```toml" + `
image = "registry.example/team/python:3.11"
memory = "8Gi"
mount = ["pvc:data:/data"]

[env]
MODE = "fast"

[secret]
TOKEN = "hub/token"

[node_selector]
"kubernetes.io/arch" = "amd64"
` + "```" + `

A relative path of ` + "`pod_template`" + ` begins in the folder of the ` + "`metaml.toml`" + ` that has it, any other
in the working directory.

## Reserved

No target honours these yet. Their names are kept: they are refused where they are typed, and listed as unused
elsewhere.

`)
	for _, d := range All {
		if len(d.Targets) == 0 {
			fmt.Fprintf(&b, "- `%s`: %s\n", d.Name, d.Help)
		}
	}
	return b.String()
}

// section is the table of some settings.
func section(b *strings.Builder, title string, defs []Def) {
	fmt.Fprintf(b, "\n## %s\n\n| setting | takes | default | what it does |\n| --- | --- | --- | --- |\n", title)
	for _, d := range defs {
		takes := d.Type.article()
		switch {
		case d.Type == Choice:
			takes = "`" + strings.Join(d.Choices, "` or `") + "`"
		case (d.Type == Int || d.Type == Replicas) && d.Max > 0:
			takes = fmt.Sprintf("%s from %s to %s", takes, people(d.Min), people(d.Max))
		case d.Type.Separator() == "\n" || d.Type == Records || d.Type == Outputs:
			takes += ": `" + d.Value + "`"
		}
		value := d.Default
		if value == "" {
			value = "–"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", d.Name, takes, value, strings.ReplaceAll(d.Help, "|", `\|`))
	}
}

// PythonNames is the module with the names that decorators take: asking for them at every decoration would start a
// process. jupyter-ext/python/metaml/_session/setting_names.py is made from it, and a test compares the two.
func PythonNames() string {
	var b strings.Builder
	b.WriteString(`"""The names that a decorator takes.

Made from deployer/settings by: go test ./deployer/settings -update. DO NOT EDIT.
"""
`)
	names := func(variable string, names []string) {
		fmt.Fprintf(&b, "\n%s = (\n", variable)
		for _, name := range names {
			fmt.Fprintf(&b, "    %q,\n", name)
		}
		b.WriteString(")\n")
	}
	for _, kind := range []run.Kind{run.Train, run.Serve} {
		var all []string
		for _, d := range Of(kind) {
			all = append(all, d.Name)
		}
		names(strings.ToUpper(string(kind)), all)
	}
	var packaged []string
	for _, name := range slices.Sorted(maps.Keys(packageKeys)) {
		packaged = append(packaged, strings.TrimPrefix(name, "package."))
	}
	names("PACKAGE", packaged)
	return b.String()
}
