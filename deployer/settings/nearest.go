package settings

import (
	"github.com/metaml/metaml/internal/prose"
)

// nearest gives the flag of the setting whose name is closest to name, or "" if none is close.
func nearest(name string, defs []Def) string {
	names := make([]string, len(defs))
	for i, d := range defs {
		names[i] = d.Flag()
	}
	return prose.Nearest(name, names)
}
