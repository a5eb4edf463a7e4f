package deployer

import (
	"fmt"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// Supported refuses a target that this version does not have, wherever it was named: in the cell, on the command line, in a decorator,
// in the environment or in metaml.toml. Whoever resolves settings asks it before anything starts; [Door.Plan] asks it again.
func Supported(r *settings.Resolved) error {
	target := r.Values["target"]
	if target.Text == settings.Local {
		return nil
	}
	return &run.UserError{
		Code: "target", Text: fmt.Sprintf("target %s is not in this version of MetaML", target.Text),
		Hint: fmt.Sprintf("Leave it out (%s): runs execute on this machine.", target.Origin),
	}
}
