package mirror

import (
	"context"
	"maps"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
)

// watching is what informers hold of a run's objects: they list, watch, and list anew where a watch broke off or is too
// old to go on.
type watching struct {
	owners, jobs, pod cache.SharedIndexInformer
	ways              [3]way // of each of them
	all               sync.WaitGroup

	mu   sync.Mutex
	gone pods // that are no longer there, as they were last
}

// pods are those of a run, by their identity.
type pods map[types.UID]*corev1.Pod

// watch starts the informers of a run, until ctx ends. It goes on with the pods that were gone before.
func (m *mirror) watch(ctx context.Context, gone pods) *watching {
	ns, c := m.cluster.Namespace, m.cluster
	w := &watching{gone: gone}
	for i := range w.ways {
		w.ways[i].changed = m.wake
	}
	pick := m.selector()
	owners := pick + "," + manifest.LabelComponent + "=" + manifest.ComponentRun
	w.owners = w.inform(m, &corev1.ConfigMap{}, w.ways[0].lists(owners,
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Core.ConfigMaps(ns).List(ctx, o)
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Core.ConfigMaps(ns).Watch(ctx, o)
		}))
	w.jobs = w.inform(m, &batchv1.Job{}, w.ways[1].lists(pick,
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Batch.Jobs(ns).List(ctx, o)
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Batch.Jobs(ns).Watch(ctx, o)
		}))
	w.pod = w.inform(m, &corev1.Pod{}, w.ways[2].lists(pick,
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Core.Pods(ns).List(ctx, o)
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Core.Pods(ns).Watch(ctx, o)
		}))
	for _, i := range []cache.SharedIndexInformer{w.owners, w.jobs, w.pod} {
		w.all.Go(func() { i.RunWithContext(ctx) })
	}
	return w
}

// lists picks the objects with a label.
func (w *way) lists(pick string, list cache.ListWithContextFunc, watches cache.WatchFuncWithContext) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (all runtime.Object, err error) {
			o.LabelSelector = pick
			err = w.try(ctx, func(ctx context.Context) error { all, err = list(ctx, o); return err })
			return all, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (events watch.Interface, err error) {
			o.LabelSelector = pick
			err = w.try(ctx, func(ctx context.Context) error { events, err = watches(ctx, o); return err })
			return events, err
		},
	}
}

func (w *watching) inform(m *mirror, of runtime.Object, from *cache.ListWatch) cache.SharedIndexInformer {
	i := cache.NewSharedIndexInformer(from, of, 0, cache.Indexers{})
	// Both fail only when the informer runs already.
	_ = i.SetTransform(new(slimmer).slim)
	_ = i.SetWatchErrorHandler(func(*cache.Reflector, error) {}) // the way has it
	_, _ = i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { m.wake() },
		UpdateFunc: func(any, any) { m.wake() },
		DeleteFunc: func(o any) {
			if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = unknown.Obj
			}
			if p, ok := o.(*corev1.Pod); ok {
				w.remember(p)
			}
			m.wake()
		},
	})
	return i
}

// slimmer drops what nobody reads here, which is most of an object: a run may have a thousand pods.
type slimmer struct {
	mu   sync.Mutex
	last *corev1.Pod // what the next one has as well, both share
}

func (s *slimmer) slim(o any) (any, error) {
	switch o := o.(type) {
	case *corev1.Pod:
		return s.pod(o), nil
	case *batchv1.Job:
		o.ManagedFields = nil
	case *corev1.ConfigMap:
		o.ManagedFields = nil
	}
	return o, nil
}

func (s *slimmer) pod(p *corev1.Pod) *corev1.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = &corev1.Pod{}
	}
	some := &corev1.Pod{}
	some.Name, some.Namespace, some.UID, some.ResourceVersion = p.Name, p.Namespace, p.UID, p.ResourceVersion
	some.CreationTimestamp, some.DeletionTimestamp = p.CreationTimestamp, p.DeletionTimestamp
	some.Labels = map[string]string{batchv1.JobNameLabel: p.Labels[batchv1.JobNameLabel]}
	if maps.Equal(some.Labels, s.last.Labels) {
		some.Labels = s.last.Labels
	}
	some.Annotations = map[string]string{}
	for _, key := range []string{indexAnnotation, failureAnnotation, ignoredAnnotation, pod.StopAnnotation} {
		if value, ok := p.Annotations[key]; ok {
			some.Annotations[key] = value
		}
	}
	some.Spec.NodeName = p.Spec.NodeName
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		some.Spec.Containers = append(some.Spec.Containers, corev1.Container{Name: c.Name, Resources: c.Resources})
	}
	if equality.Semantic.DeepEqual(some.Spec.Containers, s.last.Spec.Containers) {
		some.Spec.Containers = s.last.Spec.Containers
	}
	some.Status.Phase, some.Status.Reason, some.Status.Message = p.Status.Phase, p.Status.Reason, p.Status.Message
	some.Status.Conditions = p.Status.Conditions
	some.Status.ContainerStatuses = slimStatuses(p.Status.ContainerStatuses)
	some.Status.InitContainerStatuses = slimStatuses(p.Status.InitContainerStatuses)
	s.last = some
	return some
}

func slimStatuses(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	var some []corev1.ContainerStatus
	for i := range all {
		some = append(some, corev1.ContainerStatus{Name: all[i].Name, Image: all[i].Image, State: all[i].State})
	}
	return some
}

// remember keeps a pod that was deleted: how it ended may not be in the record yet.
func (w *watching) remember(p *corev1.Pod) {
	if !manifest.Ended(p) {
		p = p.DeepCopy()
		p.Status.Phase = corev1.PodFailed
		if p.DeletionTimestamp == nil {
			now := metav1.Now()
			p.DeletionTimestamp = &now
		}
	}
	w.mu.Lock()
	w.gone[p.UID] = p
	w.mu.Unlock()
}

// wait waits for the end of the informers, after their context has ended.
func (w *watching) wait() { w.all.Wait() }

// state says whether all was listed once, and what has been wrong for some time.
func (w *watching) state() (synced bool, err error) {
	synced = w.owners.HasSynced() && w.jobs.HasSynced() && w.pod.HasSynced()
	for i := range w.ways {
		if err := w.ways[i].trouble(!synced); err != nil {
			return synced, err
		}
	}
	return synced, nil
}

// seen is what the informers hold now.
func (w *watching) seen(ctx context.Context, m *mirror) (seen, error) {
	s := seen{now: time.Now()}
	for _, o := range w.owners.GetStore().List() {
		if c, ok := o.(*corev1.ConfigMap); ok && c.Name == m.name {
			s.owner = ours(c, &m.spec)
		}
	}
	var jobs []*batchv1.Job
	for _, o := range w.jobs.GetStore().List() {
		if j, ok := o.(*batchv1.Job); ok {
			jobs = append(jobs, j)
		}
	}
	var all []*corev1.Pod
	for _, o := range w.pod.GetStore().List() {
		if p, ok := o.(*corev1.Pod); ok {
			all = append(all, p)
		}
	}
	w.mu.Lock()
	for _, p := range w.gone {
		all = append(all, p)
	}
	w.mu.Unlock()
	err := m.together(ctx, &s, jobs, all)
	return s, err
}
