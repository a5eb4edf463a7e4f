package manifest

import (
	"cmp"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// History is how many revisions of a server are kept that can be taken back.
const History = 10

// progressSeconds is how long a rollout may make no progress before the Deployment says so: an image may take minutes
// to be pulled, and a program to be loaded.
const progressSeconds = 600

// Where the model of a server is that a volume has.
const (
	modelVolume = "model"
	modelDir    = "/metaml/model"
)

// httpPort is the name of the port at which pods answer.
const httpPort = "http"

// Names are those by which a Service may be called within the cluster (Kubernetes, "DNS for Services and Pods"). A
// cluster may have another domain than cluster.local; such names are for --allow-host.
func Names(service, namespace string) []string {
	return []string{
		service, service + "." + namespace, service + "." + namespace + ".svc",
		service + "." + namespace + ".svc.cluster.local",
	}
}

// Revision is what a revision of a server is. Who makes it has the number; what else the revision needs belongs to it.
func (r *Run) Revision(owner *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	m := r.meta(r.holder(), ComponentRevision, owner)
	m.Labels[LabelRevision] = strconv.Itoa(r.Spec.Server.Revision)
	return r.described(m)
}

// Service gives the server an address within the cluster.
func (r *Run) Service(owner *corev1.ConfigMap) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: r.meta(r.Spec.Name, ComponentServer, owner),
		Spec:       corev1.ServiceSpec{Selector: serverPods(r.Spec.Name), Ports: r.ports()},
	}
}

// servicePort is the port of a server's Service.
func servicePort(s *run.ServerSpec) int32 { return int32(cmp.Or(s.Port, run.ServicePort)) }

func (r *Run) ports() []corev1.ServicePort {
	return []corev1.ServicePort{{
		Name: httpPort, Protocol: corev1.ProtocolTCP, Port: servicePort(r.Spec.Server),
		TargetPort: intstr.FromString(httpPort),
	}}
}

// serverPods are the labels of the pods of a server, of whichever revision.
func serverPods(name string) map[string]string {
	return map[string]string{LabelRun: name, LabelComponent: ComponentServer}
}

// Deployment runs a revision of a server. A new one takes the place of that before it pod by pod, and none of the pods
// that answer goes before another is ready.
func (r *Run) Deployment(owner *corev1.ConfigMap, replicas run.Replicas) (*appsv1.Deployment, error) {
	template, err := r.serverTemplate()
	if err != nil {
		return nil, err
	}
	none, some := intstr.FromInt32(0), intstr.FromString("25%")
	pods, kept, progress := int32(replicas.Min), int32(History), int32(progressSeconds)
	m := r.meta(r.Spec.Name, ComponentServer, owner)
	if replicas.Ranged() {
		m.Annotations = map[string]string{AnnotationReplicas: replicas.String()}
	}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: m,
		Spec: appsv1.DeploymentSpec{
			Replicas: &pods, Selector: &metav1.LabelSelector{MatchLabels: serverPods(r.Spec.Name)},
			RevisionHistoryLimit: &kept, ProgressDeadlineSeconds: &progress, Template: *template,
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &some},
			},
		},
	}, nil
}

// serverTemplate is the pod of a server.
func (r *Run) serverTemplate() (*corev1.PodTemplateSpec, error) {
	t := r.pod(ComponentServer, corev1.RestartPolicyAlways)
	t.Labels[LabelRevision] = strconv.Itoa(r.Spec.Server.Revision)
	t.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector:  &metav1.LabelSelector{MatchLabels: serverPods(r.Spec.Name)},
		MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
	}}
	return r.withTheirs(t)
}

// Budget lets one pod at a time go when nodes are drained. A server of one pod may be moved, too: who wants that
// nothing is interrupted has two.
func (r *Run) Budget(owner *corev1.ConfigMap) *policyv1.PodDisruptionBudget {
	one, always := intstr.FromInt32(1), policyv1.AlwaysAllow
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: r.meta(r.Spec.Name, ComponentServer, owner),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: serverPods(r.Spec.Name)},
			UnhealthyPodEvictionPolicy: &always,
		},
	}
}

// serverArgs are the arguments of metaml-server.
func (r *Run) serverArgs() []string {
	args := r.args()
	switch {
	case r.ModelOn != nil:
		args = append(args, "--model", modelDir)
	case r.ModelAt != "":
		args = append(args, "--model", r.ModelAt)
	}
	if r.Address != "" {
		args = append(args, "--service", r.Address)
	}
	return args
}

// addProbes has the kubelet ask the front of a server: whether it is there, which it is before the program is loaded,
// and whether a worker can answer.
func (r *Run) addProbes(c *corev1.Container) {
	c.Ports = []corev1.ContainerPort{{Name: httpPort, ContainerPort: pod.ServerPort, Protocol: corev1.ProtocolTCP}}
	probe := func(path string, period, timeout, failures int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
				Path: path, Port: intstr.FromString(httpPort),
			}},
			PeriodSeconds: period, TimeoutSeconds: timeout, FailureThreshold: failures,
		}
	}
	// The image is looked at first, which takes a minute at most, and metaml-server says itself what went wrong.
	c.StartupProbe = probe("/healthz", 1, 5, 120)
	c.ReadinessProbe = probe("/readyz", 1, 5, 3)
	c.LivenessProbe = probe("/healthz", 10, 5, 6)
}

// RevisionOf is the revision that a pod template is of; 0 is none.
func RevisionOf(labels map[string]string) int {
	n, err := strconv.Atoi(labels[LabelRevision])
	if err != nil || n < 1 {
		return 0
	}
	return n
}
