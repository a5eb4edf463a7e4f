package kube

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// memory is what a trial gets where --memory does not say.
const memory = "2Gi"

// options are the settings as the manifest needs them, with what only the cluster knows.
func (p *Place) options(ctx context.Context) (*manifest.Options, error) {
	s := p.settings
	o := &manifest.Options{
		Image: s.Text("image"), PullSecrets: s.List("image_pull_secret"), GPU: s.Int("gpu"),
		GPUResource: corev1.ResourceName(s.Text("gpu_type")), ServiceAccount: s.Text("service_account"),
		Queue: s.Text("queue"), ImagePython: s.Text("image_python"), NodeSelector: map[string]string{},
	}
	o.CPU, o.Memory = quantity(s, "cpu", "1"), quantity(s, "memory", memory)
	for _, item := range s.List("node_selector") {
		l, err := settings.ParseLabel(item)
		if err != nil {
			return nil, refused("node_selector", err)
		}
		o.NodeSelector[l.Key] = l.Value
	}
	for _, item := range s.List("toleration") {
		t, err := settings.ParseToleration(item)
		if err != nil {
			return nil, refused("toleration", err)
		}
		o.Tolerations = append(o.Tolerations, t)
	}
	for _, item := range s.List("mount") {
		m, err := settings.ParseMount(item)
		if err != nil {
			return nil, refused("mount", err)
		}
		o.Mounts = append(o.Mounts, m)
	}
	if err := p.variables(o); err != nil {
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

func quantity(s *settings.Resolved, name, otherwise string) resource.Quantity {
	if text := s.Text(name); text != "" {
		if q, err := resource.ParseQuantity(text); err == nil { // it was checked when it was resolved
			return q
		}
	}
	return resource.MustParse(otherwise)
}

// refused is a setting that was recorded and cannot be read any more.
func refused(name string, err error) error {
	return usererror.New(usererror.CodeOption, "--%s %s", strings.ReplaceAll(name, "_", "-"), err)
}

// variables takes over what of the session's environment is to travel, and nothing else.
func (p *Place) variables(o *manifest.Options) error {
	for _, item := range p.settings.List("env") {
		v, err := settings.ParseVariable(item)
		if err != nil {
			return refused("env", err)
		}
		if v.Session {
			if v.Value, err = p.session("env", v.Name); err != nil {
				return err
			}
		}
		o.Env = append(o.Env, v)
	}
	for _, item := range p.settings.List("secret") {
		v, err := settings.ParseSecretValue(item)
		if err != nil {
			return refused("secret", err)
		}
		if v.Secret != "" {
			o.Secrets = append(o.Secrets, v)
			continue
		}
		value, err := p.session("secret", v.Name)
		if err != nil {
			return err
		}
		if o.SessionSecrets == nil {
			o.SessionSecrets = map[string]string{}
		}
		o.SessionSecrets[v.Name] = value
	}
	return nil
}

// session gives a variable of the session.
func (p *Place) session(setting, name string) (string, error) {
	for _, kv := range slices.Backward(p.environ) {
		if value, found := strings.CutPrefix(kv, name+"="); found {
			return value, nil
		}
	}
	hint := fmt.Sprintf("Set it before, or give its value: --env %s=VALUE.", name)
	if setting == "secret" {
		hint = fmt.Sprintf("Set it before, or name a Secret of the namespace: --secret %s=SECRET/KEY.", name)
	}
	return "", &usererror.Error{
		Code: usererror.CodeEnvironment,
		Text: fmt.Sprintf("--%s %s: the session has no variable of this name", setting, name),
		Hint: hint,
	}
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

// nodes is what the nodes have in common, where they may be read.
type nodes struct {
	arch    string // as Go calls it
	storage bool   // their disks are shared out by request and limit
}

// nodes looks at the nodes. Users of a namespace may not read them: then they are taken for what most are.
func (p *Place) nodes(ctx context.Context) nodes {
	usual := nodes{arch: "amd64", storage: true}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	list, err := p.cluster.Core.Nodes().List(ctx, metav1.ListOptions{Limit: 500})
	if err != nil || len(list.Items) == 0 {
		return usual
	}
	is := nodes{arch: list.Items[0].Status.NodeInfo.Architecture}
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
