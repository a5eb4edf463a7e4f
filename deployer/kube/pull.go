package kube

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/metaml/metaml/deployer/image/login"
	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// ownLogin in image_pull_secret stands for a Secret of the run with the login that this machine has.
const ownLogin = "login"

// pullLogin finds the login that goes into the run's own pull secret, where one is asked for.
func (p *Place) pullLogin(ctx context.Context, load *shipment, say func(format string, args ...any)) error {
	o := &load.run.Options
	if !slices.Contains(o.PullSecrets, ownLogin) {
		return nil
	}
	o.PullSecrets = slices.DeleteFunc(slices.Clone(o.PullSecrets), func(s string) bool { return s == ownLogin })
	var from, pulled name.Repository
	if p.images == nil {
		at, err := name.ParseReference(o.Image)
		if err != nil {
			return usererror.Wrap(err, usererror.CodeOption, "--image "+o.Image+" is not the name of an image", "")
		}
		from, pulled = at.Context(), at.Context()
	} else {
		to, is := p.images.to.(*publish.Registry)
		if !is { // nodes that are loaded pull nothing
			return nil
		}
		from, pulled = to.Repository(), to.Pulled()
	}
	l, err := login.Of(ctx, from)
	if err != nil {
		return err
	}
	if lasts := l.Lasts(from.Registry); lasts > 0 {
		say("the login for %s is good for %s from when it was made, and pods that start later cannot pull with it",
			registry.Called(from.Registry), prose.Count(int(lasts.Hours()), "hour"))
	}
	o.PullLogin, err = l.DockerConfig(pulled.Registry)
	return err
}
