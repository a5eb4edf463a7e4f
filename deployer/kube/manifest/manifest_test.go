package manifest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

func sweep() *manifest.Run {
	return &manifest.Run{
		Spec: run.Spec{
			V:           1,
			ID:          "id",
			Name:        "train-model-7",
			Series:      "train-model",
			Kind:        run.Train,
			Key:         strings.Repeat("a", 64),
			Source:      "/home/someone/secret-project/digits.ipynb",
			Cwd:         "/home/someone/secret-project",
			Python:      "/home/someone/venv/bin/python",
			Path:        []string{"/home/someone/lib"},
			Env:         map[string]string{"A": "b"},
			Completions: 6,
			Parallelism: 2,
			Retries:     3,
			Created:     time.Unix(0, 0).UTC(),
			Settings: []run.Setting{
				{Name: "pod_template", Value: "/home/someone/secret-project/pod.yaml", Origin: "cell"},
				{Name: "cpu", Value: "1", Origin: "/home/someone/secret-project/metaml.toml:4"},
			},
		},
		Namespace: "team", User: "someone@example.org",
		Options: manifest.Options{
			Image: "registry.example/python:3.11", CPU: resource.MustParse("1500m"), Memory: resource.MustParse("2Gi"),
			EphemeralStorage: resource.MustParse("20Gi"), EphemeralRequest: resource.MustParse("256Mi"),
			NumericUser: true,
		},
		Agent: manifest.Agent{
			Program: pod.Trial, Arch: "amd64", Digest: strings.Repeat("d", 64), Parts: 2,
		},
		Programs: 1,
	}
}

// monitored is a run with a monitor.
func monitored() *manifest.Run {
	r := sweep()
	r.Monitor = &manifest.Monitor{
		Agent: manifest.Agent{Program: pod.Monitor, Arch: "amd64", Digest: strings.Repeat("e", 64), Parts: 3},
		Token: "the-token", Address: "10.96.0.7:7070",
	}
	return r
}

func owner() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "train-model-7", Namespace: "team", UID: "uid"}}
}

func jobOf(t *testing.T, r *manifest.Run) *batchv1.Job {
	t.Helper()
	job, err := r.Job(owner())
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func container(t *testing.T, job *batchv1.Job) *corev1.Container {
	t.Helper()
	for i := range job.Spec.Template.Spec.Containers {
		if c := &job.Spec.Template.Spec.Containers[i]; c.Name == manifest.TrialContainer {
			return c
		}
	}
	t.Fatal("there is no container for the trial")
	return nil
}

func TestNothingOfThisMachineIsInAnObject(t *testing.T) {
	r := sweep()
	made, err := r.Owner()
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []any{made, jobOf(t, r)} {
		data, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "/home/someone") || strings.Contains(string(data), "secret-project") {
			t.Errorf("a path of this machine is in %s", data)
		}
	}
	spec, err := manifest.ReadOwner(made)
	if err != nil || spec.Name != "train-model-7" || spec.Source != "digits.ipynb" ||
		spec.Settings[0].Value != "pod.yaml" || spec.Settings[1].Origin != "metaml.toml:4" {
		t.Errorf("the owner is read as %+v, %v", spec, err)
	}
}

// Whoever may write the owner does not choose what is executed on the machine of who reads it.
func TestAnOwnerNamesNoProgramOfThisMachine(t *testing.T) {
	made, err := sweep().Owner()
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(made.Data[pod.SpecName], "{", `{"python": "/bin/evil", "notify": "evil", "cwd": "/", `, 1)
	made.Data[pod.SpecName] = forged
	spec, err := manifest.ReadOwner(made)
	if err != nil || spec.Python != "" || spec.Notify != "" || spec.Cwd != "" {
		t.Errorf("it is read as %+v, %v", spec, err)
	}
}

// A cluster keeps all objects in memory: what a run has beside its program, its table and metaml-pod is small, however
// many trials it has.
func TestWhatARunHasOfItsOwnIsSmall(t *testing.T) {
	r := sweep()
	r.Spec.Completions, r.Spec.Parallelism, r.Programs = 1000, 1000, 10
	made, err := r.Owner()
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, object := range []any{made, r.Key(made, "key"), jobOf(t, r)} {
		data, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		size += len(data)
	}
	if size > 100_000 {
		t.Errorf("it has %d bytes", size)
	}
}

// Whoever applies an export again, after it was deleted, has another run.
func TestAnExportedRunIsWhatTheClusterMakesOfIt(t *testing.T) {
	r := sweep()
	r.Exported = true
	made, err := r.Owner()
	if err != nil {
		t.Fatal(err)
	}
	made.UID, made.CreationTimestamp = "first", metav1.Unix(1000, 0)
	first, err := manifest.ReadOwner(made)
	if err != nil {
		t.Fatal(err)
	}
	made.UID = "second"
	second, err := manifest.ReadOwner(made)
	if err != nil {
		t.Fatal(err)
	}
	if first.ID != "first" || second.ID != "second" || !first.Created.Equal(time.Unix(1000, 0)) {
		t.Errorf("they are %s of %s and %s", first.ID, first.Created, second.ID)
	}
}

func TestTheJobKnowsWhatFollowsEachEnd(t *testing.T) {
	job := jobOf(t, sweep())
	if *job.Spec.Completions != 6 || *job.Spec.Parallelism != 2 || *job.Spec.BackoffLimitPerIndex != 3 {
		t.Errorf("the Job is %+v", job.Spec)
	}
	actions := map[int32]batchv1.PodFailurePolicyAction{}
	for _, rule := range job.Spec.PodFailurePolicy.Rules {
		if rule.OnExitCodes != nil {
			for _, code := range rule.OnExitCodes.Values {
				actions[code] = rule.Action
			}
		}
	}
	for code, want := range map[int32]batchv1.PodFailurePolicyAction{
		pod.ExitFailed:  batchv1.PodFailurePolicyActionFailIndex,
		pod.ExitStopped: batchv1.PodFailurePolicyActionFailIndex,
		pod.ExitProgram: batchv1.PodFailurePolicyActionFailJob, pod.ExitOurs: "", pod.ExitEvicted: "", 137: "",
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			if actions[code] != want {
				t.Errorf("it is followed by %q, want %q", actions[code], want)
			}
		})
	}
}

func TestWhatIsAskedForAPod(t *testing.T) {
	r := sweep()
	c := container(t, jobOf(t, r))
	if cpu := c.Resources.Limits.Cpu(); !cpu.IsZero() {
		t.Errorf("the CPU is limited to %s", cpu)
	}
	threads := c.Env[slices.IndexFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == "OMP_NUM_THREADS" })]
	if threads.Value != "2" {
		t.Errorf("1500m CPU are %s threads", threads.Value)
	}
	for _, list := range []corev1.ResourceList{c.Resources.Requests, c.Resources.Limits} {
		if list.Memory().String() != "2Gi" || list.StorageEphemeral().IsZero() {
			t.Errorf("it asks for %v", list)
		}
	}
	r.Options.LimitCPU, r.Options.GPU, r.Options.GPUResource = true, 2, "nvidia.com/gpu"
	job := jobOf(t, r)
	c = container(t, job)
	if cpu := c.Resources.Limits.Cpu(); cpu.String() != "1500m" {
		t.Errorf("where limits are counted the limit is %s", cpu)
	}
	gpus := c.Resources.Limits["nvidia.com/gpu"]
	if gpus.Value() != 2 || !slices.ContainsFunc(job.Spec.Template.Spec.Tolerations, func(t corev1.Toleration) bool {
		return t.Key == "nvidia.com/gpu" && t.Operator == corev1.TolerationOpExists
	}) {
		t.Errorf("it has %s GPUs and tolerates %v", &gpus, job.Spec.Template.Spec.Tolerations)
	}
}

func TestVariablesAndSecrets(t *testing.T) {
	r := sweep()
	r.Options.Env = []settings.Variable{{Name: "MODE", Value: "fast"}, {Name: "OMP_NUM_THREADS", Value: "7"}}
	r.Options.Secrets = []settings.SecretValue{{Name: "TOKEN", Secret: "hub", Key: "token"}}
	r.Options.SessionSecrets = map[string]string{"WANDB_API_KEY": "planted"}
	job := jobOf(t, r)
	values := map[string]corev1.EnvVar{}
	for _, v := range container(t, job).Env {
		if _, twice := values[v.Name]; twice {
			t.Errorf("%s is there twice", v.Name)
		}
		values[v.Name] = v
	}
	if values["MODE"].Value != "fast" || values["OMP_NUM_THREADS"].Value != "7" {
		t.Errorf("the variables are %v", values)
	}
	if from := values["TOKEN"].ValueFrom.SecretKeyRef; from.Name != "hub" || from.Key != "token" {
		t.Errorf("TOKEN comes from %v", from)
	}
	from := values["WANDB_API_KEY"].ValueFrom.SecretKeyRef
	if secret := r.Key(owner(), "k"); from.Name != secret.Name || string(secret.Data[from.Key]) != "planted" {
		t.Errorf("WANDB_API_KEY comes from %v", from)
	}
	if data, err := json.Marshal(job); err != nil || strings.Contains(string(data), "planted") {
		t.Errorf("the Job has a secret of the session: %v", err)
	}
}

func TestAPodTemplateAddsWhatWeDoNotSet(t *testing.T) {
	r := sweep()
	r.Options.PodTemplate = []byte(`{"metadata":{"labels":{"team":"blue","metaml/run":"theirs"}},"spec":{
		"priorityClassName":"low","restartPolicy":"Always","containers":[
		{"name":"trial","image":"theirs","envFrom":[{"secretRef":{"name":"all"}}]},
		{"name":"sidecar","image":"side"}]}}`)
	job := jobOf(t, r)
	template := job.Spec.Template
	c := container(t, job)
	if template.Labels["team"] != "blue" || template.Spec.PriorityClassName != "low" || len(c.EnvFrom) != 1 ||
		len(template.Spec.Containers) != 2 {
		t.Errorf("theirs is missing in %+v", template)
	}
	if template.Labels["metaml/run"] != "train-model-7" || template.Spec.RestartPolicy != corev1.RestartPolicyNever ||
		c.Image != "registry.example/python:3.11" {
		t.Errorf("ours is missing in %+v", template)
	}
}

func TestAResumedJobIsLikeTheOneBefore(t *testing.T) {
	r := sweep()
	at := owner()
	whole, err := r.Owner()
	if err != nil {
		t.Fatal(err)
	}
	at.Data = whole.Data
	before := jobOf(t, r)
	before.Spec.Template.Labels["batch.kubernetes.io/controller-uid"] = "old"
	resumed := manifest.Resumed(at, before, 1, 3)
	again := manifest.Resumed(at, resumed, 2, 1)
	if resumed.Name != "train-model-7-r1" || *resumed.Spec.Completions != 3 || *resumed.Spec.Parallelism != 2 ||
		*again.Spec.Parallelism != 1 {
		t.Errorf("it is %s with %+v", resumed.Name, resumed.Spec)
	}
	if _, old := resumed.Spec.Template.Labels["batch.kubernetes.io/controller-uid"]; old {
		t.Error("it has the label of the Job before")
	}
	sources := again.Spec.Template.Spec.Volumes[0].Projected.Sources
	last := sources[len(sources)-1].ConfigMap.Name
	if last != manifest.RowsName(again.Name) ||
		len(sources) != len(before.Spec.Template.Spec.Volumes[0].Projected.Sources)+1 {
		t.Errorf("its files are %v", sources)
	}
	if r := [...]int{manifest.Round(before), manifest.Round(resumed), manifest.Round(again)}; r != [...]int{1, 2, 3} {
		t.Errorf("their rounds are %v", r)
	}
}

// What a queue adds to a Job when it starts it would keep it from starting the next.
func TestAResumedJobHasNothingOfItsQueue(t *testing.T) {
	r := sweep()
	r.Options.Queue, r.Options.NodeSelector = "team", map[string]string{"disk": "fast"}
	made := jobOf(t, r)
	last := made.DeepCopy()
	template := &last.Spec.Template
	template.Annotations["kueue.x-k8s.io/workload"] = "job-train-model-7"
	template.Labels["kueue.x-k8s.io/podset"] = "main"
	template.Spec.NodeSelector["pool"] = "spot"
	template.Spec.Tolerations = append(template.Spec.Tolerations, corev1.Toleration{Key: "spot"})
	template.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "kueue.x-k8s.io/topology"}}
	for _, job := range []*batchv1.Job{
		manifest.Resumed(owner(), last, 1, 3), manifest.Resumed(owner(), manifest.Resumed(owner(), last, 1, 3), 2, 1),
	} {
		got, want := job.Spec.Template, made.Spec.Template
		if !maps.Equal(got.Labels, want.Labels) || !maps.Equal(got.Annotations, want.Annotations) ||
			!maps.Equal(got.Spec.NodeSelector, want.Spec.NodeSelector) ||
			len(got.Spec.Tolerations)+len(got.Spec.SchedulingGates) > 0 {
			t.Errorf("the pods of %s have %v %+v", job.Name, got.ObjectMeta, got.Spec)
		}
		if job.Labels[manifest.LabelQueue] != "team" || !manifest.Suspended(job) || manifest.Halted(job) {
			t.Errorf("%s does not wait for its queue", job.Name)
		}
	}
}

func TestTheLoginOfTheRunIsASecretOfItsOwn(t *testing.T) {
	r := sweep()
	r.Options.PullSecrets, r.Options.PullLogin = []string{"team"}, []byte("planted")
	job, secret := jobOf(t, r), r.Pull(owner())
	want := []corev1.LocalObjectReference{{Name: "team"}, {Name: secret.Name}}
	if got := job.Spec.Template.Spec.ImagePullSecrets; !slices.Equal(got, want) {
		t.Errorf("it pulls with %v", got)
	}
	data := string(secret.Data[corev1.DockerConfigJsonKey])
	if secret.Type != corev1.SecretTypeDockerConfigJson || data != "planted" ||
		len(secret.OwnerReferences) != 1 {
		t.Errorf("it is %+v", secret)
	}
	if object, err := json.Marshal(job); err != nil || strings.Contains(string(object), "planted") {
		t.Errorf("the Job has the login: %v", err)
	}
}
