package settings

import (
	"fmt"
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
		fmt.Fprintf(&b, "\n## %%%%%s\n\n| setting | takes | default | what it does |\n| --- | --- | --- | --- |\n",
			kind)
		for _, d := range Of(kind) {
			if !slices.Contains(d.Targets, run.Local) {
				continue
			}
			takes := d.Type.article()
			switch {
			case d.Name == "target":
				takes = "`" + run.Local + "`"
			case d.Type == Choice:
				takes = "`" + strings.Join(d.Choices, "` or `") + "`"
			case d.Type == Int && d.Max > 0:
				takes = fmt.Sprintf("%s from %s to %s", takes, people(d.Min), people(d.Max))
			}
			value := d.Default
			if value == "" {
				value = "–"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, takes, value, strings.ReplaceAll(d.Help, "|", `\|`))
		}
	}
	b.WriteString(`
## Reserved

This version runs on one machine, and refuses any other ` + "`target`" + ` wherever it is named. These settings are for
clusters; on ` + "`local`" + ` they are refused where they are typed, and listed as unused elsewhere, so that a
decorator or a file may have them already.

`)
	for _, d := range All {
		if !slices.Contains(d.Targets, run.Local) {
			fmt.Fprintf(&b, "- `%s`: %s\n", d.Name, d.Help)
		}
	}
	return b.String()
}
