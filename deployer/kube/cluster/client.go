package cluster

import (
	"context"
	"net/http"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// The clients below do what client-go/kubernetes/typed does, for the groups that are used here. Each of its packages
// registers every group that Kubernetes has as soon as a program starts, also one that asks no cluster: that takes
// milliseconds and megabytes of every command.

// codec is how objects are written and read.
type codec struct {
	serializer runtime.NegotiatedSerializer
	parameters runtime.ParameterCodec
}

var codecs = sync.OnceValue(func() codec {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, policyv1.AddToScheme,
		autoscalingv2.AddToScheme, authenticationv1.AddToScheme, authorizationv1.AddToScheme,
	} {
		utilruntime.Must(add(s))
	}
	return codec{
		serializer: serializer.NewCodecFactory(s).WithoutConversion(),
		parameters: runtime.NewParameterCodec(s),
	}
})

// group is a connection to one API group.
func group(to *rest.Config, client *http.Client, path string, of schema.GroupVersion) (*rest.RESTClient, error) {
	config := *to
	config.APIPath, config.GroupVersion, config.NegotiatedSerializer = path, &of, codecs().serializer
	return rest.RESTClientForConfigAndClient(&config, client)
}

// Core has the objects of the core group.
type Core struct{ client rest.Interface }

// NewCore gives the core group of a cluster.
func NewCore(to *rest.Config, client *http.Client) (*Core, error) {
	c, err := group(to, client, "/api", corev1.SchemeGroupVersion)
	return &Core{c}, err
}

// RESTClient sends whatever else there is to request.
func (c *Core) RESTClient() rest.Interface { return c.client }

// ConfigMaps are those of a namespace.
func (c *Core) ConfigMaps(namespace string) *Objects[corev1.ConfigMap, corev1.ConfigMapList] {
	return &Objects[corev1.ConfigMap, corev1.ConfigMapList]{c.client, "configmaps", namespace}
}

// Secrets are those of a namespace.
func (c *Core) Secrets(namespace string) *Objects[corev1.Secret, corev1.SecretList] {
	return &Objects[corev1.Secret, corev1.SecretList]{c.client, "secrets", namespace}
}

// Events are those of a namespace.
func (c *Core) Events(namespace string) *Objects[corev1.Event, corev1.EventList] {
	return &Objects[corev1.Event, corev1.EventList]{c.client, "events", namespace}
}

// ResourceQuotas are those of a namespace.
func (c *Core) ResourceQuotas(namespace string) *Objects[corev1.ResourceQuota, corev1.ResourceQuotaList] {
	return &Objects[corev1.ResourceQuota, corev1.ResourceQuotaList]{c.client, "resourcequotas", namespace}
}

// Namespaces are those of the cluster.
func (c *Core) Namespaces() *Objects[corev1.Namespace, corev1.NamespaceList] {
	return &Objects[corev1.Namespace, corev1.NamespaceList]{c.client, "namespaces", ""}
}

// Nodes are those of the cluster.
func (c *Core) Nodes() *Objects[corev1.Node, corev1.NodeList] {
	return &Objects[corev1.Node, corev1.NodeList]{c.client, "nodes", ""}
}

// Pods are those of a namespace.
func (c *Core) Pods(namespace string) *Objects[corev1.Pod, corev1.PodList] {
	return &Objects[corev1.Pod, corev1.PodList]{c.client, "pods", namespace}
}

// Log requests the log of a pod.
func (c *Core) Log(namespace, pod string, options *corev1.PodLogOptions) *rest.Request {
	return c.client.Get().Namespace(namespace).Name(pod).Resource("pods").SubResource("log").
		VersionedParams(options, codecs().parameters)
}

// Services are those of a namespace.
func (c *Core) Services(namespace string) *Objects[corev1.Service, corev1.ServiceList] {
	return &Objects[corev1.Service, corev1.ServiceList]{c.client, "services", namespace}
}

// Batch has the objects of the group batch.
type Batch struct{ client rest.Interface }

// Jobs are those of a namespace.
func (b *Batch) Jobs(namespace string) *Objects[batchv1.Job, batchv1.JobList] {
	return &Objects[batchv1.Job, batchv1.JobList]{b.client, "jobs", namespace}
}

// Apps has the objects of the group apps.
type Apps struct{ client rest.Interface }

// Deployments are those of a namespace.
func (a *Apps) Deployments(namespace string) *Objects[appsv1.Deployment, appsv1.DeploymentList] {
	return &Objects[appsv1.Deployment, appsv1.DeploymentList]{a.client, "deployments", namespace}
}

// ReplicaSets are those of a namespace.
func (a *Apps) ReplicaSets(namespace string) *Objects[appsv1.ReplicaSet, appsv1.ReplicaSetList] {
	return &Objects[appsv1.ReplicaSet, appsv1.ReplicaSetList]{a.client, "replicasets", namespace}
}

// Policy has the objects of the group policy.
type Policy struct{ client rest.Interface }

// PodDisruptionBudgets are those of a namespace.
func (p *Policy) PodDisruptionBudgets(
	namespace string,
) *Objects[policyv1.PodDisruptionBudget, policyv1.PodDisruptionBudgetList] {
	return &Objects[policyv1.PodDisruptionBudget, policyv1.PodDisruptionBudgetList]{
		p.client, "poddisruptionbudgets", namespace,
	}
}

// Objects are all of one kind, in a namespace or, where that is "", in the cluster. T is the type of one, L of a list.
type Objects[T, L any] struct {
	client    rest.Interface
	resource  string
	namespace string
}

func (o *Objects[T, L]) on(r *rest.Request) *rest.Request {
	return r.NamespaceIfScoped(o.namespace, o.namespace != "").Resource(o.resource)
}

// Get reads one.
func (o *Objects[T, L]) Get(ctx context.Context, name string, options metav1.GetOptions) (*T, error) {
	return into[T](ctx, o.on(o.client.Get()).Name(name).VersionedParams(&options, codecs().parameters))
}

// List reads those that the options choose.
func (o *Objects[T, L]) List(ctx context.Context, options metav1.ListOptions) (*L, error) {
	return into[L](ctx, o.on(o.client.Get()).VersionedParams(&options, codecs().parameters))
}

// Watch tells of those that the options choose, until it is stopped or ctx ends.
func (o *Objects[T, L]) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	return o.on(o.client.Get()).VersionedParams(&options, codecs().parameters).Watch(ctx)
}

// Create makes one, and gives it as it was made.
func (o *Objects[T, L]) Create(ctx context.Context, object *T, options metav1.CreateOptions) (*T, error) {
	return into[T](ctx, o.on(o.client.Post()).VersionedParams(&options, codecs().parameters).Body(object))
}

// Patch changes one, and gives it as it is then.
func (o *Objects[T, L]) Patch(
	ctx context.Context, name string, kind types.PatchType, patch []byte, options metav1.PatchOptions,
) (*T, error) {
	return into[T](ctx,
		o.on(o.client.Patch(kind)).Name(name).VersionedParams(&options, codecs().parameters).Body(patch))
}

// Delete removes one.
func (o *Objects[T, L]) Delete(ctx context.Context, name string, options metav1.DeleteOptions) error {
	return o.on(o.client.Delete()).Name(name).Body(&options).Do(ctx).Error()
}

// into sends a request and reads the answer.
func into[T any](ctx context.Context, r *rest.Request) (*T, error) {
	object := new(T)
	return object, r.Do(ctx).Into(any(object).(runtime.Object))
}
