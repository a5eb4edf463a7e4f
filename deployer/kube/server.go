package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/mirror"
	"github.com/metaml/metaml/deployer/kube/rollout"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Server gives the active server of which spec would be another revision, or nil.
func (p *Place) Server(ctx context.Context, spec run.Spec) (*run.Listed, error) {
	owner, err := p.server(ctx, &spec)
	if err != nil || owner == nil {
		return nil, err
	}
	if err := p.adopt(ctx, owner); err != nil {
		return nil, err
	}
	if err := mirror.Once(ctx, p.cluster, folder.In(p.mirrors.Dir, owner.Name)); err != nil {
		return nil, err
	}
	l, err := (&record.Reader{Dir: p.target.Dir}).Exactly(p.whole(owner.Name))
	if err != nil || !l.Active() {
		return nil, err
	}
	return &l, nil
}

// server finds the owner of the active server of which spec would be another revision.
func (p *Place) server(ctx context.Context, spec *run.Spec) (*corev1.ConfigMap, error) {
	owners, err := p.owners(ctx, manifest.LabelServer, manifest.ServerLabel(spec))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(owners, func(a, b corev1.ConfigMap) int {
		return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
	})
	for i := range owners {
		owner := &owners[i]
		if owner.DeletionTimestamp != nil || stopping(owner) {
			continue
		}
		deployment, err := rollout.Get(ctx, p.cluster, owner.Name)
		if err != nil {
			return nil, err
		}
		if deployment == nil && time.Since(owner.CreationTimestamp.Time) > half ||
			deployment != nil && (deployment.Spec.Replicas == nil || *deployment.Spec.Replicas == 0) {
			continue
		}
		return owner, nil
	}
	return nil, nil
}

// stopping reports whether the end of a whole server was requested.
func stopping(owner *corev1.ConfigMap) bool {
	stop, err := pod.ParseStop([]byte(owner.Data[pod.StopName]))
	return err == nil && stop.All
}

// serverName is what the Service of a server is called, and so the server: a label of DNS that begins with a letter
// (RFC 1035), in which there is room for the number of a ReplicaSet and of a pod.
func checkServerName(series string) error {
	if len(series) > 0 && series[0] >= 'a' && series[0] <= 'z' {
		return nil
	}
	return usererror.New(usererror.CodeName, "%q cannot be the name of a server in a cluster: a Service begins with a "+
		"letter", series).With("Name it: --name NAME.")
}

// addServer is what checked does of a server.
func (p *Place) addServer(ctx context.Context, load *shipment, s *run.Submission) error {
	if err := checkServerName(load.run.Spec.Series); err != nil {
		return err
	}
	if err := p.addReach(ctx, load); err != nil {
		return err
	}
	return p.addModel(ctx, load, s)
}

// submitServer makes another revision of the server that is there, or a server.
func (p *Place) submitServer(
	ctx context.Context, s run.Submission, load *shipment, build run.Build, progress func(run.Event),
) (run.Submitted, error) {
	t, err := p.takeRevision(ctx, load, s.Again)
	if err != nil {
		return run.Submitted{}, err
	}
	if t.attached != nil {
		return p.attachServer(ctx, t, s.Spec)
	}
	if t.pending != "" {
		progress(run.Event{Type: run.EventNote, Time: time.Now(), Code: run.NoteWaiting, Text: t.pending})
	}
	progress(run.Event{
		Type: run.EventNote, Time: time.Now(),
		Text: fmt.Sprintf("sending %.1f MiB to %s", float64(load.size())/(1<<20), p.mirrors.Place),
	})
	if err := p.makeRevision(ctx, t, load); err != nil {
		return run.Submitted{}, errors.Join(err, p.takeBack(context.WithoutCancel(ctx), t))
	}
	done := run.Submitted{Spec: load.run.Spec, Replaces: t.before, Token: t.token}
	done.Opens = t.locked && !load.run.Spec.Server.Locked()
	done.Spec.Name = p.whole(t.owner.Name)
	f := folder.In(p.mirrors.Dir, t.owner.Name)
	if t.first {
		if err := p.mirror(load.run.Spec, nil, load.run.Lock, ""); err != nil {
			return done, err
		}
	}
	if err := mirror.AddRevision(f, load.run.Spec); err != nil {
		return done, folder.Explain(err, "write the revision of the server in", string(f))
	}
	if t.first {
		if err := load.begin(f, build); err != nil {
			return done, err
		}
	}
	return done, p.target.Keep(ctx, done.Spec.Name)
}

// attachServer is a submission of what a server does already, or is about to. It gets as many replicas as the cell
// says, unless it was scaled.
func (p *Place) attachServer(ctx context.Context, t *taken, asked run.Spec) (run.Submitted, error) {
	done := run.Submitted{Spec: *t.attached, Attached: true, Replaces: t.before}
	done.Spec.Name = p.whole(t.owner.Name)
	current, says := t.attached.Server, asked.Server.Wanted()
	scaling := scaledFrom(t.replicas, done.Spec.Name, current, says)
	if scaling.Note != "" {
		done.Differs = []string{scaling.Note}
	}
	if scaling.Change {
		if err := resize(ctx, p.cluster, t.owner, says); err != nil {
			return run.Submitted{}, err
		}
	}
	if says != current.Wanted() {
		spec := *t.attached
		spec.Server = new(*current)
		spec.Server.Want(says)
		spec.Completions = spec.WorkersOf(0)
		spec.Parallelism = spec.Completions
		if err := p.rewrite(ctx, t.owner.Name, spec); err != nil {
			return run.Submitted{}, err
		}
		done.Spec.Server = spec.Server
	}
	return done, p.target.Keep(ctx, done.Spec.Name)
}

// rewrite notes what a revision is now, where it is kept in the cluster and here.
func (p *Place) rewrite(ctx context.Context, server string, spec run.Spec) error {
	data, err := json.Marshal(manifest.Public(spec))
	if err != nil {
		return fmt.Errorf("write revision %d of server %s: %w", spec.Server.Revision, server, err)
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]string{pod.SpecName: string(data)}})
	if err != nil {
		return err
	}
	maps := p.cluster.Core.ConfigMaps(p.cluster.Namespace)
	for _, name := range []string{manifest.RevisionName(server, spec.Server.Revision), server} {
		if _, err := maps.Patch(ctx, name, types.MergePatchType, patch,
			metav1.PatchOptions{FieldManager: manager}); err != nil {
			return p.cluster.Explain(err, "note the replicas of server "+server)
		}
	}
	f := folder.In(p.mirrors.Dir, server)
	return folder.Explain(mirror.AddRevision(f, spec), "write the revision of the server in", string(f))
}

// taken is a revision whose number is ours.
type taken struct {
	owner    *corev1.ConfigMap
	revision *corev1.ConfigMap
	attached *run.Spec    // this one is there already; then there is no other
	first    bool         // it is a new server
	before   int          // the revision that the server is to run now; 0: none
	replicas run.Replicas // that the server has
	answered int          // the latest revision that did; 0: none
	locked   bool         // before asks for a token
	token    string       // of the server, where this submission made it
	pending  string       // what is said of a revision that has not answered yet, and is given up for this one
}

// takeRevision makes the object by which a revision has its number, and the owner of a new server before it.
func (p *Place) takeRevision(ctx context.Context, load *shipment, again bool) (*taken, error) {
	r := &load.run
	spec := &r.Spec
	hosts := spec.Server.Hosts
	for range 50 { // others who submit the same server at this moment
		t := &taken{}
		var err error
		if t.owner, err = p.server(ctx, spec); err != nil {
			return nil, err
		}
		number := 1
		if t.owner == nil {
			t.first = true
			n, err := p.next(ctx, spec.Series)
			if err != nil {
				return nil, err
			}
			spec.Name = fmt.Sprintf("%s-%d", spec.Series, n)
		} else {
			of, err := manifest.ReadOwner(t.owner)
			if err != nil {
				return nil, err
			}
			now, err := p.revisions(ctx, t)
			if err != nil {
				return nil, err
			}
			if now.current != nil && now.current.Key == spec.Key && !again {
				t.attached = now.current
				return t, nil
			}
			number, spec.Name, spec.ID = now.newest+1, of.Name, of.ID
			if now.current != nil { // what somebody scaled it to stays
				t.replicas = scaledFrom(t.replicas, of.Name, now.current.Server, spec.Server.Wanted()).Replicas
			}
		}
		spec.Server = new(*spec.Server)
		spec.Server.Revision, spec.Server.Replaces = number, t.answered
		spec.Server.Hosts = withNames(hosts, manifest.Names(spec.Name, p.cluster.Namespace),
			manifest.ReachHosts(spec.Server))
		if t.first {
			if t.owner, err = p.makeOwner(ctx, load); err != nil {
				return nil, err
			}
			if t.owner == nil {
				continue
			}
		}
		object, err := r.Revision(t.owner)
		if err != nil {
			return nil, err
		}
		t.revision, err = p.cluster.Core.ConfigMaps(p.cluster.Namespace).Create(ctx, object, created)
		switch {
		case err == nil:
			return t, nil
		case apierrors.IsAlreadyExists(err): // somebody else has the number
		default:
			return nil, p.cluster.Explain(err, fmt.Sprintf("make revision %d of server %s", number, spec.Name))
		}
	}
	return nil, fmt.Errorf("find a free number for a revision of %s: others took 50 of them meanwhile", spec.Series)
}

// withNames adds the names that a server has in its cluster, and outside of it, to those that it is set to have.
func withNames(hosts ...[]string) []string {
	all := slices.Concat(hosts...)
	slices.Sort(all)
	return slices.Compact(all)
}

// makeOwner makes the owner of a new server; it is nil if somebody else has taken the name.
func (p *Place) makeOwner(ctx context.Context, load *shipment) (*corev1.ConfigMap, error) {
	object, err := load.run.Owner()
	if err != nil {
		return nil, err
	}
	owner, err := p.cluster.Core.ConfigMaps(p.cluster.Namespace).Create(ctx, object, created)
	if apierrors.IsAlreadyExists(err) {
		return nil, p.foreign(ctx, &load.run.Spec)
	}
	if err != nil {
		return nil, p.cluster.Explain(err, "make server "+load.run.Spec.Name)
	}
	return owner, nil
}

// revisionsOf reads the revisions of a server that are in the cluster, by their numbers.
func revisionsOf(ctx context.Context, c *cluster.Cluster, server string) (map[int]*corev1.ConfigMap, error) {
	list, err := c.Core.ConfigMaps(c.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: manifest.RevisionsOf(server),
	})
	if err != nil {
		return nil, c.Explain(err, "read the revisions of server "+server)
	}
	all := map[int]*corev1.ConfigMap{}
	for i := range list.Items {
		if n := manifest.RevisionOf(list.Items[i].Labels); n > 0 {
			all[n] = &list.Items[i]
		}
	}
	return all, nil
}

// newest is the highest number that was taken.
func newest(revisions map[int]*corev1.ConfigMap) (n int) {
	for number := range revisions {
		n = max(n, number)
	}
	return n
}

// revisionsNow are the revisions of a server.
type revisionsNow struct {
	newest  int       // the highest number that was taken
	current *run.Spec // what the Deployment runs, or is about to; nil where that is not known
}

// revisions reads the revisions of a server.
func (p *Place) revisions(ctx context.Context, t *taken) (now revisionsNow, err error) {
	all, err := revisionsOf(ctx, p.cluster, t.owner.Name)
	if err != nil {
		return now, err
	}
	deployment, err := rollout.Get(ctx, p.cluster, t.owner.Name)
	if err != nil {
		return now, err
	}
	if deployment != nil {
		t.before = manifest.RevisionOf(deployment.Spec.Template.Labels)
		if t.replicas, _, err = rollout.Replicas(ctx, p.cluster, deployment); err != nil {
			return now, err
		}
	}
	now.newest = newest(all)
	for n, revision := range all {
		if revision.Annotations[manifest.AnnotationAnswered] != "" {
			t.answered = max(t.answered, n)
		}
	}
	if revision := all[t.before]; revision != nil {
		t.pending = notYet(revision, t.before)
		if spec, err := manifest.ReadOwnerOf(revision, t.owner.Name); err == nil {
			now.current, t.locked = &spec, spec.Server.Locked()
		}
	}
	return now, nil
}

// notYet says of a revision which has not answered yet that it is given up, so that who is about to submit another
// knows that somebody else, perhaps, waits for it. It is "" of one that has answered.
func notYet(revision *corev1.ConfigMap, n int) string {
	if revision.Annotations[manifest.AnnotationAnswered] != "" {
		return ""
	}
	return fmt.Sprintf("revision %d, which %s submitted %s ago, has not answered yet: this one takes its place", n,
		revision.Annotations[manifest.AnnotationUser],
		prose.Duration(time.Since(revision.CreationTimestamp.Time).Round(time.Second)))
}

// makeRevision makes everything that belongs to a revision, and has the server run it.
func (p *Place) makeRevision(ctx context.Context, t *taken, load *shipment) error {
	r, c := &load.run, p.cluster
	spec := &r.Spec
	maps := c.Core.ConfigMaps(c.Namespace)
	var tasks []func() error
	for i, part := range load.program {
		object := r.Program(t.revision, i, part)
		tasks = append(tasks, func() error { _, err := maps.Create(ctx, object, created); return err })
	}
	for i, part := range load.model {
		object := r.Model(t.revision, i, part)
		tasks = append(tasks, func() error { _, err := maps.Create(ctx, object, created); return err })
	}
	secrets := []*corev1.Secret{r.Key(t.revision, load.key)}
	if r.Options.PullLogin != nil {
		secrets = append(secrets, r.Pull(t.revision))
	}
	for _, s := range secrets {
		tasks = append(tasks, func() error {
			_, err := c.Core.Secrets(c.Namespace).Create(ctx, s, created)
			return err
		})
	}
	if spec.Server.Locked() {
		tasks = append(tasks, func() (err error) {
			t.token, err = p.makeToken(ctx, r, t.owner)
			return err
		})
	}
	if load.image != nil {
		tasks = append(tasks, func() error {
			return load.image.tag(ctx, fmt.Sprintf("%s-%s", t.revision.Name, spec.ID[:8]))
		})
	}
	if len(load.agent) > 0 {
		tasks = append(tasks, func() error { return p.shareAgent(ctx, r, r.Agent, load.agent, t.owner) })
	}
	tasks = append(tasks, func() (err error) {
		r.Address, err = p.makeService(ctx, r, t.owner)
		return err
	}, func() error {
		_, err := c.Policy.PodDisruptionBudgets(c.Namespace).Create(ctx, r.Budget(t.owner), created)
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	if err := together(tasks); err != nil {
		return c.Explain(err, "make the objects of server "+spec.Name)
	}
	if err := p.makeReach(ctx, t, spec.Server); err != nil {
		return err
	}
	replicas := cmp.Or(t.replicas, spec.Server.Wanted())
	if err := autoscale(ctx, c, t.owner, replicas); err != nil {
		return err
	}
	deployment, err := r.Deployment(t.owner, replicas)
	if err != nil {
		return err
	}
	if err := p.replace(ctx, t, deployment, spec.Server.Revision); err != nil {
		return err
	}
	forgetOld(ctx, p.cluster, t.owner.Name)
	object, err := r.Owner()
	if err != nil {
		return err
	}
	return renewOwner(ctx, p.cluster, object, spec.Server.Revision)
}

// makeToken makes the token of a server, which all its revisions have. It is "" where it is there already: of several
// who submit the server at this moment one makes it.
func (p *Place) makeToken(ctx context.Context, r *manifest.Run, owner *corev1.ConfigMap) (string, error) {
	secrets, token := p.cluster.Core.Secrets(p.cluster.Namespace), run.NewToken()
	object := r.ServerToken(owner, token)
	_, err := secrets.Create(ctx, object, created)
	if err == nil || !apierrors.IsAlreadyExists(err) {
		return token, err
	}
	is, err := secrets.Get(ctx, object.Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if !manifest.BelongsTo(&is.ObjectMeta, owner) {
		return "", foreignObject("Secret", object.Name, p.cluster.Namespace)
	}
	_, err = run.ReadToken(is.Data[pod.TokenName])
	if err != nil {
		err = fmt.Errorf("read the token in Secret %s: %w", object.Name, err)
	}
	return "", err
}

// forgetOld removes revisions that the Deployment cannot go back to any more. What fails is done the next time.
func forgetOld(ctx context.Context, c *cluster.Cluster, server string) {
	sets, err := c.Apps.ReplicaSets(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: manifest.ServerOf(server)})
	if err != nil {
		return
	}
	all, err := revisionsOf(ctx, c, server)
	if err != nil {
		return
	}
	needed := map[int]bool{}
	for i := range sets.Items {
		n := manifest.RevisionOf(sets.Items[i].Spec.Template.Labels)
		needed[n], needed[original(all, server, n)] = true, true // a copy has the objects of the other one
	}
	last := newest(all)
	for n, revision := range all {
		if !needed[n] && n < last-manifest.History { // the newest may be on their way to the Deployment
			_ = removeOwner(ctx, c, revision.Name, revision.UID)
		}
	}
}

// foreignObject refuses a name that an object of somebody else has.
func foreignObject(kind, name, namespace string) error {
	return usererror.New(usererror.CodeName, "a %s %q that is no server of ours is in namespace %s already", kind, name,
		namespace).With("Give the server another name: --name NAME.")
}

// makeService makes the Service of a server, or gives the one that is there the port of this revision.
func (p *Place) makeService(ctx context.Context, r *manifest.Run, owner *corev1.ConfigMap) (address string, err error) {
	services := p.cluster.Core.Services(p.cluster.Namespace)
	object := r.Service(owner)
	made, err := services.Create(ctx, object, created)
	if apierrors.IsAlreadyExists(err) {
		if made, err = services.Get(ctx, object.Name, metav1.GetOptions{}); err != nil {
			return "", err
		}
		if !manifest.BelongsTo(&made.ObjectMeta, owner) {
			return "", foreignObject("Service", object.Name, p.cluster.Namespace)
		}
		if made.Spec.Ports[0].Port != object.Spec.Ports[0].Port {
			patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ports": object.Spec.Ports}})
			if err != nil {
				return "", err
			}
			if made, err = services.Patch(ctx, object.Name, types.MergePatchType, patch,
				metav1.PatchOptions{FieldManager: manager}); err != nil {
				return "", err
			}
		}
	}
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(made.Spec.ClusterIP, strconv.Itoa(int(made.Spec.Ports[0].Port))), nil
}

// replace has the Deployment run a revision, unless it runs a later one by now.
func (p *Place) replace(ctx context.Context, t *taken, to *appsv1.Deployment, revision int) error {
	c, server := p.cluster, t.owner.Name
	return rollout.Until(ctx, c, server, func(now *appsv1.Deployment) (done bool, err error) {
		if now == nil {
			_, err := c.Apps.Deployments(c.Namespace).Create(ctx, to, created)
			if apierrors.IsAlreadyExists(err) {
				is, getErr := rollout.Get(ctx, c, server)
				if getErr == nil && is == nil {
					return false, foreignObject("Deployment", to.Name, c.Namespace)
				}
				return false, nil // somebody else was faster with another revision
			}
			return true, c.Explain(err, "make the Deployment of server "+server)
		}
		at := manifest.RevisionOf(now.Spec.Template.Labels)
		if at > revision {
			return false, usererror.New(usererror.CodeRevision, "revision %d of %s was submitted while this one, "+
				"revision %d, was being made, and takes its place", at, server, revision)
		}
		t.before = at
		done, err = rollout.Replace(ctx, c, now, &to.Spec.Template, t.replicas)
		return done, c.Explain(err, "replace the revision of server "+server)
	})
}

// renewOwner writes what was submitted last into the owner, unless that is something later by now.
func renewOwner(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap, revision int) error {
	maps := c.Core.ConfigMaps(c.Namespace)
	for range 50 {
		now, err := maps.Get(ctx, owner.Name, metav1.GetOptions{})
		if err != nil {
			return c.Explain(err, "read server "+owner.Name)
		}
		if of, err := manifest.ReadOwner(now); err == nil && of.Server.Revision > revision {
			return nil
		}
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": now.ResourceVersion, "labels": owner.Labels},
			"data":     owner.Data,
		})
		if err != nil {
			return err
		}
		_, err = maps.Patch(ctx, owner.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
		if !apierrors.IsConflict(err) {
			return c.Explain(err, "note the revision of server "+owner.Name)
		}
	}
	return nil // whoever follows the server reads the revision itself
}

// takeBack removes a revision that did not come about, and with it what belongs to it.
func (p *Place) takeBack(ctx context.Context, t *taken) error {
	if !t.first {
		return p.remove(ctx, t.revision)
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	all, err := revisionsOf(ctx, p.cluster, t.owner.Name)
	if err != nil {
		return err
	}
	if len(all) > 1 { // the server is somebody else's now
		return p.remove(ctx, t.revision)
	}
	return p.remove(ctx, t.owner)
}
