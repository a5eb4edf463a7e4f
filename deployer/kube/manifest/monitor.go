package manifest

import (
	"cmp"
	"fmt"
	"path"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/metaml/metaml/deployer/pod"
)

// Monitor is the process that collects the files of a run's trials while they run (cmd/metaml-monitor).
type Monitor struct {
	Agent   Agent  // metaml-monitor
	Token   string // which pods and readers have
	Address string // "IP:PORT" of its Service; known once that is made
}

// MonitorPort is the port of the monitor's pod and Service.
const MonitorPort = 7070

// MonitorContainer is the name of the only container of a monitor's pod.
const MonitorContainer = "monitor"

// MonitorName is the name of the Job of a run's monitor.
func MonitorName(run string) string { return run + "-monitor" }

// MonitorServiceName is the name of its Service, which begins with a letter (RFC 1035), as a run's may not.
func MonitorServiceName(run string) string { return "metaml-" + MonitorName(run) }

// The folders of the monitor's pod, besides those of a trial's.
const (
	storeDir = "/metaml/store" // what the pods sent
	tokenDir = "/metaml/token" //nolint:gosec // G101: where a token is
	loginDir = "/metaml/login" // for a registry
)

// What a monitor takes of a node. It holds at most 256 MiB of files (deployer/collect).
var (
	monitorCPU      = resource.MustParse("50m")
	monitorMemory   = resource.MustParse("64Mi")
	monitorDisk     = resource.MustParse("512Mi")
	monitorLimitCPU = resource.MustParse("500m") // where a quota demands a limit
)

// MonitorService gives the run's monitor an address that stays when its pod is made again.
func (r *Run) MonitorService(owner *corev1.ConfigMap) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: r.meta(MonitorServiceName(r.Spec.Name), ComponentMonitor, owner),
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{LabelRun: r.Spec.Name, LabelComponent: ComponentMonitor},
			Ports: []corev1.ServicePort{{
				Name: "monitor", Protocol: corev1.ProtocolTCP, Port: MonitorPort,
				TargetPort: intstr.FromInt32(MonitorPort),
			}},
		},
	}
}

// MonitorJob runs the run's monitor. It ends by itself when nobody has asked it for [Options.Keep]; whoever follows the
// run suspends it at the run's end, and starts it where the run waits in a queue: until that lets it in, none of its
// pods is to take room.
func (r *Run) MonitorJob(owner *corev1.ConfigMap) *batchv1.Job {
	o := &r.Options
	one, often, no, grace, waits := int32(1), int32(1000), false, int64(10), o.Queue != ""
	if o.RecordRepository != "" {
		grace = 30 // the record is sent once more
	}
	// What it has outlives its pod there: the next one begins when it has ended, as with trials, and finds all of it.
	var replaced *batchv1.PodReplacementPolicy
	if o.RecordRepository != "" || o.Record != nil {
		replaced = new(batchv1.Failed)
	}
	disk := monitorDisk.DeepCopy()
	store := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &disk}}
	if o.Record != nil {
		store = corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: o.Record.Claim},
		}
	}
	container := corev1.Container{
		Name: MonitorContainer, Image: cmp.Or(o.AgentImage, o.Image),
		ImagePullPolicy: cmp.Or(o.PullPolicy, corev1.PullIfNotPresent),
		Command:         r.monitorCommand(), WorkingDir: workDir, Resources: r.monitorResources(),
		Ports:                    []corev1.ContainerPort{{Name: "monitor", ContainerPort: MonitorPort}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          confined(),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "work", MountPath: workDir},
			{Name: "store", MountPath: storeDir},
			{Name: "token", MountPath: tokenDir, ReadOnly: true},
		},
	}
	volumes := []corev1.Volume{
		{Name: "work", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "store", VolumeSource: store},
		{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: KeyName(r.holder()), Items: []corev1.KeyToPath{{Key: TokenName, Path: TokenName}},
		}}},
	}
	if a := r.Monitor.Agent; a.Parts > 0 {
		var parts []corev1.VolumeProjection
		for i := range a.Parts {
			parts = append(parts, configMapProjection(r.AgentName(a, i)))
		}
		volumes = append(volumes, corev1.Volume{Name: agentVolume, VolumeSource: projected(parts)})
		container.VolumeMounts = append(container.VolumeMounts,
			corev1.VolumeMount{Name: agentVolume, MountPath: agentDir, ReadOnly: true})
	}
	if o.Output != nil {
		volumes = append(volumes, outputVolume(o.Output))
		container.VolumeMounts = append(container.VolumeMounts,
			corev1.VolumeMount{Name: outputName, MountPath: outputDir, ReadOnly: true})
	}
	if o.RegistrySecret != "" {
		volumes = append(volumes, corev1.Volume{
			Name: "login", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
				SecretName: o.RegistrySecret,
				Items:      []corev1.KeyToPath{{Key: corev1.DockerConfigJsonKey, Path: "config.json"}},
			}},
		})
		container.VolumeMounts = append(container.VolumeMounts,
			corev1.VolumeMount{Name: "login", MountPath: loginDir, ReadOnly: true})
		container.Env = append(container.Env, corev1.EnvVar{Name: "DOCKER_CONFIG", Value: loginDir})
	}
	all := labels(&r.Spec, r.User, ComponentMonitor)
	all[istio] = "false"
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: r.meta(MonitorName(r.Spec.Name), ComponentMonitor, owner),
		Spec: batchv1.JobSpec{
			Completions: &one, Parallelism: &one, BackoffLimit: &often, Suspend: &waits, PodReplacementPolicy: replaced,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: all, Annotations: undisturbed()},
				Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyOnFailure, AutomountServiceAccountToken: &no,
					EnableServiceLinks: &no, TerminationGracePeriodSeconds: &grace, SecurityContext: r.security(),
					ServiceAccountName: o.ServiceAccount, ImagePullSecrets: r.pullSecrets(), NodeSelector: r.nodes(),
					Tolerations: r.tolerations(), Volumes: volumes, Containers: []corev1.Container{container},
				},
			},
		},
	}
}

// monitorCommand starts metaml-monitor: it is put together by the image's Python, or is in the image of --agent-image.
func (r *Run) monitorCommand() []string {
	args := []string{
		"--dir", r.store(), "--listen", ":" + strconv.Itoa(MonitorPort),
		"--token-file", path.Join(tokenDir, TokenName), "--keep", r.Options.Keep.String(),
	}
	switch {
	case r.Options.Output != nil:
		args = append(args, "--output", r.onOutput().Output(0))
	case r.Options.OutputRepository != "":
		args = append(args, "--output-artifact", r.artifact(r.Options.OutputRepository, "outputs"))
	}
	if r.Options.RecordRepository != "" {
		args = append(args, "--record-artifact", r.artifact(r.Options.RecordRepository, "record"))
	}
	if r.Options.AgentImage != "" {
		return append([]string{pod.InAgentImage(pod.Monitor)}, args...)
	}
	return pod.Start{
		Program: pod.Monitor, Python: r.Options.ImagePython, Parts: agentDir, To: workDir, Message: message, Args: args,
		Digests: map[string]string{r.Monitor.Agent.Arch: r.Monitor.Agent.Digest},
	}.Command()
}

// artifact is the name of one of the run's in a repository. A run that is made again under the same name has others.
func (r *Run) artifact(repository, what string) string {
	return fmt.Sprintf("%s:%s-%s-%s", repository, r.Spec.Name, r.identity(), what)
}

// store is the folder of what the pods sent.
func (r *Run) store() string {
	m := r.Options.Record
	if m == nil {
		return path.Join(storeDir, "files")
	}
	return r.folderOn(m, storeDir)
}

func (r *Run) monitorResources() corev1.ResourceRequirements {
	need := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: monitorCPU, corev1.ResourceMemory: monitorMemory},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: monitorMemory},
	}
	if !r.Options.EphemeralStorage.IsZero() {
		need.Limits[corev1.ResourceEphemeralStorage] = monitorDisk
		need.Requests[corev1.ResourceEphemeralStorage] = resource.Quantity{}
	}
	if r.Options.LimitCPU {
		need.Limits[corev1.ResourceCPU] = monitorLimitCPU
	}
	return need
}

// MonitorTakes is what the monitor takes of a quota.
func (r *Run) MonitorTakes() corev1.ResourceList {
	all := corev1.ResourceList{
		corev1.ResourceCPU: monitorCPU, corev1.ResourceRequestsCPU: monitorCPU,
		corev1.ResourceMemory: monitorMemory, corev1.ResourceRequestsMemory: monitorMemory,
		corev1.ResourceLimitsMemory: monitorMemory, corev1.ResourcePods: resource.MustParse("1"),
	}
	if r.Options.LimitCPU {
		all[corev1.ResourceLimitsCPU] = monitorLimitCPU
	}
	return all
}
