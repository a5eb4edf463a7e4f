package kube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// noMonitor is the one line about a run whose trials nothing collects while they run. Nothing else depends on it.
func noMonitor(hint, format string, args ...any) *run.Note {
	return &run.Note{Code: run.NoteMonitor, Text: "no live curves: " + fmt.Sprintf(format, args...), Hint: hint}
}

// addMonitor adds the monitor to what a run brings into the cluster, or says why it has none. lacks are the rights of
// [cluster.Live] that are missing.
func (p *Place) addMonitor(ctx context.Context, load *shipment, lacks []cluster.Rule) (*run.Note, error) {
	r := &load.run
	if len(lacks) > 0 {
		return noMonitor(p.cluster.HowToGrant(ctx, lacks), "these rights are missing: %s", words(lacks)), nil
	}
	r.Monitor = &manifest.Monitor{Agent: manifest.Agent{Program: pod.Monitor, Arch: r.Agent.Arch}, Token: rand.Text()}
	if full := p.quotaWithoutRoom(ctx, r); full != "" {
		r.Monitor = nil
		return noMonitor("Curves have the last value of each second.",
			"the quota %s has no room beside the trials for the process that collects them", full), nil
	}
	if r.Options.AgentImage != "" {
		return nil, nil
	}
	binary, err := ship.Find(pod.Monitor, r.Agent.Arch)
	if err != nil {
		return nil, err
	}
	load.monitor = ship.Parts(binary.Data)
	r.Monitor.Agent.Digest, r.Monitor.Agent.Parts = binary.Digest, len(load.monitor)
	return nil, nil
}

// checkClaims refuses volumes for outputs and record that the namespace does not have. Who may not look finds out by
// the pods, which wait then.
func (p *Place) checkClaims(ctx context.Context) error {
	return errors.Join(p.checkClaim(ctx, "output", p.settings.Output().Volume),
		p.checkClaim(ctx, "record", p.settings.Record().Volume), p.checkRegistrySecret(ctx))
}

func (p *Place) checkClaim(ctx context.Context, setting string, m *settings.Mount) error {
	if m == nil {
		return nil
	}
	if !p.lacks(ctx, "persistentvolumeclaims", m.Claim) {
		return nil
	}
	return usererror.New(usererror.CodeOption, "--%s names the volume %s, and namespace %s has no such "+
		"PersistentVolumeClaim", setting, m.Claim, p.cluster.Namespace).With("See which it has: kubectl get pvc.")
}

// lacks reports whether it is known that the namespace does not have an object. Nothing of its content is read.
func (p *Place) lacks(ctx context.Context, resource, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	return apierrors.IsNotFound(p.cluster.Core.RESTClient().Get().Namespace(p.cluster.Namespace).Resource(resource).
		Name(name).SetHeader("Accept", metadataAlone).Do(ctx).Error())
}

// kept says where what trials report is kept while nobody follows the run.
func (r *shipment) kept() string {
	o := &r.run.Options
	switch {
	case r.run.Monitor == nil:
		return "what trials report is kept while somebody follows the run: it has no monitor"
	case o.RecordRepository != "":
		return fmt.Sprintf("what trials report is kept in %s, once a minute, and here", o.RecordRepository)
	case o.Record != nil:
		return fmt.Sprintf("what trials report is kept on the volume %s, and here", o.Record.Claim)
	}
	return fmt.Sprintf("what trials report is kept on the disk of the monitor's node, for %s while nobody follows the "+
		"run, and here; --record pvc:NAME keeps it on a volume, --record registry in a repository",
		prose.Duration(o.Keep))
}

// words names rights.
func words(rules []cluster.Rule) string {
	texts := make([]string, len(rules))
	for i, r := range rules {
		texts[i] = r.String()
	}
	return strings.Join(texts, "; ")
}

// quotaWithoutRoom names a quota of the namespace that has no room for the run's monitor beside as many trials as may
// run at once: a trial goes before it. Where quotas may not be read, whoever follows the run ends a monitor that keeps
// it from beginning.
func (p *Place) quotaWithoutRoom(ctx context.Context, r *manifest.Run) string {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	list, err := p.cluster.Core.ResourceQuotas(p.cluster.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	trials, monitor := r.Takes(int64(r.Spec.Parallelism)), r.MonitorTakes()
	for i := range list.Items {
		q := &list.Items[i]
		for name, own := range monitor {
			hard, limited := q.Status.Hard[name]
			if !limited {
				continue
			}
			need := trials[name].DeepCopy()
			need.Add(own)
			need.Add(q.Status.Used[name])
			if need.Cmp(hard) > 0 {
				return q.Name
			}
		}
	}
	return ""
}

// startMonitor makes the monitor of a run, whose pods then get its address. A run begins without it where it
// cannot be made.
func (p *Place) startMonitor(ctx context.Context, load *shipment, owner *corev1.ConfigMap) *run.Note {
	r, c := &load.run, p.cluster
	does := "make the monitor of run " + owner.Name
	service, err := c.Core.Services(c.Namespace).Create(ctx, r.MonitorService(owner), created)
	if err == nil && net.ParseIP(service.Spec.ClusterIP) == nil {
		err = fmt.Errorf("its Service has no address: %q", service.Spec.ClusterIP)
	}
	if err == nil && len(load.monitor) > 0 {
		err = p.shareAgent(ctx, r, r.Monitor.Agent, load.monitor, owner)
	}
	if err == nil {
		_, err = c.Batch.Jobs(c.Namespace).Create(ctx, r.MonitorJob(owner), created)
	}
	if err != nil {
		r.Monitor = nil
		return noMonitor("Curves have the last value of each second.", "%s",
			strings.TrimSuffix(c.Explain(err, does).Error(), "."))
	}
	r.Monitor.Address = net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(manifest.MonitorPort))
	return nil
}
