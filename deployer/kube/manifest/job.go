package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// Options are what people choose of the pods, and what the cluster demands of them.
type Options struct {
	Image            string
	PullSecrets      []string
	PullLogin        []byte            // what the run's own pull secret has, a config.json of Docker; nil: none
	PullPolicy       corev1.PullPolicy // of Image; "" is IfNotPresent
	CPU              resource.Quantity // request, and limit where LimitCPU
	LimitCPU         bool              // a quota of the namespace counts limits
	Memory           resource.Quantity // request and limit
	EphemeralStorage resource.Quantity // limit; zero where nodes do not share their disks out
	EphemeralRequest resource.Quantity // zero where nodes may not share their disks out
	GPU              int64
	GPUResource      corev1.ResourceName // "nvidia.com/gpu"
	ServiceAccount   string
	Env              []settings.Variable
	Secrets          []settings.SecretValue // from Secrets that are there
	SessionSecrets   map[string]string      // variables whose values go into the run's own Secret
	NodeSelector     map[string]string
	Tolerations      []settings.Toleration
	Mounts           []settings.Mount
	Output           *settings.Mount // where the trials' output folders are; nil: the monitor keeps them
	NoOutput         bool            // nobody does
	OutputRepository string          // in a registry, where the monitor keeps them; "": on its disk
	RecordRepository string          // in a registry, where it keeps what it has as well; "": nowhere else
	RegistrySecret   string          // with the login for either
	Record           *settings.Mount // where the monitor keeps what it has; nil: on the disk of its node
	Keep             time.Duration   // how long the monitor waits for somebody who fetches that
	Queue            string          // of Kueue
	ImagePython      string
	AgentImage       string // has metaml-pod and metaml-monitor; "": they come in ConfigMaps
	PodTemplate      []byte // JSON of a PodTemplateSpec: what we do not set
	NumericUser      bool   // set a user: the cluster does not assign one of its own
}

// The folders of a pod.
const (
	inDir    = "/metaml/in"    // what is run
	agentDir = "/metaml/agent" // the agent's parts
	infoDir  = "/metaml/info"  // what the pod knows of itself
	workDir  = "/metaml/work"  // writable: the run folder, the agent, the home folder
	message  = "/dev/termination-log"
)

// user is who trials run as where the cluster does not say: nobody's, in every distribution.
const user = 65532

// The names of a pod's containers.
const (
	TrialContainer  = "trial"
	ServerContainer = "server"
	AgentContainer  = "agent" // brings the pod's program out of the image of --agent-image, before the other
)

// Job runs the trials of a run, one index each.
func (r *Run) Job(owner *corev1.ConfigMap) (*batchv1.Job, error) {
	template, err := r.template()
	if err != nil {
		return nil, err
	}
	parallelism, completions := int32(r.Spec.Parallelism), int32(r.Spec.Completions)
	retries, indexed := int32(min(r.Spec.Retries, math.MaxInt32)), batchv1.IndexedCompletion
	job := &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: r.meta(JobName(r.Spec.Name, 0), ComponentTrial, owner),
		Spec: batchv1.JobSpec{
			Completions:          &completions,
			Parallelism:          &parallelism,
			CompletionMode:       &indexed,
			BackoffLimitPerIndex: &retries,
			PodFailurePolicy:     &batchv1.PodFailurePolicy{Rules: failureRules()},
			Template:             *template,
		},
	}
	if r.Options.Queue != "" {
		suspended := true
		job.Labels[LabelQueue] = r.Options.Queue
		job.Spec.Suspend = &suspended // Kueue starts it
		if err := notePlacement(job); err != nil {
			return nil, err
		}
	}
	return job, nil
}

// failureRules say which ends of a pod are followed by another attempt, first match first: none other counts as one of
// the retries.
func failureRules() []batchv1.PodFailurePolicyRule {
	container := TrialContainer
	codes := func(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{
			Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
				ContainerName: &container, Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
			},
		}
	}
	return []batchv1.PodFailurePolicyRule{
		codes(batchv1.PodFailurePolicyActionFailIndex, pod.ExitFailed, pod.ExitStopped),
		codes(batchv1.PodFailurePolicyActionFailJob, pod.ExitProgram),
		{
			Action: batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
				{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
			},
		},
	}
}

// istio is the annotation, and by now the label, by which Istio leaves a pod alone.
const istio = "sidecar.istio.io/inject"

// undisturbed are the annotations by which autoscalers and meshes leave a pod alone.
func undisturbed() map[string]string {
	return map[string]string{
		"karpenter.sh/do-not-disrupt":                    "true",
		"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
		istio:               "false",
		"linkerd.io/inject": "disabled",
	}
}

// template is the pod of a trial.
func (r *Run) template() (*corev1.PodTemplateSpec, error) {
	t := r.pod(ComponentTrial, corev1.RestartPolicyNever)
	t.Annotations = undisturbed()
	t.Labels[istio] = "false"
	return r.withTheirs(t)
}

// graceSeconds is how long a pod may take to end: a trial has 30 seconds to keep what it has, a server as many for what
// it is answering, after some in which nothing new comes to it any more.
const graceSeconds = 60

// pod is the pod of a trial or of a server.
func (r *Run) pod(component string, restart corev1.RestartPolicy) *corev1.PodTemplateSpec {
	no, grace := false, int64(graceSeconds)
	return &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels(&r.Spec, r.User, component)},
		Spec: corev1.PodSpec{
			RestartPolicy: restart, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			TerminationGracePeriodSeconds: &grace, SecurityContext: r.security(),
			ServiceAccountName: r.Options.ServiceAccount, ImagePullSecrets: r.pullSecrets(), NodeSelector: r.nodes(),
			Tolerations: r.tolerations(), Volumes: r.volumes(), InitContainers: r.bringers(),
			Containers: []corev1.Container{r.container()},
		},
	}
}

// withTheirs adds to our pod what the user's template has besides.
func (r *Run) withTheirs(ours *corev1.PodTemplateSpec) (*corev1.PodTemplateSpec, error) {
	if len(r.Options.PodTemplate) == 0 {
		return ours, nil
	}
	return mergeTemplate(r.Options.PodTemplate, ours)
}

// security is what the restricted standard demands of a pod (Kubernetes, "Pod Security Standards").
func (r *Run) security() *corev1.PodSecurityContext {
	yes, id := true, int64(user)
	s := &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if r.Options.NumericUser {
		s.RunAsUser, s.RunAsGroup, s.FSGroup = &id, &id, &id
	}
	return s
}

// nodes are the labels of the nodes that pods may run on.
func (r *Run) nodes() map[string]string {
	return merged(map[string]string{
		corev1.LabelOSStable: "linux", corev1.LabelArchStable: r.Agent.Arch,
	}, r.Options.NodeSelector)
}

// pullSecrets are those for the registries of images.
func (r *Run) pullSecrets() []corev1.LocalObjectReference {
	var all []corev1.LocalObjectReference
	for _, name := range r.Options.PullSecrets {
		all = append(all, corev1.LocalObjectReference{Name: name})
	}
	if r.Options.PullLogin != nil {
		all = append(all, corev1.LocalObjectReference{Name: PullName(r.holder())})
	}
	return all
}

// mergeTemplate adds to ours what the user's template has and ours does not set.
func mergeTemplate(theirs []byte, ours *corev1.PodTemplateSpec) (*corev1.PodTemplateSpec, error) {
	patch, err := json.Marshal(ours)
	if err != nil {
		return nil, fmt.Errorf("write the pod template: %w", err)
	}
	data, err := strategicpatch.StrategicMergePatch(theirs, patch, corev1.PodTemplateSpec{})
	if err != nil {
		return nil, fmt.Errorf("merge --pod-template: %w", err)
	}
	var both corev1.PodTemplateSpec
	if err := json.Unmarshal(data, &both); err != nil {
		return nil, fmt.Errorf("merge --pod-template: %w", err)
	}
	return &both, nil
}

// container runs the trial, or the server.
func (r *Run) container() corev1.Container {
	o := &r.Options
	c := corev1.Container{
		Name: TrialContainer, Image: o.Image, ImagePullPolicy: cmp.Or(o.PullPolicy, corev1.PullIfNotPresent),
		WorkingDir: workDir, Env: r.env(), Resources: r.resources(),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          confined(),
		VolumeMounts:             r.mounts(),
	}
	if r.Spec.Kind == run.Serve {
		c.Name, c.Command = ServerContainer, r.start(r.serverArgs())
		r.addProbes(&c)
	} else {
		c.Command = r.start(r.trialArgs())
	}
	return c
}

// confined is what the restricted standard demands of a container (Kubernetes, "Pod Security Standards").
func confined() *corev1.SecurityContext {
	no, yes := false, true
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// trialArgs are the arguments of metaml-pod.
func (r *Run) trialArgs() []string {
	args := append(r.args(), "--annotations", path.Join(infoDir, "annotations"))
	switch {
	case r.Options.Output != nil:
		args = append(args, "--trials", r.onOutput().Trials())
	case r.Options.NoOutput:
		args = append(args, "--no-outputs")
	}
	return args
}

// args are those that trials and servers have alike.
func (r *Run) args() []string {
	args := []string{"--in", inDir, "--dir", path.Join(workDir, "run"), "--message", message}
	if r.InImage {
		args = append(args, "--program", "/"+pod.InImage)
	}
	return args
}

// start starts the pod's program: it is put together by the image's Python, or was brought by the container before.
func (r *Run) start(args []string) []string {
	if r.Options.AgentImage == "" {
		return pod.Start{
			Program: r.Agent.Program, Python: r.Options.ImagePython, Parts: agentDir, To: workDir,
			Digests: map[string]string{r.Agent.Arch: r.Agent.Digest}, Message: message, Args: args,
		}.Command()
	}
	if r.Options.ImagePython != "" {
		args = append(args, "--python", r.Options.ImagePython)
	}
	return append([]string{path.Join(workDir, string(r.Agent.Program))}, args...)
}

// bringers is the container that brings metaml-pod out of an image of its own. What it requests is what the trial does,
// which runs after it, so that a pod requests no more.
func (r *Run) bringers() []corev1.Container {
	if r.Options.AgentImage == "" {
		return nil
	}
	return []corev1.Container{{
		Name: AgentContainer, Image: r.Options.AgentImage, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: []string{
			pod.InAgentImage(r.Agent.Program), "install", path.Join(workDir, string(r.Agent.Program)),
		},
		Resources:                r.resources(),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          confined(), VolumeMounts: []corev1.VolumeMount{{Name: "work", MountPath: workDir}},
	}}
}

func (r *Run) env() []corev1.EnvVar {
	annotation := func(name, key string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
			FieldPath: fmt.Sprintf("metadata.annotations['%s']", key),
		}}}
	}
	home := path.Join(workDir, "home")
	env := []corev1.EnvVar{
		{Name: "HOME", Value: home},
		{Name: "USER", Value: "metaml"},
		{Name: "LOGNAME", Value: "metaml"},
		{Name: "PYTHONDONTWRITEBYTECODE", Value: "1"},
	}
	if r.Spec.Kind == run.Train {
		env = append(env, annotation(pod.FailuresVariable, "batch.kubernetes.io/job-index-failure-count"),
			annotation(pod.IgnoredVariable, "batch.kubernetes.io/job-index-ignored-failure-count"))
	}
	own := func(name, key string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: KeyName(r.holder())}, Key: key,
		}}}
	}
	if !r.Exported {
		env = append(env, own(pod.ExpectedKeyVariable, keyName))
	}
	if m := r.Monitor; m != nil {
		env = append(env, corev1.EnvVar{Name: pod.MonitorVariable, Value: m.Address},
			own(pod.MonitorTokenVariable, TokenName),
			corev1.EnvVar{Name: pod.UIDVariable, ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.uid"},
			}})
	}
	threads := strconv.FormatInt(max(1, r.Options.CPU.Value()/r.processes()), 10)
	for _, name := range run.ThreadVariables {
		env = append(env, corev1.EnvVar{Name: name, Value: threads})
	}
	// The user's own come last, and go before ours of the same name.
	for _, v := range r.Options.Env {
		env = replaced(env, corev1.EnvVar{Name: v.Name, Value: v.Value})
	}
	for _, v := range r.Options.Secrets {
		env = replaced(env, corev1.EnvVar{Name: v.Name, ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: v.Secret}, Key: v.Key,
			},
		}})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Options.SessionSecrets)) {
		env = replaced(env, own(name, sessionPrefix+name))
	}
	return env
}

// processes is how many share the cores of a pod.
func (r *Run) processes() int64 {
	if r.Spec.Kind == run.Serve {
		return int64(max(1, r.Spec.Server.Workers))
	}
	return 1
}

func replaced(env []corev1.EnvVar, v corev1.EnvVar) []corev1.EnvVar {
	return append(slices.DeleteFunc(env, func(old corev1.EnvVar) bool { return old.Name == v.Name }), v)
}

func (r *Run) resources() corev1.ResourceRequirements {
	o := &r.Options
	need := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: o.CPU, corev1.ResourceMemory: o.Memory},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: o.Memory},
	}
	if !o.EphemeralStorage.IsZero() {
		need.Requests[corev1.ResourceEphemeralStorage] = o.EphemeralRequest
		need.Limits[corev1.ResourceEphemeralStorage] = o.EphemeralStorage
	}
	if o.LimitCPU {
		need.Limits[corev1.ResourceCPU] = o.CPU
	}
	if o.GPU > 0 {
		need.Limits[o.GPUResource] = *resource.NewQuantity(o.GPU, resource.DecimalSI)
	}
	return need
}

// tolerations are the user's, and that of the taint which nodes with GPUs commonly have: the resource's own name.
func (r *Run) tolerations() []corev1.Toleration {
	var all []corev1.Toleration
	if r.Options.GPU > 0 {
		all = append(all, corev1.Toleration{
			Key: string(
				r.Options.GPUResource,
			),
			Operator: corev1.TolerationOpExists,
			Effect:   corev1.TaintEffectNoSchedule,
		})
	}
	for _, t := range r.Options.Tolerations {
		one := corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffect(t.Effect)}
		if !t.Any {
			one.Operator, one.Value = corev1.TolerationOpEqual, t.Value
		}
		all = append(all, one)
	}
	return all
}

// The volumes with what is run, and with the parts of metaml-pod.
const (
	inVolume    = "in"
	agentVolume = "agent"
)

func configMapProjection(name string) corev1.VolumeProjection {
	return corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: name},
	}}
}

func (r *Run) volumes() []corev1.Volume {
	in := []corev1.VolumeProjection{configMapProjection(r.holder())}
	if r.Spec.Kind == run.Train {
		in = append(in, configMapProjection(TableName(r.Spec.Name)))
	}
	for i := range r.Programs {
		in = append(in, configMapProjection(ProgramName(r.holder(), i)))
	}
	for i := range r.Models {
		in = append(in, configMapProjection(ModelName(r.holder(), i)))
	}
	if r.Spec.Kind == run.Serve && r.Spec.Server.Locked() {
		in = append(in, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: ServerTokenName(r.Spec.Name)},
			Items:                []corev1.KeyToPath{{Key: pod.TokenName, Path: pod.TokenName}},
		}})
	}
	var agent []corev1.VolumeProjection
	for i := range r.Agent.Parts {
		agent = append(agent, configMapProjection(r.AgentName(r.Agent, i)))
	}
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	// What is in it counts as memory of the pod.
	shm := r.Options.Memory.DeepCopy()
	shm.Set(shm.Value() / 2)
	volumes := []corev1.Volume{
		{Name: inVolume, VolumeSource: projected(in)},
		{Name: "work", VolumeSource: empty},
		{Name: "tmp", VolumeSource: empty},
		{Name: "shm", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: &shm,
		}}},
	}
	if r.Spec.Kind == run.Train {
		volumes = append(volumes, corev1.Volume{Name: "info", VolumeSource: corev1.VolumeSource{
			DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{{
				Path: "annotations", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations"},
			}}},
		}})
	}
	if len(agent) > 0 {
		volumes = append(volumes, corev1.Volume{Name: agentVolume, VolumeSource: projected(agent)})
	}
	if m := r.Options.Output; m != nil {
		volumes = append(volumes, outputVolume(m))
	}
	if m := r.ModelOn; m != nil {
		volumes = append(volumes, corev1.Volume{Name: modelVolume, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.Claim, ReadOnly: true},
		}})
	}
	for i, m := range r.Options.Mounts {
		volumes = append(volumes, corev1.Volume{Name: mountName(i), VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.Claim},
		}})
	}
	return volumes
}

func projected(sources []corev1.VolumeProjection) corev1.VolumeSource {
	return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}
}

const (
	outputName = "output"
	outputDir  = "/metaml/output" // where the volume of output is
)

func outputVolume(m *settings.Mount) corev1.Volume {
	return corev1.Volume{Name: outputName, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.Claim},
	}}
}

// onOutput is the folder on the volume of output that has the trials, as the folder of a run has them.
func (r *Run) onOutput() folder.Run { return folder.Run(r.folderOn(r.Options.Output, outputDir)) }

// folderOn is the run's own folder on a volume that is at dir. Its name has the run's identity: a run that is made
// again under the same name has another.
func (r *Run) folderOn(m *settings.Mount, dir string) string {
	return path.Join(dir, m.Sub, "metaml", r.Namespace, r.Spec.Name+"-"+r.identity())
}

// identity tells the run from others that had its name.
func (r *Run) identity() string { return r.Spec.ID[:min(len(r.Spec.ID), 8)] }

func mountName(i int) string { return fmt.Sprintf("mount-%d", i) }

func (r *Run) mounts() []corev1.VolumeMount {
	mounts := []corev1.VolumeMount{
		{Name: inVolume, MountPath: inDir, ReadOnly: true},
		{Name: "work", MountPath: workDir},
		{Name: "tmp", MountPath: "/tmp"},
		{Name: "shm", MountPath: "/dev/shm"},
	}
	if r.Spec.Kind == run.Train {
		mounts = append(mounts, corev1.VolumeMount{Name: "info", MountPath: infoDir, ReadOnly: true})
	}
	if r.Agent.Parts > 0 {
		mounts = append(mounts, corev1.VolumeMount{Name: agentVolume, MountPath: agentDir, ReadOnly: true})
	}
	if r.Options.Output != nil {
		mounts = append(mounts, corev1.VolumeMount{Name: outputName, MountPath: outputDir})
	}
	if m := r.ModelOn; m != nil {
		mounts = append(mounts, corev1.VolumeMount{
			Name: modelVolume, MountPath: modelDir, SubPath: m.Path, ReadOnly: true,
		})
	}
	for i, m := range r.Options.Mounts {
		mounts = append(mounts, corev1.VolumeMount{Name: mountName(i), MountPath: m.Path, SubPath: m.Sub})
	}
	return mounts
}

// Takes is what so many pods of the run take of a quota.
func (r *Run) Takes(pods int64) corev1.ResourceList {
	times := func(q resource.Quantity) resource.Quantity { q = q.DeepCopy(); q.Mul(pods); return q }
	o := &r.Options
	all := corev1.ResourceList{
		corev1.ResourceCPU:            times(o.CPU),
		corev1.ResourceRequestsCPU:    times(o.CPU),
		corev1.ResourceMemory:         times(o.Memory),
		corev1.ResourceRequestsMemory: times(o.Memory),
		corev1.ResourceLimitsMemory: times(
			o.Memory,
		),
		corev1.ResourcePods: *resource.NewQuantity(pods, resource.DecimalSI),
	}
	if o.LimitCPU {
		all[corev1.ResourceLimitsCPU] = times(o.CPU)
	}
	if o.GPU > 0 {
		all["requests."+o.GPUResource] = *resource.NewQuantity(o.GPU*pods, resource.DecimalSI)
	}
	return all
}
