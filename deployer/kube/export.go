package kube

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// CheckExport refuses what has no image yet, since nothing is made, and what would put a secret of the session into a
// text that people keep in files.
func (t *Target) CheckExport(s *settings.Resolved) error {
	for _, item := range s.List("secret") {
		// The settings were checked when they were resolved.
		if v, err := settings.ParseSecretValue(item); err == nil && v.Secret == "" {
			return &usererror.Error{
				Code: usererror.CodeOption,
				Text: fmt.Sprintf("--secret %s would put the value of a secret into what is exported", v.Name),
				Hint: fmt.Sprintf("Name a Secret of the namespace that has it: --secret %s=SECRET/KEY.", v.Name),
			}
		}
	}
	if slices.Contains(s.List("image_pull_secret"), ownLogin) {
		return usererror.New(usererror.CodeOption, "--image-pull-secret %s would put a login into what is exported",
			ownLogin).With("Name a Secret of the namespace that has it: --image-pull-secret NAME.")
	}
	return settings.NeedsImage(s)
}

// Export gives the objects of a submission as YAML that kubectl apply takes, and that works without us.
func (p *Place) Export(ctx context.Context, s run.Submission) ([]byte, error) {
	if err := p.cluster.CheckQueue(ctx, p.settings.Text("queue")); err != nil {
		return nil, err
	}
	if kept := p.settings.Output(); kept.Volume != nil || kept.Registry {
		return nil, usererror.New(usererror.CodeOption, "--output %s needs a run that we submit: what is exported may "+
			"be made again and again, and would find the files of the time before", p.settings.Text("output")).
			With("Write files to a volume: --mount pvc:NAME:PATH.")
	}
	s.Spec.Name = run.ParseName(s.Spec.Name).Run
	load, err := p.pack(ctx, s, true)
	if err != nil {
		return nil, err
	}
	if s.Spec.Kind == run.Serve {
		if err := p.addServer(ctx, load, &s); err != nil {
			return nil, err
		}
		return exportServer(*load, s.ServiceMonitor)
	}
	return export(*load)
}

// maxApplied bounds what one object of an export holds: kubectl apply writes all of it into an annotation as well, in
// base64, and all annotations together may have 256 KiB (Kubernetes API conventions, annotations).
const maxApplied = 150 << 10

// export writes all objects, the Job last.
func export(load shipment) ([]byte, error) {
	if len(load.table) > maxApplied {
		return nil, &usererror.Error{
			Code: usererror.CodeTooLarge,
			Text: fmt.Sprintf("the hyperparameters are %d KiB, and kubectl apply takes at most %d KiB in one object",
				len(load.table)>>10, maxApplied>>10),
			Hint: "Hand large values over with --with, or read them from a volume: --mount pvc:NAME:PATH.",
		}
	}
	program, agent := split(load.program), split(load.agent)
	r := load.run
	r.Programs, r.Agent.Parts = len(program), len(agent)
	owner, err := r.Owner()
	if err != nil {
		return nil, err
	}
	objects := []any{owner, r.TableObject(nil, load.table)}
	for i, part := range program {
		objects = append(objects, r.Program(nil, i, part))
	}
	for i, part := range agent {
		objects = append(objects, r.AgentPart(nil, r.Agent, i, part))
	}
	job, err := r.Job(nil)
	if err != nil {
		return nil, err
	}
	return documents(fmt.Sprintf("# Run %s on Kubernetes. kubectl apply -f FILE starts it, and kubectl delete -f FILE "+
		"removes all of it.\n", r.Spec.Name), append(objects, job))
}

// documents writes objects as YAML, below a comment.
func documents(comment string, objects []any) ([]byte, error) {
	all := []byte(comment)
	for _, object := range objects {
		data, err := yaml.Marshal(object)
		if err != nil {
			return nil, fmt.Errorf("write the objects that are exported: %w", err)
		}
		all = append(append(all, "---\n"...), data...)
	}
	return all, nil
}

// split cuts what the parts are together into such as kubectl apply takes.
func split(parts [][]byte) [][]byte {
	return slices.Collect(slices.Chunk(slices.Concat(parts...), maxApplied))
}
