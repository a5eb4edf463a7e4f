package kube

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// options are the settings as the manifest needs them, with what only the cluster knows.
func (p *Place) options(ctx context.Context) (*manifest.Options, error) {
	s := p.settings
	o := &manifest.Options{
		Image: s.Text("image"), PullSecrets: s.List("image_pull_secret"), GPU: s.Int("gpu"),
		GPUResource: corev1.ResourceName(s.Text("gpu_type")), ServiceAccount: s.Text("service_account"),
		Queue: s.Text("queue"), ImagePython: s.Text("image_python"),
		AgentImage: s.Text("agent_image"), Record: s.Record().Volume, Keep: s.Duration("keep"),
		NodeSelector: map[string]string{},
	}
	o.CPU, o.Memory = quantity(s, "cpu"), quantity(s, "memory")
	for _, l := range s.Selector() {
		o.NodeSelector[l.Key] = l.Value
	}
	o.Tolerations, o.Mounts = s.Tolerations(), s.Mounts()
	kept := s.Output()
	o.Output, o.NoOutput = kept.Volume, kept.Nowhere
	if record := s.Record().Registry; kept.Registry || record {
		repository, err := p.outputRepository()
		if err != nil {
			return nil, err
		}
		o.RegistrySecret = s.Text("registry_secret")
		if kept.Registry {
			o.OutputRepository = repository
		}
		if record {
			o.RecordRepository = repository
		}
	}
	var err error
	if o.Env, err = s.Variables(p.environ); err != nil {
		return nil, err
	}
	if o.Secrets, o.SessionSecrets, err = s.Secrets(p.environ); err != nil {
		return nil, err
	}
	if file := s.Text("pod_template"); file != "" {
		template, err := readTemplate(file)
		if err != nil {
			return nil, err
		}
		o.PodTemplate = template
	}
	return o, p.fit(ctx, o)
}

func quantity(s *settings.Resolved, name string) resource.Quantity {
	q, _ := resource.ParseQuantity(s.Text(name)) // it was checked when it was resolved
	return q
}

// maxTemplate bounds a pod template, in bytes.
const maxTemplate = 256 << 10

// readTemplate reads a pod template as JSON.
func readTemplate(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, usererror.Wrap(err, usererror.CodeFile, fmt.Sprintf("--pod-template: %v", err), "")
	}
	if len(data) > maxTemplate {
		return nil, usererror.New(usererror.CodeFile, "--pod-template: %s is larger than %d KiB", path, maxTemplate>>10)
	}
	var template corev1.PodTemplateSpec
	if err := yaml.UnmarshalStrict(data, &template); err != nil {
		return nil, usererror.Wrap(
			err,
			usererror.CodeFile,
			fmt.Sprintf(
				"--pod-template: %s is no PodTemplateSpec: %v",
				path,
				err,
			),
			"It has metadata: and spec: at its top.",
		)
	}
	return yaml.YAMLToJSON(data)
}

// fit finds out what the namespace demands: a limit of CPU, where a quota counts limits; a user, where the cluster does
// not assign one.
func (p *Place) fit(ctx context.Context, o *manifest.Options) error {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	ns, err := p.cluster.Core.Namespaces().Get(ctx, p.cluster.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return p.cluster.Explain(err, "look for namespace "+p.cluster.Namespace)
	}
	assigned := false
	if err == nil { // else it may not be read; clusters that assign users let everybody
		_, assigned = ns.Annotations["openshift.io/sa.scc.uid-range"]
	}
	o.NumericUser = !assigned
	quotas, err := p.cluster.Core.ResourceQuotas(p.cluster.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // a quota that cannot be read is said by the Job's events
	}
	for i := range quotas.Items {
		if _, limits := quotas.Items[i].Spec.Hard[corev1.ResourceLimitsCPU]; limits {
			o.LimitCPU = true
		}
	}
	return nil
}

// arch is the architecture that a run is for. Where something is made for it, its pods go to no other nodes.
func (p *Place) arch(o *manifest.Options, at nodes) (string, error) {
	named, selected := p.settings.Arch(), o.NodeSelector[corev1.LabelArchStable]
	if named != "" && selected != "" && named != selected {
		return "", usererror.New(usererror.CodeOption, "--platform linux/%s and node_selector %s=%s exclude each other",
			named, corev1.LabelArchStable, selected).With("Leave one of them out.")
	}
	arch := cmp.Or(named, selected, at.arch)
	if named != "" || p.settings.MakesImage() {
		o.NodeSelector[corev1.LabelArchStable] = arch
	}
	return arch, nil
}

// nodes is what the nodes have in common, where they may be read.
type nodes struct {
	arch    string // as Go calls it
	storage bool   // their disks are shared out by request and limit
	known   bool   // they may be read
}

// nodes looks at the nodes. Users of a namespace may not read them: then they are taken for what most are.
// usualArch is the architecture of nodes of which nothing is known.
const usualArch = "amd64"

func (p *Place) nodes(ctx context.Context) nodes {
	usual := nodes{arch: usualArch, storage: true}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	list, err := p.cluster.Core.Nodes().List(ctx, metav1.ListOptions{Limit: 500})
	if err != nil || len(list.Items) == 0 {
		return usual
	}
	is := nodes{arch: list.Items[0].Status.NodeInfo.Architecture, known: true}
	for i := range list.Items {
		status := &list.Items[i].Status
		if status.NodeInfo.Architecture != is.arch {
			is.arch = usual.arch
		}
		_, has := status.Allocatable[corev1.ResourceEphemeralStorage]
		is.storage = is.storage || has
	}
	return is
}
