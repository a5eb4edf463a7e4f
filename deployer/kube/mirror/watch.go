package mirror

import (
	"context"
	"maps"
	"slices"
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

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
)

// informers hold the objects of a run: they list, watch, and list anew where a watch broke off or is too old to go on.
type informers struct {
	all  []cache.SharedIndexInformer
	ways []*way // of each of them
	runs sync.WaitGroup
}

// watching is what informers hold of a run's objects.
type watching struct {
	informers
	owners, jobs, pod cache.SharedIndexInformer

	mu   sync.Mutex
	gone pods // that are no longer there, as they were last
}

// pods are those of a run, by their identity.
type pods map[types.UID]*corev1.Pod

// watch starts the informers of a run, until ctx ends. It goes on with the pods that were gone before.
func (m *mirror) watch(ctx context.Context, gone pods) *watching {
	ns, c := m.cluster.Namespace, m.cluster
	w := &watching{gone: gone}
	w.owners = m.informOwners(&w.informers)
	w.jobs = inform(&w.informers, m.wake, c.Batch.Jobs(ns), m.selector(), unmanaged, nil)
	w.pod = inform(&w.informers, m.wake, c.Core.Pods(ns), m.selector(), new(slimmer).slim, w.remember)
	w.start(ctx)
	return w
}

// informOwners has informers hold the owner of a run, or of a server.
func (m *mirror) informOwners(w *informers) cache.SharedIndexInformer {
	pick := m.selector() + "," + manifest.LabelComponent + "=" + manifest.ComponentRun
	return inform(w, m.wake, m.cluster.Core.ConfigMaps(m.cluster.Namespace), pick, unmanaged, nil)
}

// inform adds an informer of the objects of one kind that a label picks. Of each it holds what slim leaves; wake is
// called whenever something has changed, and gone, unless it is nil, for each that was deleted.
func inform[T, L any](
	w *informers, wake func(), objects *cluster.Objects[T, L], pick string, slim cache.TransformFunc, gone func(*T),
) cache.SharedIndexInformer {
	way := &way{changed: wake}
	i := cache.NewSharedIndexInformer(way.lists(pick,
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := objects.List(ctx, o)
			return any(list).(runtime.Object), err
		}, objects.Watch), any(new(T)).(runtime.Object), 0, cache.Indexers{})
	// Both fail only when the informer runs already.
	_ = i.SetTransform(slim)
	_ = i.SetWatchErrorHandler(func(*cache.Reflector, error) {}) // the way has it
	_, _ = i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { wake() },
		UpdateFunc: func(any, any) { wake() },
		DeleteFunc: func(o any) {
			if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = unknown.Obj
			}
			if one, ok := o.(*T); ok && gone != nil {
				gone(one)
			}
			wake()
		},
	})
	w.all, w.ways = append(w.all, i), append(w.ways, way)
	return i
}

// start starts the informers, until ctx ends.
func (w *informers) start(ctx context.Context) {
	for _, i := range w.all {
		w.runs.Go(func() { i.RunWithContext(ctx) })
	}
}

// wait waits for the end of the informers, after their context has ended.
func (w *informers) wait() { w.runs.Wait() }

// state says whether all was listed once, and what has been wrong for some time.
func (w *informers) state() (synced bool, err error) {
	synced = !slices.ContainsFunc(w.all, func(i cache.SharedIndexInformer) bool { return !i.HasSynced() })
	for _, way := range w.ways {
		if err := way.trouble(!synced); err != nil {
			return synced, err
		}
	}
	return synced, nil
}

// stored are the objects that an informer holds.
func stored[T any](i cache.SharedIndexInformer) []*T {
	var all []*T
	for _, o := range i.GetStore().List() {
		if one, ok := o.(*T); ok {
			all = append(all, one)
		}
	}
	return all
}

// ownerIn is the owner of this very run among those that an informer holds.
func (m *mirror) ownerIn(owners cache.SharedIndexInformer) *corev1.ConfigMap {
	for _, c := range stored[corev1.ConfigMap](owners) {
		if c.Name == m.name {
			return ours(c, &m.spec)
		}
	}
	return nil
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

// unmanaged leaves an object without what the API server notes about its writers.
func unmanaged(o any) (any, error) {
	if m, ok := o.(metav1.Object); ok {
		m.SetManagedFields(nil)
	}
	return o, nil
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
	default:
		return unmanaged(o)
	}
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

// seen is what the informers hold now.
func (w *watching) seen(ctx context.Context, m *mirror) (seen, error) {
	s := seen{now: time.Now(), owner: m.ownerIn(w.owners)}
	all := stored[corev1.Pod](w.pod)
	w.mu.Lock()
	for _, p := range w.gone {
		all = append(all, p)
	}
	w.mu.Unlock()
	err := m.together(ctx, &s, stored[batchv1.Job](w.jobs), all)
	return s, err
}
