package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/deployer/view"
)

// settingJSON is one setting in `metaml settings --json`: its definition, its value here and where that came from.
type settingJSON struct {
	settings.Def
	Separator string `json:"separator,omitempty"` // of the items of a list
	Flag      string `json:"flag"`
	Variable  string `json:"variable"`
	Current   string `json:"current"`
	Origin    string `json:"origin"`
}

func settingsCommand(a *app) *cobra.Command {
	var (
		asJSON bool
		kind   string
	)
	c := &cobra.Command{
		Use: "settings", Short: "Show every setting, its value here and where that came from", Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			if kind != string(run.Train) && kind != string(run.Serve) {
				return usage("--kind takes train or serve")
			}
			r, err := settings.Resolve(run.Kind(kind), settings.Sources{
				Environ: a.environ, File: settings.FindFile(a.cwd), Dir: a.cwd,
			})
			if err != nil {
				return err
			}
			for _, note := range r.Notes {
				fmt.Fprintln(a.err, note)
			}
			if asJSON {
				var out []settingJSON
				for _, d := range settings.Of(r.Kind) {
					v := r.Values[d.Name]
					out = append(out, settingJSON{
						Def: d, Separator: d.Type.Separator(), Flag: "--" + d.Flag(), Variable: d.Variable(),
						Current: v.Text, Origin: v.Origin,
					})
				}
				return view.PrintJSON(a.out, out)
			}
			table := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
			fmt.Fprintln(table, "SETTING\tVALUE\tFROM\t")
			for _, d := range settings.Of(r.Kind) {
				v := r.Values[d.Name]
				words := run.Setting{Value: v.Text}.Words()
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", d.Name, view.OneLine(words), view.OneLine(v.Origin), d.Help)
			}
			return table.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&kind, "kind", "train", "train or serve")
	return c
}
