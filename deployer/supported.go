package deployer

import (
	"fmt"
	"slices"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// Supported refuses a target that this version does not have, wherever it was named: in the cell, on the command line,
// in a decorator, in the environment or in metaml.toml. Whoever resolves settings calls it before anything starts;
// [Client.Plan] calls it again. targets are those there are beside local.
func Supported(r *settings.Resolved, targets ...string) error {
	target := r.Values["target"]
	if target.Text == run.Local || slices.Contains(targets, target.Text) {
		return nil
	}
	return &usererror.Error{
		Code: usererror.CodeTarget, Text: fmt.Sprintf("target %s is not in this version of MetaML", target.Text),
		Hint: fmt.Sprintf("Leave it out (%s): runs execute on this machine.", target.Origin),
	}
}
