package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"path"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// kueue is the group of Kueue's objects.
const kueue = "kueue.x-k8s.io"

// CheckQueue refuses a queue in which a run would wait for ever: the cluster has no Kueue, or the namespace not that
// queue. Many may not read queues; then it is taken to be there.
func (c *Cluster) CheckQueue(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	get := func(p ...string) ([]byte, error) {
		return c.Core.RESTClient().Get().SetHeader("Accept", "application/json").
			AbsPath(path.Join(append([]string{"/apis"}, p...)...)).DoRaw(ctx)
	}
	data, err := get(kueue)
	if apierrors.IsNotFound(err) {
		return usererror.New(usererror.CodeTarget, "cluster %s has no Kueue, which starts the runs of a queue",
			c.Context).
			With("Leave --queue %s out, or ask an administrator to install Kueue.", name)
	}
	var group metav1.APIGroup
	if err != nil || json.Unmarshal(data, &group) != nil {
		return nil // the other requests say what is wrong
	}
	queues := path.Join(group.PreferredVersion.GroupVersion, "namespaces", c.Namespace, "localqueues")
	if _, err := get(queues, name); !apierrors.IsNotFound(err) {
		return nil // it is there, or may not be read
	}
	missing := usererror.New(usererror.CodeOption, "namespace %s of cluster %s has no queue %s", c.Namespace, c.Context,
		name)
	if data, err = get(queues); err != nil {
		return missing.With("Ask an administrator of the namespace which queues it has.")
	}
	var list metav1.PartialObjectMetadataList
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("read the queues of namespace %s: %w", c.Namespace, err)
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	if len(names) == 0 {
		return missing.With("It has none; ask an administrator for one, or leave --queue out.")
	}
	return missing.With("It has %s.", prose.List(names))
}
