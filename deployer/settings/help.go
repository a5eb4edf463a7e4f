package settings

import (
	"fmt"
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
	b.WriteString("\nThe same names work in metaml.toml (hyper_parameters = …), as METAML_HYPER_PARAMETERS and in @Train(settings={…}).")
	return b.String()
}
