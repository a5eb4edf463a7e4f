package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// Outline says which objects a submission would make, and what the namespace has left for it.
func (p *Place) Outline(ctx context.Context, s run.Submission) ([]run.Section, error) {
	s.Spec.Name = run.ParseName(s.Spec.Name).Run
	load, err := p.checked(ctx, s)
	if err != nil {
		return nil, err
	}
	r, o := &load.run, &load.run.Options
	image := []string{o.Image}
	if p.images != nil {
		if image, err = p.outlineImage(ctx, r.Agent.Arch, s); err != nil {
			return nil, err
		}
	}
	var objects []string
	if r.Spec.Kind == run.Serve {
		if objects, err = p.outlineServer(ctx, load); err != nil {
			return nil, err
		}
	} else {
		objects = load.outlineSweep()
	}
	if r.Agent.Parts > 0 {
		objects = append(objects,
			fmt.Sprintf("ConfigMap %s…: %s, shared by all runs of the namespace", r.Agent.OwnerName(),
				r.Agent.Program))
	}
	if r.Monitor != nil {
		objects = append(objects,
			fmt.Sprintf("Job %s and Service %s: the process that collects curves while they grow, 50m CPU, 64Mi memory",
				manifest.MonitorName(r.Spec.Name), manifest.MonitorServiceName(r.Spec.Name)))
		if r.Monitor.Agent.Parts > 0 {
			objects = append(objects, fmt.Sprintf("ConfigMap %s…: metaml-monitor, shared by all runs of the namespace",
				r.Monitor.Agent.OwnerName()))
		}
	}
	if load.note != nil {
		objects = append(objects, load.note.Text)
	}
	sections := []run.Section{
		{
			Title: fmt.Sprintf(
				"objects in namespace %s of cluster %s, as %s",
				p.cluster.Namespace,
				p.cluster.Context,
				p.user,
			),
			Lines: objects,
		},
	}
	sections = append(sections, run.Section{Title: "image", Lines: image})
	if r.Spec.Kind == run.Train {
		sections = append(sections, run.Section{Title: "record", Lines: []string{
			load.kept(),
			fmt.Sprintf("the record, up to 1 MiB, is in ConfigMap %s as well, from the first minute on in which "+
				"somebody follows the run", manifest.RecordName(r.Spec.Name)),
		}})
	}
	if quotas := p.quotas(ctx, load); len(quotas) > 0 {
		sections = append(sections, run.Section{Title: "quota", Lines: quotas})
	}
	return sections, nil
}

// needs is what a pod of a run requests.
func (load *shipment) needs() string {
	o := &load.run.Options
	needs := fmt.Sprintf("%s CPU, %s memory", &o.CPU, &o.Memory)
	if o.GPU > 0 {
		needs += fmt.Sprintf(", %d %s", o.GPU, o.GPUResource)
	}
	return needs + ", on linux/" + load.run.Agent.Arch
}

// outlineSweep says which objects a sweep has of its own.
func (load *shipment) outlineSweep() []string {
	r := &load.run
	objects := []string{
		fmt.Sprintf("Job %s: %s, %d at a time, each with %s", r.Spec.Name, prose.Count(r.Spec.Completions, "pod"),
			r.Spec.Parallelism, load.needs()),
		fmt.Sprintf("ConfigMap %s: what all others belong to", r.Spec.Name),
		fmt.Sprintf("ConfigMap %s: the hyperparameters, %d KiB", manifest.TableName(r.Spec.Name),
			(len(load.table)+1023)>>10),
		load.outlineProgram(r.Spec.Name), "Secret " + manifest.KeyName(r.Spec.Name),
	}
	if slices.Contains(r.Options.PullSecrets, ownLogin) {
		objects = append(objects, "Secret "+manifest.PullName(r.Spec.Name)+": the login for the registry of the image")
	}
	return objects
}

// outlineProgram says which objects have the program of a run, or of a server's revision.
func (load *shipment) outlineProgram(holder string) string {
	size := 0
	for _, part := range load.program {
		size += len(part)
	}
	what := "the program"
	if load.run.InImage {
		what = "how its variables looked"
	}
	return fmt.Sprintf("ConfigMap %s…: %s, %d KiB", manifest.ProgramName(holder, 0), what, (size+1023)>>10)
}

// outlineImage says what the image of a submission has, what of it is there and what is to be made.
func (p *Place) outlineImage(ctx context.Context, arch string, s run.Submission) ([]string, error) {
	maker, request, err := p.request(ctx, arch, s, func(run.BuildStep) {})
	if err != nil {
		return nil, err
	}
	o, err := maker.Outline(ctx, *request)
	if err != nil {
		return nil, err
	}
	lines := []string{"environment " + o.There}
	if o.There == "" {
		lines[0] = fmt.Sprintf(
			"environment %s for linux/%s, made and sent to %s when a run needs it",
			o.Name,
			arch,
			request.To,
		)
		if o.Load > 0 {
			lines[0] += fmt.Sprintf("; %s of packages are to be loaded", prose.Bytes(o.Load))
		}
	}
	lines = append(lines, "base "+o.Base)
	if o.Wheels == nil {
		lines = append(lines, fmt.Sprintf("packages as the builder at %s resolves them", request.Builder.Address))
	}
	for _, l := range o.Layers {
		if len(l.Wheels) == 0 {
			continue
		}
		there := "to be sent"
		if l.There {
			there = "there"
		}
		names := make([]string, len(l.Wheels))
		for i := range l.Wheels {
			names[i] = l.Wheels[i].Name + " " + l.Wheels[i].Version
		}
		lines = append(lines, fmt.Sprintf("layer of %s, %s: %s", prose.Bytes(l.Size), there, strings.Join(names, ", ")))
	}
	var size int64
	for i := range request.Program {
		size += request.Program[i].Content.Size()
	}
	if request.Program == nil {
		return lines, nil
	}
	if request.Model != nil {
		var size int64
		for i := range request.Model {
			size += request.Model[i].Content.Size()
		}
		lines = append(lines, fmt.Sprintf("layer of the model: %s, %s", prose.Count(len(request.Model), "file"),
			prose.Bytes(size)))
	}
	return append(lines, fmt.Sprintf("layer of the program: %s, %s", prose.Count(len(request.Program), "file"),
		prose.Bytes(size))), nil
}

// quotas says what the namespace's quotas have left, beside what the run takes when all its trials run that may.
func (p *Place) quotas(ctx context.Context, load *shipment) []string {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	list, err := p.cluster.Core.ResourceQuotas(p.cluster.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // it may not be read
	}
	atOnce := int64(load.run.Spec.Parallelism)
	if load.run.Spec.Kind == run.Serve {
		atOnce = int64(max(1, load.run.Spec.Server.Replicas))
	}
	takes := load.run.Takes(atOnce)
	var lines []string
	for i := range list.Items {
		q := &list.Items[i]
		for _, name := range []corev1.ResourceName{
			corev1.ResourceRequestsCPU, corev1.ResourceCPU, corev1.ResourceLimitsCPU, corev1.ResourceRequestsMemory,
			corev1.ResourceMemory, corev1.ResourceLimitsMemory, corev1.ResourcePods,
			"requests." + load.run.Options.GPUResource,
		} {
			hard, limited := q.Status.Hard[name]
			need, takes := takes[name]
			if !limited || !takes {
				continue
			}
			used := q.Status.Used[name]
			left := hard.DeepCopy()
			left.Sub(used)
			if left.Sign() < 0 { // the quota was made later
				left.Set(0)
			}
			line := fmt.Sprintf("%s: %s of %s left, and this takes %s", name, &left, &hard, &need)
			if need.Cmp(left) > 0 {
				line += "; some of them wait"
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// outlineServer says which objects a revision of a server has, and those of the server.
func (p *Place) outlineServer(ctx context.Context, load *shipment) ([]string, error) {
	r, o := &load.run, &load.run.Options
	spec := &r.Spec
	t, now := &taken{}, revisionsNow{}
	var err error
	if t.owner, err = p.server(ctx, spec); err != nil {
		return nil, err
	}
	if t.owner != nil {
		spec.Name = t.owner.Name
		if now, err = p.revisions(ctx, t); err != nil {
			return nil, err
		}
	}
	spec.Server = new(*spec.Server)
	spec.Server.Revision = now.newest + 1
	replicas := spec.Server.Wanted()
	if now.current != nil {
		replicas = scaledFrom(t.replicas, spec.Name, now.current.Server, replicas).Replicas
	}
	pods := fmt.Sprintf("Deployment %s: %s of %s, each pod with %s", spec.Name, replicas.Words(),
		prose.Count(max(1, spec.Server.Workers), "worker"), load.needs())
	port := cmp.Or(spec.Server.Port, run.ServicePort)
	holder := manifest.RevisionName(spec.Name, spec.Server.Revision)
	objects := []string{
		pods,
		fmt.Sprintf("Service %s: port %d, so that programs in the cluster ask it on %s", spec.Name, port,
			run.ServiceURL(spec.Name, p.cluster.Namespace, port, spec.Server.Path)),
		fmt.Sprintf("PodDisruptionBudget %s: one pod at a time goes when nodes are drained", spec.Name),
		fmt.Sprintf("ConfigMap %s: what all others belong to", spec.Name),
		fmt.Sprintf("ConfigMap %s: revision %d, what it is", holder, spec.Server.Revision),
		load.outlineProgram(holder),
	}
	switch {
	case r.ModelOn != nil:
		objects = append(objects, fmt.Sprintf("the model %s is read from PersistentVolumeClaim %s", spec.Server.Model,
			r.ModelOn.Claim))
	case r.ModelAt != "":
		objects = append(objects, fmt.Sprintf("the model %s is a layer of the image", spec.Server.Model))
	case len(load.model) > 0:
		size := 0
		for _, part := range load.model {
			size += len(part)
		}
		objects = append(objects, fmt.Sprintf("ConfigMap %s…: the model %s, %d KiB", manifest.ModelName(holder, 0),
			spec.Server.Model, (size+1023)>>10))
	}
	objects = append(objects, outlineReach(spec)...)
	objects = append(objects, "Secret "+manifest.KeyName(holder))
	if spec.Server.Locked() {
		objects = append(objects, fmt.Sprintf("Secret %s: the token that requests must have, unless it is there",
			manifest.ServerTokenName(spec.Name)))
	}
	if replicas.Ranged() {
		objects = slices.Insert(objects, 1, fmt.Sprintf("HorizontalPodAutoscaler %s: it chooses from %s by their use "+
			"of processors, %d %% of --cpu", spec.Name, replicas.Words(), manifest.Utilization))
	}
	if t.before > 0 {
		objects[0] += fmt.Sprintf("; revision %d answers until those of revision %d do", t.before, spec.Server.Revision)
	}
	if slices.Contains(o.PullSecrets, ownLogin) {
		objects = append(objects, "Secret "+manifest.PullName(holder)+": the login for the registry of the image")
	}
	return objects, nil
}
