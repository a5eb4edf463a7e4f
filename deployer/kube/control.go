package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/halt"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/mirror"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// adopt makes the mirror of a run that was submitted elsewhere, if there is none.
func (p *Place) adopt(ctx context.Context, owner *corev1.ConfigMap) error {
	f := folder.In(p.mirrors.Dir, owner.Name)
	spec, err := manifest.ReadOwner(owner)
	if err != nil {
		return err
	}
	if here, err := f.ReadSpec(); err == nil {
		if here.ID == spec.ID {
			_ = os.Remove(f.GoneFile()) // somebody has made its objects again; mostly there is none
			return nil
		}
		// Another run had the name, which is no longer in the cluster.
		if err := setAside(f, here); err != nil {
			return folder.Explain(err, "move aside", string(f))
		}
	}
	if spec.Kind == run.Serve {
		return p.mirror(spec, nil, owner.Data[pod.LockName], "")
	}
	var table []run.Row
	object, err := p.cluster.Core.ConfigMaps(p.cluster.Namespace).Get(ctx, manifest.TableName(owner.Name),
		metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err): // it is being submitted, or deleted
	case err != nil:
		return p.cluster.Explain(err, "read the hyperparameters of run "+owner.Name)
	default:
		if table, err = folder.ParseTable(bytes.NewReader(object.BinaryData[pod.TableName])); err != nil {
			return fmt.Errorf("read the hyperparameters of run %s: %w", owner.Name, err)
		}
	}
	return p.mirror(spec, table, owner.Data[pod.LockName], "")
}

// setAside gives a mirror another name, under which it is read as before.
func setAside(f folder.Run, spec run.Spec) error {
	name := spec.Name + "-of-" + spec.Created.Format("20060102-150405")
	f.Disclaim()
	to := folder.In(f.Parent(), name)
	if err := os.Rename(string(f), string(to)); err != nil {
		return err
	}
	spec.Name = name
	return folder.ReplaceJSON(to.Spec(), spec)
}

// Discover makes the mirrors of our runs in the cluster, and brings those that nobody follows up to date.
func (p *Place) Discover(ctx context.Context) error {
	owners, err := p.owners(ctx, "", "")
	if err == nil && len(owners) == 0 {
		err = p.cluster.CheckNamespace(ctx)
	}
	if err != nil {
		return err
	}
	tasks, err := p.lookAfterLost(ctx, owners)
	if err != nil {
		return err
	}
	for i := range owners {
		tasks = append(tasks, func() error {
			if err := p.adopt(ctx, &owners[i]); err != nil {
				return err
			}
			f := folder.In(p.mirrors.Dir, owners[i].Name)
			_, resumed := owners[i].Annotations[manifest.AnnotationResumed]
			if ended, _ := f.ReadSummary(run.Spec{}); ended != nil && !resumed {
				return nil // all of it is here
			}
			return mirror.Once(ctx, p.cluster, f)
		})
	}
	return together(tasks)
}

// lookAfterLost gives what is to do about the mirrors of runs that are not among ours in the cluster.
func (p *Place) lookAfterLost(ctx context.Context, owners []corev1.ConfigMap) ([]func() error, error) {
	names, err := folder.Names(p.mirrors.Dir)
	if err != nil {
		return nil, err
	}
	var tasks []func() error
	for _, name := range names {
		f := folder.In(p.mirrors.Dir, name)
		if slices.ContainsFunc(owners, func(o corev1.ConfigMap) bool { return o.Name == name }) || f.Gone() ||
			f.MarkedGone() {
			continue
		}
		if _, err := f.ReadSpec(); err != nil {
			continue // a list says that it is damaged
		}
		tasks = append(tasks, func() error { return mirror.Once(ctx, p.cluster, f) })
	}
	return tasks, nil
}

// found reads the run's owner. The run may have been deleted by somebody else, or another may have its name.
func (t *Target) found(ctx context.Context, name string) (*cluster.Cluster, folder.Run, *corev1.ConfigMap, error) {
	c, f, err := t.of(name)
	if err != nil {
		return nil, f, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	bare := run.ParseName(name).Run
	owner, err := c.Core.ConfigMaps(c.Namespace).Get(ctx, bare, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return c, f, nil, c.Explain(err, "read run "+bare)
	}
	here, readErr := f.ReadSpec()
	if err == nil && readErr == nil {
		if spec, err := manifest.ReadOwner(owner); err == nil && spec.ID == here.ID {
			return c, f, owner, nil
		}
	}
	if readErr == nil {
		if err := f.MarkGone(); err != nil {
			return c, f, nil, err
		}
	}
	return c, f, nil, gone(name)
}

func gone(name string) error {
	return &usererror.Error{
		Code: usererror.CodeDeleted, Text: fmt.Sprintf("run %s is kept here and no longer in the cluster", name),
		Hint: "metaml delete " + name + " removes what is kept.",
	}
}

// Stop requests the end of a run, or of one of its trials: they get 30 seconds to save something; with now they are
// killed. It does not wait for the end.
func (t *Target) Stop(ctx context.Context, name string, trial *int, now bool) error {
	reader := record.Reader{Dir: t.Dir}
	l, err := reader.Exactly(name)
	if err != nil {
		return err
	}
	c, f, owner, err := t.found(ctx, name)
	if err != nil {
		return err
	}
	if l.Spec.Kind == run.Serve {
		if trial != nil {
			return l.CheckTrial(*trial)
		}
		return t.stopServer(ctx, c, &l, now)
	}
	stop := pod.Stop{All: trial == nil, Now: now, Round: 1}
	if trial != nil {
		if err := l.CheckTrial(*trial); err != nil {
			return err
		}
		stop.Trials = []int{*trial}
	}
	jobs, err := jobsOf(ctx, c, owner, "stop")
	if err != nil {
		return err
	}
	if len(jobs) > 0 {
		stop.Round = manifest.Round(manifest.Last(jobs))
	}
	if err := halt.Request(ctx, c, owner.Name, stop); err != nil {
		return err
	}
	if err := mirror.Halt(ctx, c, f); err != nil {
		return err
	}
	return t.Keep(ctx, name)
}

// jobsOf lists the Jobs of a run: one, and one more for each time it was resumed. do is what they are listed for.
func jobsOf(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap, do string) ([]batchv1.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	jobs, err := c.Batch.Jobs(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: manifest.TrialsOf(owner.Name)})
	if err != nil {
		return nil, c.Explain(err, do+" run "+owner.Name)
	}
	return jobs.Items, nil
}

// Resume goes on with what a run left unfinished, as another Job.
func (t *Target) Resume(ctx context.Context, name string) error {
	c, f, owner, err := t.found(ctx, name)
	if err != nil {
		return err
	}
	if err := mirror.Once(ctx, c, f); err != nil {
		return err
	}
	l, err := (&record.Reader{Dir: t.Dir}).Exactly(name)
	if err != nil {
		return err
	}
	if !l.State.Phase.Final() && l.Spec.Kind == run.Serve && !f.Monitored() {
		return t.Keep(ctx, name) // it is going, and nobody here follows it
	}
	if !l.State.Phase.Final() {
		return &usererror.Error{
			Code: usererror.CodeActive, Text: fmt.Sprintf("run %s is going already", name),
			Hint: "metaml attach " + name + " shows it.",
		}
	}
	if l.Spec.Kind == run.Serve {
		return t.resumeServer(ctx, c, f, owner, &l)
	}
	var rows []pod.Row
	for i := range l.State.Trials {
		if tr := &l.State.Trials[i]; tr.Unfinished() {
			rows = append(rows, pod.Row{Trial: tr.Index, Attempts: tr.Attempt})
		}
	}
	if len(rows) == 0 {
		return &usererror.Error{
			Code: usererror.CodeFinished, Text: fmt.Sprintf("run %s has no unfinished trial", name),
			Hint: "A trial that failed by its own code is not run again; --again makes a new run.",
		}
	}
	if err := goOn(ctx, c, owner, rows); err != nil {
		return err
	}
	_ = os.Remove(f.SeenFile()) // nobody has seen how it will end now
	if err := mirror.Once(ctx, c, f); err != nil {
		return err
	}
	return t.Keep(ctx, name)
}

// goOn makes another Job of a run, like its last one.
func goOn(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap, rows []pod.Row) error {
	doing := "resume run " + owner.Name
	jobs, err := jobsOf(ctx, c, owner, "resume")
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		return &usererror.Error{
			Code: usererror.CodeDeleted,
			Text: fmt.Sprintf("the Job of run %s is gone, so it cannot be resumed", owner.Name),
			Hint: "Run its cell again with --again.",
		}
	}
	data, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	job := manifest.Resumed(owner, manifest.Last(jobs), len(jobs), len(rows))
	if err := halt.Forget(ctx, c, owner); err != nil {
		return err
	}
	if _, err := c.Core.ConfigMaps(c.Namespace).
		Create(ctx, manifest.RowsOf(owner, job.Name, data), created); err != nil {
		return c.Explain(err, doing)
	}
	if _, err := c.Batch.Jobs(c.Namespace).Create(ctx, job, created); err != nil {
		return c.Explain(err, doing)
	}
	// It was ended with the run. Without one there are no live curves, which whoever follows the run says.
	_ = mirror.SuspendMonitor(ctx, c, owner.Name, false)
	return nil
}

// Delete removes a run that is not active, in the cluster and here.
func (t *Target) Delete(ctx context.Context, name string) error {
	c, f, owner, err := t.found(ctx, name)
	if u, ok := errors.AsType[*usererror.Error](err); ok && u.Code == usererror.CodeDeleted {
		return removeMirror(ctx, f)
	}
	if err != nil {
		return err
	}
	jobs, err := jobsOf(ctx, c, owner, "delete")
	if err != nil {
		return err
	}
	going := manifest.Going(owner, jobs)
	if owner.Labels[manifest.LabelKind] == string(run.Serve) {
		if going, err = serverGoes(ctx, c, owner.Name); err != nil {
			return err
		}
	}
	if going {
		return &usererror.Error{
			Code: usererror.CodeActive, Text: fmt.Sprintf("run %s is still going", name),
			Hint: "metaml stop " + name + " ends it first.",
		}
	}
	// The owner last: as long as it is there, a deletion that was cut short can be repeated.
	if err := removeUnowned(ctx, c, owner, jobs); err != nil {
		return c.Explain(err, "delete run "+owner.Name)
	}
	if err := removeOwner(ctx, c, owner.Name, owner.UID); err != nil {
		return err
	}
	if err := vanished(ctx, c, owner.Name); err != nil {
		return err
	}
	return removeMirror(ctx, f)
}

// removeUnowned deletes what belongs to a run by its labels alone, as all of an exported run does.
func removeUnowned(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap, jobs []batchv1.Job) error {
	maps, err := c.Core.ConfigMaps(c.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: manifest.LabelRun + "=" + owner.Name,
	})
	if err != nil {
		return err
	}
	var tasks []func() error
	add := func(o *metav1.ObjectMeta, remove func(context.Context, string, metav1.DeleteOptions) error) {
		if manifest.BelongsTo(o, owner) || o.UID == owner.UID ||
			o.Labels[manifest.LabelManagedBy] != manifest.ManagedBy {
			return
		}
		policy := metav1.DeletePropagationBackground
		options := metav1.DeleteOptions{PropagationPolicy: &policy, Preconditions: &metav1.Preconditions{UID: &o.UID}}
		tasks = append(tasks, func() error {
			if err := remove(ctx, o.Name, options); !apierrors.IsNotFound(err) {
				return err
			}
			return nil
		})
	}
	for i := range jobs {
		add(&jobs[i].ObjectMeta, c.Batch.Jobs(c.Namespace).Delete)
	}
	for i := range maps.Items {
		add(&maps.Items[i].ObjectMeta, c.Core.ConfigMaps(c.Namespace).Delete)
	}
	return together(tasks)
}

// vanish bounds how long the cluster may take to delete what belongs to a run.
const vanish = time.Minute

// vanished waits until nothing of a run is in the cluster.
func vanished(ctx context.Context, c *cluster.Cluster, name string) error {
	ctx, cancel := context.WithTimeoutCause(
		ctx,
		vanish,
		fmt.Errorf("the cluster has not deleted all of run %s within %s",
			name, vanish),
	)
	defer cancel()
	pick := metav1.ListOptions{LabelSelector: manifest.LabelRun + "=" + name, Limit: 1}
	for {
		var left int
		maps, err := c.Core.ConfigMaps(c.Namespace).List(ctx, pick)
		if err == nil {
			left += len(maps.Items)
			var jobs *batchv1.JobList
			if jobs, err = c.Batch.Jobs(c.Namespace).List(ctx, pick); err == nil {
				left += len(jobs.Items)
				var pods *corev1.PodList
				if pods, err = c.Core.Pods(c.Namespace).List(ctx, pick); err == nil {
					left += len(pods.Items)
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			return c.Explain(err, "delete run "+name)
		}
		if err == nil && left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// removeMirror removes what is kept of a run here.
func removeMirror(ctx context.Context, f folder.Run) error {
	for end := time.Now().Add(5 * time.Second); f.Monitored() && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	aside := filepath.Join(f.Parent(), ".deleted-"+filepath.Base(string(f)))
	if err := os.RemoveAll(aside); err != nil {
		return folder.Explain(err, "delete", aside)
	}
	if err := os.Rename(string(f), aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return folder.Explain(err, "delete", string(f))
	}
	f.Disclaim()
	if err := os.RemoveAll(aside); err != nil {
		return folder.Explain(err, "delete", aside)
	}
	return nil
}
