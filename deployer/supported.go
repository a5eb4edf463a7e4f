package deployer

import (
	"fmt"

	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// Supported refuses a target that this version does not have, wherever it was named: in the cell, on the command line,
// in a decorator, in the environment or in metaml.toml. Whoever resolves settings asks it before anything starts;
// [Client.Plan] asks it again.
func Supported(r *settings.Resolved) error {
	target := r.Values["target"]
	if target.Text == settings.Local {
		return nil
	}
	return &usererror.Error{
		Code: usererror.CodeTarget, Text: fmt.Sprintf("target %s is not in this version of MetaML", target.Text),
		Hint: fmt.Sprintf("Leave it out (%s): runs execute on this machine.", target.Origin),
	}
}
