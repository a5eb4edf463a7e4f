package kube

import (
	"context"
	"errors"
	"strconv"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// modelInImage reports whether the image that is made for a server has its model.
func (p *Place) modelInImage(spec *run.Spec) bool {
	return spec.Server != nil && spec.Server.Model != "" && p.images != nil && !p.images.loaded &&
		p.modelVolume(spec) == nil
}

// modelVolume is where the volume has the model of a server that the outputs of its training went to; nil where it is
// on none, or the volume is in another namespace.
func (p *Place) modelVolume(spec *run.Spec) *manifest.Volume {
	name, which, _ := run.CutTrial(spec.Server.Model)
	of := run.ParseName(name)
	if of.Place != p.mirrors.Place {
		return nil
	}
	training, err := folder.In(p.mirrors.Dir, of.Run).ReadSpec()
	if err != nil {
		return nil
	}
	kept := settings.Recorded(training.Kind, training.Settings).Output()
	trial, err := strconv.Atoi(which)
	if kept.Volume == nil || err != nil {
		return nil
	}
	return manifest.OutputOn(kept.Volume, p.cluster.Namespace, training, trial)
}

// addModel adds the model of a server to what is brought into the cluster: it is on a volume that pods can mount, in
// the image that is made, or small enough to come with the program.
func (p *Place) addModel(ctx context.Context, load *shipment, s *run.Submission) error {
	r := &load.run
	spec := &r.Spec
	if spec.Server.Model == "" {
		return nil
	}
	if r.ModelOn = p.modelVolume(spec); r.ModelOn != nil {
		return nil
	}
	if p.modelInImage(spec) {
		r.ModelAt = "/" + pod.ModelInImage
		return nil
	}
	if err := s.BringModel(ctx); err != nil {
		return err
	}
	packed, err := ship.Model(spec.Server.ModelFolder)
	if errors.Is(err, ship.ErrModelTooLong) {
		return usererror.New(usererror.CodeTooLarge, "the model %s is too large to come with the server: compressed "+
			"it has more than %d MiB", spec.Server.Model, ship.MaxModel>>20).
			With("Have it in the image: --repository REGISTRY/NAME in place of --image. Or train with the files on a " +
				"volume, which the server mounts: --output pvc:NAME.")
	}
	if err != nil {
		return err
	}
	load.model = ship.Parts(packed)
	r.Models = len(load.model)
	return nil
}
