package mirror

import (
	"context"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/metaml/metaml/deployer/kube/manifest"
)

// serverWatching is what informers hold of a server's objects.
type serverWatching struct {
	owners, deployments, pod cache.SharedIndexInformer
	ways                     [3]way // of each of them
	all                      sync.WaitGroup
}

// watchServer starts the informers of a server, until ctx ends.
func (v *server) watchServer(ctx context.Context) *serverWatching {
	ns, c := v.cluster.Namespace, v.cluster
	w := &serverWatching{}
	for i := range w.ways {
		w.ways[i].changed = v.wake
	}
	owner := v.selector() + "," + manifest.LabelComponent + "=" + manifest.ComponentRun
	w.owners = v.informServer(&corev1.ConfigMap{}, w.ways[0].lists(owner,
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Core.ConfigMaps(ns).List(ctx, o)
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Core.ConfigMaps(ns).Watch(ctx, o)
		}))
	w.deployments = v.informServer(&appsv1.Deployment{}, w.ways[1].lists(manifest.ServerOf(v.name),
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Apps.Deployments(ns).List(ctx, o)
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Apps.Deployments(ns).Watch(ctx, o)
		}))
	w.pod = v.informServer(&corev1.Pod{}, w.ways[2].lists(manifest.ServerOf(v.name),
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Core.Pods(ns).List(ctx, o)
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Core.Pods(ns).Watch(ctx, o)
		}))
	for _, i := range []cache.SharedIndexInformer{w.owners, w.deployments, w.pod} {
		w.all.Go(func() { i.RunWithContext(ctx) })
	}
	return w
}

func (v *server) informServer(of runtime.Object, from *cache.ListWatch) cache.SharedIndexInformer {
	i := cache.NewSharedIndexInformer(from, of, 0, cache.Indexers{})
	// Both fail only when the informer runs already.
	_ = i.SetTransform(func(o any) (any, error) {
		if m, ok := o.(metav1.Object); ok {
			m.SetManagedFields(nil)
		}
		return o, nil
	})
	_ = i.SetWatchErrorHandler(func(*cache.Reflector, error) {}) // the way has it
	_, _ = i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { v.wake() },
		UpdateFunc: func(any, any) { v.wake() },
		DeleteFunc: func(any) { v.wake() },
	})
	return i
}

// wait waits for the end of the informers, after their context has ended.
func (w *serverWatching) wait() { w.all.Wait() }

// state says whether all was listed once, and what has been wrong for some time.
func (w *serverWatching) state() (synced bool, err error) {
	synced = w.owners.HasSynced() && w.deployments.HasSynced() && w.pod.HasSynced()
	for i := range w.ways {
		if err := w.ways[i].trouble(!synced); err != nil {
			return synced, err
		}
	}
	return synced, nil
}

// seen is what the informers hold now.
func (w *serverWatching) seen(v *server) serverSeen {
	s := serverSeen{now: time.Now()}
	for _, o := range w.owners.GetStore().List() {
		if c, ok := o.(*corev1.ConfigMap); ok && c.Name == v.name {
			s.owner = ours(c, &v.spec)
		}
	}
	if s.owner == nil {
		return s
	}
	for _, o := range w.deployments.GetStore().List() {
		if d, ok := o.(*appsv1.Deployment); ok && d.Name == v.name {
			s.deployment = d
		}
	}
	for _, o := range w.pod.GetStore().List() {
		if p, ok := o.(*corev1.Pod); ok {
			s.pods = append(s.pods, p)
		}
	}
	return s
}
