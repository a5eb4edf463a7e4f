package manifest_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// served is revision 3 of a server.
func served() *manifest.Run {
	r := sweep()
	r.Spec.Kind, r.Spec.Name, r.Spec.Series = run.Serve, "predict-2", "predict"
	r.Spec.Server = &run.ServerSpec{
		Revision: 3, Replicas: 2, Path: "/predict", Model: "fit-1@here/team:5", ModelFolder: "/home/someone/outputs",
	}
	r.Agent.Program = pod.Server
	return r
}

// podOf is the pod of a server, and its only container.
func podOf(t *testing.T, r *manifest.Run) (*corev1.PodSpec, *corev1.Container) {
	t.Helper()
	d, err := r.Deployment(owner(), run.Replicas{Min: 2})
	if err != nil {
		t.Fatal(err)
	}
	spec := &d.Spec.Template.Spec
	if len(spec.Containers) != 1 || spec.Containers[0].Name != manifest.ServerContainer {
		t.Fatalf("its containers are %+v", spec.Containers)
	}
	return spec, &spec.Containers[0]
}

// inputs are the ConfigMaps of which the folder consists that a server is laid from.
func inputs(t *testing.T, spec *corev1.PodSpec) (names []string) {
	t.Helper()
	for i := range spec.Volumes {
		if p := spec.Volumes[i].Projected; p != nil && spec.Volumes[i].Name == "in" {
			for _, source := range p.Sources {
				if source.Secret != nil {
					names = append(names, "Secret "+source.Secret.Name)
				} else {
					names = append(names, source.ConfigMap.Name)
				}
			}
		}
	}
	return names
}

// argument is what follows a flag in a container's command; "" where the flag is not there.
func argument(c *corev1.Container, flag string) string {
	if i := slices.Index(c.Command, flag); i >= 0 {
		return c.Command[i+1]
	}
	return ""
}

// A model comes with the server, or is in its image, or on a volume.
func TestWhereAServerHasItsModel(t *testing.T) {
	here := []string{"predict-2-v3", "predict-2-v3-program-0"}
	for _, c := range []struct {
		name   string
		has    func(*manifest.Run)
		inputs []string
		at     string              // --model
		mount  *corev1.VolumeMount // nil: none
		claim  *corev1.PersistentVolumeClaimVolumeSource
	}{
		{"nowhere", func(*manifest.Run) {}, here, "", nil, nil},
		{
			"with it", func(r *manifest.Run) { r.Models = 2 },
			append(slices.Clone(here), "predict-2-v3-model-0", "predict-2-v3-model-1"), "", nil, nil,
		},
		{
			"in its image", func(r *manifest.Run) { r.ModelAt = "/opt/metaml/model" }, here, "/opt/metaml/model", nil,
			nil,
		},
		{
			"on a volume", func(r *manifest.Run) {
				trained := sweep().Spec
				trained.ID = "0123456789abcdef"
				r.ModelOn = manifest.OutputOn(&settings.Mount{Claim: "runs", Sub: "mine"}, "team", trained, 5)
			}, here, "/metaml/model",
			&corev1.VolumeMount{
				Name: "model", MountPath: "/metaml/model", ReadOnly: true,
				SubPath: "mine/metaml/team/train-model-7-01234567/trials/00005/output",
			},
			&corev1.PersistentVolumeClaimVolumeSource{ClaimName: "runs", ReadOnly: true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := served()
			c.has(r)
			spec, container := podOf(t, r)
			if diff := cmp.Diff(c.inputs, inputs(t, spec)); diff != "" {
				t.Errorf("its inputs (-want +got):\n%s", diff)
			}
			if at := argument(container, "--model"); at != c.at {
				t.Errorf("--model is %q, want %q", at, c.at)
			}
			var mount *corev1.VolumeMount
			var claim *corev1.PersistentVolumeClaimVolumeSource
			for i := range container.VolumeMounts {
				if container.VolumeMounts[i].Name == "model" {
					mount = &container.VolumeMounts[i]
				}
			}
			for i := range spec.Volumes {
				if spec.Volumes[i].Name == "model" {
					claim = spec.Volumes[i].PersistentVolumeClaim
				}
			}
			if diff := cmp.Diff(c.mount, mount) + cmp.Diff(c.claim, claim); diff != "" {
				t.Errorf("of the volume (-want +got):\n%s", diff)
			}
		})
	}
}

// The token of a locked server comes as a file out of a Secret that is the server's, and is nowhere else.
func TestALockedServerHasItsTokenAsAFile(t *testing.T) {
	r := served()
	r.Spec.Server.Auth = run.AuthToken
	spec, container := podOf(t, r)
	want := []string{"predict-2-v3", "predict-2-v3-program-0", "Secret predict-2-token"}
	if diff := cmp.Diff(want, inputs(t, spec)); diff != "" {
		t.Errorf("its inputs (-want +got):\n%s", diff)
	}
	for _, v := range container.Env {
		if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil && v.ValueFrom.SecretKeyRef.Name == "predict-2-token" {
			t.Errorf("the variable %s has it", v.Name)
		}
	}
	secret := r.ServerToken(owner(), "secret")
	if secret.Name != "predict-2-token" || string(secret.Data[pod.TokenName]) != "secret" ||
		secret.Immutable == nil || !*secret.Immutable ||
		secret.Labels[manifest.LabelComponent] != manifest.ComponentToken ||
		secret.Labels[manifest.LabelRun] != "predict-2" {
		t.Errorf("the Secret is %+v", secret)
	}
	if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != owner().UID {
		t.Errorf("it belongs to %+v", secret.OwnerReferences)
	}
}

// The parts of a model belong to their revision, go with it, and cannot be changed.
func TestAPartOfAModelIsAnObjectOfItsRevision(t *testing.T) {
	r := served()
	revision, err := r.Revision(owner())
	if err != nil {
		t.Fatal(err)
	}
	revision.UID = "of the revision"
	part := r.Model(revision, 1, []byte("weights"))
	if part.Name != "predict-2-v3-model-1" || part.Labels[manifest.LabelComponent] != manifest.ComponentModel ||
		part.Labels[manifest.LabelRun] != "predict-2" || string(part.BinaryData[pod.ModelPart(1)]) != "weights" ||
		part.Immutable == nil || !*part.Immutable {
		t.Errorf("it is %+v", part)
	}
	if len(part.OwnerReferences) != 1 || part.OwnerReferences[0].UID != "of the revision" {
		t.Errorf("it belongs to %+v", part.OwnerReferences)
	}
	spec, err := manifest.ReadOwnerOf(revision, "predict-2")
	if err != nil || spec.Server.ModelFolder != "" || spec.Server.Model != "fit-1@here/team:5" {
		t.Errorf("the revision says of it %+v, %v", spec.Server, err)
	}
}

// What a server's pods get beside their model.
func TestThePodOfAServer(t *testing.T) {
	r := served()
	r.Address = "10.96.0.9:80"
	r.Spec.Server.Workers = 3
	r.Options.CPU.SetMilli(6000)
	spec, c := podOf(t, r)
	if argument(c, "--service") != r.Address || argument(c, "--trials") != "" || argument(c, "--annotations") != "" {
		t.Errorf("its command is %q", c.Command)
	}
	if spec.RestartPolicy != corev1.RestartPolicyAlways || c.ReadinessProbe.HTTPGet.Path != "/readyz" ||
		c.LivenessProbe.HTTPGet.Path != "/healthz" || c.Ports[0].ContainerPort != pod.ServerPort {
		t.Errorf("it is %+v", spec)
	}
	threads := c.Env[slices.IndexFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == "OMP_NUM_THREADS" })]
	if threads.Value != "2" {
		t.Errorf("of 6 CPU each of 3 workers has %s threads", threads.Value)
	}
}
