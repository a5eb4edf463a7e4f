package kube

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/mirror"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// outputRepository is the repository that gets what trials leave behind, as pods call it.
func (p *Place) outputRepository() (string, error) {
	s := p.settings
	setting, text := "output-repository", s.Text("output_repository")
	if text == "" {
		setting, text = "repository", cmp.Or(s.Text("pull_repository"), s.Repository())
	}
	if text == "" && p.images != nil {
		if to, is := p.images.to.(*publish.Registry); is {
			setting, text = "image's repository", to.Pulled().Name()
		}
	}
	const hint = "Name one that pods reach: --output-repository REGISTRY/NAME."
	if text == "" {
		return "", usererror.New(usererror.CodeOption, "%s needs a repository, and none is named", p.toRegistry()).
			With(hint)
	}
	at, err := name.NewRepository(text)
	if err != nil {
		return "", usererror.Wrap(err, usererror.CodeOption, fmt.Sprintf("--%s %s: %v", setting, text, err), hint)
	}
	host, _, err := net.SplitHostPort(at.RegistryStr())
	if err != nil {
		host = at.RegistryStr()
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return "", usererror.New(usererror.CodeOption, "%s would send files to %s, which is another place for each "+
			"pod: its own", p.toRegistry(), at.RegistryStr()).With(hint)
	}
	return at.Name(), nil
}

// toRegistry is the option because of which something goes to a registry.
func (p *Place) toRegistry() string {
	if p.settings.Output().Registry {
		return "--output registry"
	}
	return "--record registry"
}

// checkRegistrySecret refuses a login for outputs that the namespace does not have. Who may not look finds out by the
// monitor, which does not start then.
func (p *Place) checkRegistrySecret(ctx context.Context) error {
	secret := p.settings.Text("registry_secret")
	if secret == "" || !p.settings.Output().Registry && !p.settings.Record().Registry {
		return nil
	}
	if !p.lacks(ctx, "secrets", secret) {
		return nil
	}
	return usererror.New(usererror.CodeOption, "--registry-secret names %s, and namespace %s has no such Secret",
		secret, p.cluster.Namespace).
		With("Make it: kubectl create secret docker-registry %s --docker-server=… --docker-username=….", secret)
}

// monitorMust refuses a run of which something is to be in a registry, where it has no monitor.
func monitorMust(r *manifest.Run, note *run.Note) error {
	if o := &r.Options; note == nil || o.OutputRepository == "" && o.RecordRepository == "" {
		return nil
	}
	return &usererror.Error{
		Code: usererror.CodeOption,
		Text: "--output registry and --record registry need the monitor of the run, which sends files there: " +
			note.Text,
		Hint: note.Hint,
	}
}

// How long the monitor of a run may take to say that it can send files to a registry: its image has to be pulled, as
// for the trials.
const checkOutputs = 2 * time.Minute

// checkRepository has the monitor say whether it can send files to the repository, before any trial is started. Where
// it does not get to run meanwhile, that is no reason not to start the trials: notes say what they wait for.
func (p *Place) checkRepository(ctx context.Context, r *manifest.Run, owner *corev1.ConfigMap) error {
	o := &r.Options
	if o.OutputRepository == "" && o.RecordRepository == "" || o.Queue != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkOutputs)
	defer cancel()
	refused, err := mirror.CheckOutputs(ctx, p.cluster, owner.Name, r.Monitor.Token)
	if err != nil || refused == "" {
		return err
	}
	no := usererror.New(usererror.CodeRegistry, "%s: a pod %s", p.toRegistry(), refused)
	if o.RegistrySecret != "" {
		return no.With("See whether the login in Secret %s may push there.", o.RegistrySecret)
	}
	return no.With("Name a Secret whose login may push there: --registry-secret NAME; kubectl create secret " +
		"docker-registry makes one.")
}

// public warns, where everybody may read what trials leave behind.
func public(repository string) string {
	at, err := name.NewRepository(repository)
	if err != nil || !registry.Public(at.Registry) {
		return ""
	}
	return fmt.Sprintf("%s makes new repositories public: make %s private there first, unless everybody may read what "+
		"trials write", registry.Called(at.Registry), at)
}
