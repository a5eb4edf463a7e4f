package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/mirror"
	"github.com/metaml/metaml/deployer/kube/rollout"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// going is a server that goes on, as it is in the cluster and here.
type going struct {
	name       string // whole
	cluster    *cluster.Cluster
	folder     folder.Run
	owner      *corev1.ConfigMap
	deployment *appsv1.Deployment
	listed     run.Listed
}

// going finds a server that goes on. has is what a run that is no server does not have.
func (t *Target) going(ctx context.Context, name, has string) (*going, error) {
	c, f, owner, err := t.found(ctx, name)
	if err != nil {
		return nil, err
	}
	if owner.Labels[manifest.LabelKind] != string(run.Serve) {
		return nil, usererror.New(usererror.CodeRevision, "run %s is no server and has no %s", name, has)
	}
	if err := mirror.Once(ctx, c, f); err != nil {
		return nil, err
	}
	g := &going{name: name, cluster: c, folder: f, owner: owner}
	if g.listed, err = (&record.Reader{Dir: t.Dir}).Exactly(name); err != nil {
		return nil, err
	}
	if g.deployment, err = rollout.Get(ctx, c, owner.Name); err != nil {
		return nil, err
	}
	d := g.deployment
	if stopping(owner) || d == nil || d.Spec.Replicas != nil && *d.Spec.Replicas == 0 {
		return nil, usererror.New(usererror.CodeEnded, "server %s is not going", name).
			With("metaml resume %s starts it again.", name)
	}
	return g, nil
}

// Scale has a server have so many replicas from now on. Whoever follows it notes that.
func (t *Target) Scale(ctx context.Context, name string, n run.Replicas) error {
	g, err := t.going(ctx, name, "replicas")
	if err != nil {
		return err
	}
	if err := resize(ctx, g.cluster, g.owner, n); err != nil {
		return err
	}
	if err := mirror.Once(ctx, g.cluster, g.folder); err != nil {
		return err
	}
	return t.Keep(ctx, name)
}

// Rollback gives a server another revision which is a copy of one that answered: it has the same pods, under another
// number.
func (t *Target) Rollback(ctx context.Context, name string, revision int) (run.Submitted, error) {
	g, err := t.going(ctx, name, "revisions")
	if err != nil {
		return run.Submitted{}, err
	}
	kept, err := g.kept(ctx)
	if err != nil {
		return run.Submitted{}, err
	}
	if revision, err = g.rollable(kept, revision); err != nil {
		return run.Submitted{}, err
	}
	for range 50 { // others who submit the same server at this moment
		template, err := rollout.Template(ctx, g.cluster, g.deployment, revision)
		if err != nil {
			return run.Submitted{}, err
		}
		again, spec, err := g.again(ctx, kept, revision)
		if err != nil {
			return run.Submitted{}, err
		}
		before := manifest.RevisionOf(g.deployment.Spec.Template.Labels)
		done := again != nil
		if done {
			template.Labels[manifest.LabelRevision] = strconv.Itoa(spec.Server.Revision)
			done, err = rollout.Replace(ctx, g.cluster, g.deployment, template, run.Replicas{})
			if err != nil || !done {
				_ = removeOwner(context.WithoutCancel(ctx), g.cluster, again.Name, again.UID)
			}
			if err != nil {
				return run.Submitted{}, g.cluster.Explain(err, "roll server "+name+" back")
			}
		}
		if done {
			return t.rolledBack(ctx, g, spec, before, opens(kept, g.owner.Name, before, spec))
		}
		if g, err = t.going(ctx, name, "revisions"); err != nil {
			return run.Submitted{}, err
		}
		if kept, err = g.kept(ctx); err != nil {
			return run.Submitted{}, err
		}
	}
	return run.Submitted{}, fmt.Errorf("roll server %s back: it was changed 50 times meanwhile", name)
}

// opens reports whether a revision asks for a token, and the one that is to take its place does not.
func opens(revisions map[int]*corev1.ConfigMap, server string, before int, spec run.Spec) bool {
	if revisions[before] == nil || spec.Server.Locked() {
		return false
	}
	of, err := manifest.ReadOwnerOf(revisions[before], server)
	return err == nil && of.Server.Locked()
}

// rolledBack notes the revision that a server was given.
func (t *Target) rolledBack(
	ctx context.Context, g *going, spec run.Spec, before int, opens bool,
) (run.Submitted, error) {
	data, err := json.Marshal(manifest.Public(spec))
	if err != nil {
		return run.Submitted{}, err
	}
	owner := g.owner.DeepCopy()
	owner.Labels[manifest.LabelKey] = manifest.KeyLabel(spec.Key)
	owner.Data = map[string]string{pod.SpecName: string(data)}
	if err := renewOwner(ctx, g.cluster, owner, spec.Server.Revision); err != nil {
		return run.Submitted{}, err
	}
	forgetOld(ctx, g.cluster, owner.Name)
	if err := mirror.AddRevision(g.folder, spec); err != nil {
		return run.Submitted{}, folder.Explain(err, "write the revision of the server in", string(g.folder))
	}
	done := run.Submitted{Spec: spec, Replaces: before, Opens: opens}
	done.Spec.Name = g.name
	return done, t.Keep(ctx, g.name)
}

// kept are the revisions of a server that are in the cluster, by their numbers.
func (g *going) kept(ctx context.Context) (map[int]*corev1.ConfigMap, error) {
	return revisionsOf(ctx, g.cluster, g.owner.Name)
}

// answered reports whether a revision did at some time.
func (g *going) answered(kept map[int]*corev1.ConfigMap, n int) bool {
	return slices.Contains(g.listed.State.Server.Answered, n) ||
		kept[n] != nil && kept[n].Annotations[manifest.AnnotationAnswered] != ""
}

// rollable finds the revision that is meant, and refuses one that the server cannot go back to. 0 is the one that
// answered before the one that answers now.
func (g *going) rollable(kept map[int]*corev1.ConfigMap, revision int) (int, error) {
	now := g.listed.State.Server.Revision
	if revision == 0 {
		for n := range kept {
			if n < cmp.Or(now, manifest.RevisionOf(g.deployment.Spec.Template.Labels)) && g.answered(kept, n) {
				revision = max(revision, n)
			}
		}
		if revision == 0 {
			return 0, run.NoneBefore(g.name)
		}
	}
	return revision, g.listed.State.Server.CheckBack(g.name, revision, run.Past{
		Known:    kept[revision] != nil,
		Answered: g.answered(kept, revision),
		Original: func(n int) int { return original(kept, g.owner.Name, n) },
	})
}

// original is the revision that a revision is a copy of, or itself.
func original(revisions map[int]*corev1.ConfigMap, server string, n int) int {
	if revisions[n] != nil {
		if spec, err := manifest.ReadOwnerOf(revisions[n], server); err == nil && spec.Server.Of > 0 {
			return spec.Server.Of
		}
	}
	return n
}

// again makes another revision that is a copy of one. It is nil if somebody else has taken the number.
func (g *going) again(
	ctx context.Context, kept map[int]*corev1.ConfigMap, revision int,
) (*corev1.ConfigMap, run.Spec, error) {
	spec, err := manifest.ReadOwnerOf(kept[revision], g.owner.Name)
	if err != nil {
		return nil, spec, err
	}
	number := newest(kept) + 1
	spec.ID = g.listed.Spec.ID
	spec.Created = time.Now().UTC()
	spec.Server.Of, spec.Server.Revision = cmp.Or(spec.Server.Of, revision), number
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, spec, err
	}
	object := kept[revision].DeepCopy()
	object.ObjectMeta = metav1.ObjectMeta{
		Name: manifest.RevisionName(g.owner.Name, number), Namespace: object.Namespace, Labels: object.Labels,
		OwnerReferences: []metav1.OwnerReference{manifest.OwnedBy(g.owner)},
		Annotations:     map[string]string{manifest.AnnotationUser: object.Annotations[manifest.AnnotationUser]},
	}
	object.Labels[manifest.LabelRevision] = strconv.Itoa(number)
	object.Data[pod.SpecName] = string(data)
	made, err := g.cluster.Core.ConfigMaps(g.cluster.Namespace).Create(ctx, object, created)
	if apierrors.IsAlreadyExists(err) {
		return nil, spec, nil
	}
	if err != nil {
		return nil, spec, g.cluster.Explain(err, "roll server "+g.name+" back")
	}
	return made, spec, nil
}
