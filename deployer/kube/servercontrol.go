package kube

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/halt"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/mirror"
	"github.com/metaml/metaml/deployer/kube/rollout"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Token gives the token that callers of a server must have.
func (t *Target) Token(ctx context.Context, name string) (string, error) {
	l, err := (&record.Reader{Dir: t.Dir}).Exactly(name)
	if err != nil {
		return "", err
	}
	if err := l.CheckToken(); err != nil {
		return "", err
	}
	c, _, owner, err := t.found(ctx, name)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	from := manifest.ServerTokenName(owner.Name)
	secret, err := c.Core.Secrets(c.Namespace).Get(ctx, from, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", run.NoToken(name)
	}
	if err != nil {
		return "", c.Explain(err, "read Secret "+from)
	}
	token, err := run.ReadToken(secret.Data[pod.TokenName])
	if err != nil {
		return "", fmt.Errorf("read the token in Secret %s: %w", from, err)
	}
	return token, nil
}

// stopServer requests the end of a server: its pods answer what they have, and with now they are killed.
func (t *Target) stopServer(ctx context.Context, c *cluster.Cluster, l *run.Listed, now bool) error {
	name := run.ParseName(l.Spec.Name).Run
	if err := halt.Request(ctx, c, name, pod.Stop{All: true, Now: now}); err != nil {
		return err
	}
	if err := setReplicas(ctx, c, name, 0); err != nil {
		return err
	}
	if now {
		if err := killPods(ctx, c, name); err != nil {
			return err
		}
	}
	return t.Keep(ctx, l.Spec.Name)
}

// setReplicas gives the Deployment of a server another number of pods, if there is one.
func setReplicas(ctx context.Context, c *cluster.Cluster, server string, n int) error {
	return rollout.Until(ctx, c, server, func(now *appsv1.Deployment) (done bool, err error) {
		if now == nil || now.Spec.Replicas != nil && int(*now.Spec.Replicas) == n {
			return true, nil
		}
		done, err = rollout.Scale(ctx, c, now, n)
		return done, c.Explain(err, fmt.Sprintf("have server %s have %d pods", server, n))
	})
}

// killPods ends the pods of a server at once.
func killPods(ctx context.Context, c *cluster.Cluster, server string) error {
	pods, err := c.Core.Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: manifest.ServerOf(server)})
	if err != nil {
		return c.Explain(err, "kill the pods of server "+server)
	}
	var tasks []func() error
	for i := range pods.Items {
		p := &pods.Items[i]
		tasks = append(tasks, func() error {
			err := c.Core.Pods(c.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{
				GracePeriodSeconds: new(int64), Preconditions: &metav1.Preconditions{UID: &p.UID},
			})
			if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
				return nil
			}
			return err
		})
	}
	return c.Explain(together(tasks), "kill the pods of server "+server)
}

// resumeServer has a server that was stopped, or failed, have pods again.
func (t *Target) resumeServer(
	ctx context.Context, c *cluster.Cluster, f folder.Run, owner *corev1.ConfigMap, l *run.Listed,
) error {
	d, err := rollout.Get(ctx, c, owner.Name)
	if err != nil {
		return err
	}
	if d == nil {
		return usererror.New(usererror.CodeDeleted, "the Deployment of server %s is gone, so it cannot be resumed",
			owner.Name).With("Run its cell again.")
	}
	if err := awaitFollower(ctx, f); err != nil {
		return err
	}
	if err := halt.Forget(ctx, c, owner); err != nil {
		return err
	}
	replicas := 1
	if l.Spec.Server != nil {
		wanted, _ := l.State.Server.ReplicasOf(l.Spec.Server)
		replicas = wanted.Min
	}
	if err := setReplicas(ctx, c, owner.Name, replicas); err != nil {
		return err
	}
	_ = os.Remove(f.SeenFile()) // nobody has seen how it will end now
	if err := mirror.Once(ctx, c, f); err != nil {
		return err
	}
	return t.Keep(ctx, l.Spec.Name)
}

// followerEnds is how long a process that follows a server may take to end once the record has.
const followerEnds = 10 * time.Second

// awaitFollower waits until nobody follows a server whose record has ended: whoever still does writes nothing more, and
// nobody else could.
func awaitFollower(ctx context.Context, f folder.Run) error {
	late := time.After(followerEnds)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for f.Monitored() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late:
			return usererror.New(usererror.CodeMonitor, "the process that followed server %s does not end",
				filepath.Base(string(f))).With("Try again.")
		case <-again.C:
		}
	}
	return nil
}

// serverGoes reports whether a server has pods, or is to have some.
func serverGoes(ctx context.Context, c *cluster.Cluster, server string) (bool, error) {
	d, err := rollout.Get(ctx, c, server)
	if err != nil {
		return false, err
	}
	return d != nil && (d.Spec.Replicas == nil || *d.Spec.Replicas > 0), nil
}

// StopRevision gives up a revision of a server that does not answer yet: the one before it has the pods again.
func (t *Target) StopRevision(ctx context.Context, name string, revision int) error {
	reader := record.Reader{Dir: t.Dir}
	l, err := reader.Exactly(name)
	if err != nil {
		return err
	}
	c, f, owner, err := t.found(ctx, name)
	if err != nil {
		return err
	}
	if err := l.CheckGiveUp(revision, f.Revisions()); err != nil {
		return err
	}
	answers := l.State.Server.Revision
	if answers == 0 {
		return t.stopServer(ctx, c, &l, false)
	}
	return rollout.Until(ctx, c, owner.Name, func(now *appsv1.Deployment) (done bool, err error) {
		if now == nil || manifest.RevisionOf(now.Spec.Template.Labels) != revision {
			return true, nil // it was replaced, or taken back
		}
		// Who follows the server sees that it runs an earlier revision.
		done, err = rollout.Back(ctx, c, now, answers)
		return done, c.Explain(err, fmt.Sprintf("take revision %d of server %s back", revision, name))
	})
}
