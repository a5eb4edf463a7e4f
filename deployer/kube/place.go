package kube

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// Place is a namespace of a cluster, for runs with certain settings.
type Place struct {
	target   *Target
	cluster  *cluster.Cluster
	mirrors  folder.Mirrors
	user     string // as the API server calls us
	settings *settings.Resolved
	environ  []string     // of the session
	images   *destination // nil where none is made
}

// place makes the place of a cluster's namespace: it asks the cluster who we are.
func (t *Target) place(
	ctx context.Context,
	c *cluster.Cluster,
	s *settings.Resolved,
	environ []string,
) (*Place, error) {
	user, err := c.User(ctx)
	if err != nil {
		return nil, err
	}
	m, err := t.mirrorsOf(c.Pin)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.connected[m.Dir] = c
	t.mu.Unlock()
	return &Place{target: t, cluster: c, mirrors: m, user: user, settings: s, environ: environ}, nil
}

// ID distinguishes the namespace from all others.
func (p *Place) ID() string { return p.cluster.ID() }

// Owner is the user that the API server knows.
func (p *Place) Owner() string { return p.user }

// Environment gives nothing: the pods' variables follow from their CPU.
func (p *Place) Environment(int) map[string]string { return nil }

// whole is the name of a run with its place.
func (p *Place) whole(name string) string {
	return run.Name{Run: name, Place: p.mirrors.Place}.String()
}

// owners lists the owners of our runs that a label picks, too.
func (p *Place) owners(ctx context.Context, label, value string) ([]corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	pick := fmt.Sprintf("%s=%s,%s=%s,%s=%s", manifest.LabelManagedBy, manifest.ManagedBy, manifest.LabelComponent,
		manifest.ComponentRun, manifest.LabelUser, manifest.UserLabel(p.user))
	if label != "" {
		pick += "," + label + "=" + value
	}
	list, err := p.cluster.Core.ConfigMaps(p.cluster.Namespace).List(ctx, metav1.ListOptions{LabelSelector: pick})
	if err != nil {
		return nil, p.cannotList(ctx, err)
	}
	return list.Items, nil
}

// cannotList puts into words that runs were not listed, which is the first thing that every command does: who may not
// do that hears of all rights that are missing, and how an administrator gives them.
func (p *Place) cannotList(ctx context.Context, err error) error {
	if apierrors.IsForbidden(err) {
		if _, missing := p.cluster.CheckRights(ctx, run.Train); missing != nil {
			return missing
		}
	}
	return p.cluster.Explain(err, "list the runs")
}

// Provisional gives the name that the next run of a series would get.
func (p *Place) Provisional(ctx context.Context, series string) (string, error) {
	n, err := p.next(ctx, series)
	return p.whole(fmt.Sprintf("%s-%d", series, n)), err
}

// next is the number of the next run of a series: no run that is in the cluster, or is kept here, has it.
func (p *Place) next(ctx context.Context, series string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	// Runs of others have names, too.
	list, err := p.cluster.Core.ConfigMaps(p.cluster.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: fmt.Sprintf("%s=%s,%s=%s", manifest.LabelComponent, manifest.ComponentRun, manifest.LabelSeries,
			series),
	})
	if err != nil {
		return 0, p.cannotList(ctx, err)
	}
	names, err := folder.Names(p.mirrors.Dir)
	if err != nil {
		return 0, err
	}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	highest := 0
	for _, name := range names {
		if n, err := strconv.Atoi(
			strings.TrimPrefix(name, series+"-"),
		); err == nil &&
			strings.HasPrefix(name, series+"-") {
			highest = max(highest, n)
		}
	}
	return highest + 1, nil
}

// Active gives an active run with the key, or nil.
func (p *Place) Active(ctx context.Context, key string) (*run.Spec, error) {
	owners, err := p.owners(ctx, manifest.LabelKey, manifest.KeyLabel(key))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(owners, func(a, b corev1.ConfigMap) int {
		return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
	})
	for i := range owners {
		spec, err := manifest.ReadOwner(&owners[i])
		if err != nil || spec.Key != key {
			continue
		}
		active, err := p.active(ctx, &owners[i])
		if err != nil {
			return nil, err
		}
		if active {
			if err := p.adopt(ctx, &owners[i]); err != nil {
				return nil, err
			}
			spec.Name = p.whole(spec.Name)
			return &spec, nil
		}
	}
	return nil, nil
}

// half is how old an owner without a Job may be and still count as a run that is being submitted.
const half = time.Minute

// active reports whether something of a run goes on.
func (p *Place) active(ctx context.Context, owner *corev1.ConfigMap) (bool, error) {
	if owner.DeletionTimestamp != nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	jobs, err := p.cluster.Batch.Jobs(p.cluster.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: manifest.TrialsOf(owner.Name),
	})
	if err != nil {
		return false, p.cannotList(ctx, err)
	}
	if len(jobs.Items) == 0 {
		return time.Since(owner.CreationTimestamp.Time) < half, nil
	}
	return manifest.Going(owner, jobs.Items), nil
}
