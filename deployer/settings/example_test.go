package settings_test

import (
	"fmt"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// What is typed over a cell comes before the environment, and that before the default.
func ExampleResolve() {
	typed, err := settings.ParseLine(run.Train, "--completions 8")
	if err != nil {
		fmt.Println(err)
		return
	}
	resolved, err := settings.Resolve(run.Train, settings.Sources{
		Line: typed, Typed: settings.FromCell,
		Environ: []string{"METAML_COMPLETIONS=2", "METAML_RETRIES=3"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"completions", "retries", "target"} {
		value := resolved.Values[name]
		fmt.Printf("%s is %s, from %s\n", name, value.Text, value.Origin)
	}
	// Output:
	// completions is 8, from cell
	// retries is 3, from environment METAML_RETRIES
	// target is local, from default
}
