package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"path"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Plain are objects of one kind that are read and written as JSON, and registered nowhere: those of extensions, and
// those that few commands ask for. T is the type of one.
type Plain[T any] struct {
	client rest.Interface
	path   string
}

// PlainOf gives the objects of a resource, such as "ingresses" of "networking.k8s.io/v1", in a namespace or, where that
// is "", in the whole cluster.
func PlainOf[T any](c *Cluster, version, namespace, resource string) Plain[T] {
	at := path.Join("/apis", version)
	if namespace != "" {
		at = path.Join(at, "namespaces", namespace)
	}
	return Plain[T]{c.Core.RESTClient(), path.Join(at, resource)}
}

// Get reads one.
func (p Plain[T]) Get(ctx context.Context, name string) (*T, error) {
	return plain[T](ctx, p.client.Get().AbsPath(p.path, name))
}

// List reads all.
func (p Plain[T]) List(ctx context.Context) ([]T, error) {
	list, err := plain[struct {
		Items []T `json:"items"`
	}](ctx, p.client.Get().AbsPath(p.path))
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// Create makes one, or with dry only tries whether it could be made.
func (p Plain[T]) Create(ctx context.Context, object *T, manager string, dry bool) (*T, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("write an object of %s: %w", p.path, err)
	}
	return plain[T](ctx, written(p.client.Post().AbsPath(p.path), body, "application/json", manager, dry))
}

// Merge changes one by a merge patch (RFC 7386), or with dry only tries whether that could be done.
func (p Plain[T]) Merge(ctx context.Context, name string, patch []byte, manager string, dry bool) (*T, error) {
	r := p.client.Patch(types.MergePatchType).AbsPath(p.path, name)
	return plain[T](ctx, written(r, patch, string(types.MergePatchType), manager, dry))
}

// Delete removes one.
func (p Plain[T]) Delete(ctx context.Context, name string, uid types.UID) error {
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if err != nil {
		return fmt.Errorf("write the deletion of %s: %w", name, err)
	}
	_, err = plain[metav1.PartialObjectMetadata](ctx,
		p.client.Delete().AbsPath(p.path, name).Body(body).SetHeader("Content-Type", "application/json"))
	return err
}

// written is a request that changes something.
func written(r *rest.Request, body []byte, kind, manager string, dry bool) *rest.Request {
	r = r.Body(body).SetHeader("Content-Type", kind).Param("fieldManager", manager)
	if dry {
		r = r.Param("dryRun", metav1.DryRunAll)
	}
	return r
}

// plain sends a request and reads the answer.
func plain[T any](ctx context.Context, r *rest.Request) (*T, error) {
	data, err := r.SetHeader("Accept", "application/json").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	object := new(T)
	if err := json.Unmarshal(data, object); err != nil {
		return nil, fmt.Errorf("read what the cluster answers: %w", err)
	}
	return object, nil
}
