package manifest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/settings"
)

func TestTrialsAreToldWhereTheMonitorIs(t *testing.T) {
	find := func(r *manifest.Run, name string) *corev1.EnvVar {
		env := container(t, jobOf(t, r)).Env
		if i := slices.IndexFunc(env, func(v corev1.EnvVar) bool { return v.Name == name }); i >= 0 {
			return &env[i]
		}
		return nil
	}
	r := monitored()
	if v := find(r, pod.MonitorVariable); v == nil || v.Value != "10.96.0.7:7070" {
		t.Errorf("its address is %+v", v)
	}
	if v := find(r, pod.UIDVariable); v == nil || v.ValueFrom.FieldRef.FieldPath != "metadata.uid" {
		t.Errorf("the identity of the pod is %+v", v)
	}
	v := find(r, pod.MonitorTokenVariable)
	if v == nil || v.Value != "" {
		t.Fatalf("its token is %+v", v)
	}
	secret := r.Key(owner(), "key")
	if from := v.ValueFrom.SecretKeyRef; from.Name != secret.Name || string(secret.Data[from.Key]) != "the-token" {
		t.Errorf("its token comes from %+v", from)
	}
	for _, name := range []string{pod.MonitorVariable, pod.MonitorTokenVariable, pod.UIDVariable} {
		if v := find(sweep(), name); v != nil {
			t.Errorf("without a monitor there is %+v", v)
		}
	}
}

func TestTheMonitorIsConfinedSmallAndHasNoRights(t *testing.T) {
	r := monitored()
	job := r.MonitorJob(owner())
	spec := &job.Spec.Template.Spec
	if *spec.AutomountServiceAccountToken || !*spec.SecurityContext.RunAsNonRoot ||
		spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		t.Errorf("its pod is %+v", spec)
	}
	c := &spec.Containers[0]
	if !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation {
		t.Errorf("its container is %+v", c.SecurityContext)
	}
	requests := c.Resources.Requests
	if cpu, memory := requests.Cpu().String(), requests.Memory().String(); cpu != "50m" || memory != "64Mi" {
		t.Errorf("it takes %s CPU and %s memory", cpu, memory)
	}
	text, err := json.Marshal(job)
	if err != nil || strings.Contains(string(text), "the-token") {
		t.Errorf("the token is in its Job, or %v", err)
	}
}

// The Job controller and we find the pods of trials by their labels: the monitor's is none of them, and the Service
// finds it alone.
func TestTheMonitorIsNoTrial(t *testing.T) {
	r := monitored()
	trials, err := labels.Parse(manifest.TrialsOf(r.Spec.Name))
	if err != nil {
		t.Fatal(err)
	}
	monitor, trial := r.MonitorJob(owner()), jobOf(t, r)
	service := labels.SelectorFromSet(r.MonitorService(owner()).Spec.Selector)
	for _, c := range []struct {
		name          string
		set           map[string]string
		trial, served bool
	}{
		{"the monitor's Job", monitor.Labels, false, true},
		{"the monitor's pod", monitor.Spec.Template.Labels, false, true},
		{"the trials' Job", trial.Labels, true, false},
		{"a trial's pod", trial.Spec.Template.Labels, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if set := labels.Set(c.set); trials.Matches(set) != c.trial || service.Matches(set) != c.served {
				t.Errorf("it has the labels %v", c.set)
			}
		})
	}
}

func TestTheMonitorComesFromTheImageOfTheAgent(t *testing.T) {
	r := monitored()
	r.Options.AgentImage, r.Monitor.Agent.Parts = "registry.example/metaml-pod:1", 0
	job := r.MonitorJob(owner())
	c := &job.Spec.Template.Spec.Containers[0]
	if c.Image != r.Options.AgentImage || c.Command[0] != pod.InAgentImage(pod.Monitor) {
		t.Errorf("it executes %q of %s", c.Command, c.Image)
	}
	volumes := map[string]bool{}
	for _, v := range job.Spec.Template.Spec.Volumes {
		volumes[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("there is no volume %s", m.Name)
		}
	}
}

// What trials sent is on a volume, where one is named: each run has a folder of its own there.
func TestTheMonitorKeepsTheRecordWhereOneIsNamed(t *testing.T) {
	r := monitored()
	r.Namespace, r.Options.Keep = "team", time.Hour
	command := func() string {
		return strings.Join(r.MonitorJob(owner()).Spec.Template.Spec.Containers[0].Command, " ")
	}
	if got := command(); !strings.Contains(got, "--dir /metaml/store/files ") ||
		!strings.Contains(got, "--keep 1h0m0s") {
		t.Errorf("without a volume it executes %s", got)
	}
	r.Options.Record = &settings.Mount{Claim: "runs", Sub: "mine"}
	want := "--dir /metaml/store/mine/metaml/team/" + r.Spec.Name + "-"
	if got := command(); !strings.Contains(got, want) {
		t.Errorf("with a volume it executes %s, want %s", got, want)
	}
	for _, v := range r.MonitorJob(owner()).Spec.Template.Spec.Volumes {
		if v.Name == "store" && (v.PersistentVolumeClaim == nil || v.PersistentVolumeClaim.ClaimName != "runs") {
			t.Errorf("its files are at %+v", v.VolumeSource)
		}
	}
	first := r.Spec.ID
	before := command()
	if r.Spec.ID = "another" + first; command() == before {
		t.Error("another run of the name has the same folder")
	}
}

// Files of trials are on a volume, where one is named: the pods write there, and the monitor reads.
func TestFilesOfTrialsAreOnAVolumeWhereOneIsNamed(t *testing.T) {
	r := monitored()
	r.Namespace, r.Options.Output = "team", &settings.Mount{Claim: "runs", Sub: "mine"}
	want := "/metaml/output/mine/metaml/team/" + r.Spec.Name + "-" + r.Spec.ID[:min(len(r.Spec.ID), 8)] + "/trials"
	trial, monitor := jobOf(t, r).Spec.Template.Spec, r.MonitorJob(owner()).Spec.Template.Spec
	for _, c := range []struct {
		name     string
		spec     corev1.PodSpec
		want     string
		readOnly bool
	}{
		{"a trial", trial, "--trials " + want, false},
		{"the monitor", monitor, "--output " + want + "/00000/output", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			container := c.spec.Containers[0]
			if got := strings.Join(container.Command, " "); !strings.Contains(got, c.want) {
				t.Errorf("it executes %s, want %s", got, c.want)
			}
			mount := slices.IndexFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool {
				return m.MountPath == "/metaml/output"
			})
			if mount < 0 || container.VolumeMounts[mount].ReadOnly != c.readOnly {
				t.Fatalf("it has %+v", container.VolumeMounts)
			}
			if !slices.ContainsFunc(c.spec.Volumes, func(v corev1.Volume) bool {
				return v.Name == container.VolumeMounts[mount].Name && v.PersistentVolumeClaim != nil &&
					v.PersistentVolumeClaim.ClaimName == "runs"
			}) {
				t.Errorf("it has the volumes %+v", c.spec.Volumes)
			}
		})
	}
	r.Options.Output, r.Options.NoOutput = nil, true
	if got := strings.Join(container(t, jobOf(t, r)).Command, " "); !strings.Contains(got, "--no-outputs") {
		t.Errorf("where nothing is kept it executes %s", got)
	}
}

// The monitor has the login for a registry, and no trial. What is there outlives it, so there are never two of it.
func TestTheMonitorAloneMayPushToARegistry(t *testing.T) {
	r := monitored()
	if r.MonitorJob(owner()).Spec.PodReplacementPolicy != nil {
		t.Error("a monitor without a record elsewhere is not replaced at once")
	}
	r.Options.OutputRepository, r.Options.RecordRepository = "registry.example/outputs", "registry.example/records"
	r.Options.RegistrySecret = "pushes"
	trial, job := jobOf(t, r).Spec.Template.Spec, r.MonitorJob(owner())
	monitor := job.Spec.Template.Spec
	of := r.Spec.Name + "-" + r.Spec.ID[:min(len(r.Spec.ID), 8)]
	for _, want := range []string{
		"--output-artifact registry.example/outputs:" + of + "-outputs",
		"--record-artifact registry.example/records:" + of + "-record",
	} {
		if got := strings.Join(monitor.Containers[0].Command, " "); !strings.Contains(got, want) {
			t.Errorf("it executes %s, want %s", got, want)
		}
	}
	has := func(spec corev1.PodSpec) bool {
		return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
			return v.Secret != nil && v.Secret.SecretName == "pushes"
		})
	}
	if !has(monitor) || has(trial) {
		t.Errorf("the monitor has the login: %v, a trial: %v", has(monitor), has(trial))
	}
	if p := job.Spec.PodReplacementPolicy; p == nil || *p != batchv1.Failed {
		t.Errorf("its pod is replaced by %v", p)
	}
}
