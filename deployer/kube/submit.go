package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/mirror"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// manager is the field manager of what we write.
const manager = "metaml"

// shipment is what a submission brings into the cluster, made and checked before anything is.
type shipment struct {
	run     manifest.Run
	key     string
	table   []byte
	program [][]byte
	model   [][]byte
	agent   [][]byte
	monitor [][]byte
	note    *run.Note // why the run has no monitor

	assumed bool         // nobody says what the nodes are: they are taken for what most are
	image   *environment // that is made for the run; nil where one is named
}

// size is how much is sent, in bytes, at most: what starts the trials may be there already.
func (load *shipment) size() int64 {
	n := len(load.table)
	for _, part := range slices.Concat(load.program, load.model, load.agent, load.monitor) {
		n += len(part)
	}
	return int64(n)
}

// Submit makes the objects of the run, its owner first and its Job last, and starts the process that follows it; or it
// finds the active run of the same key. Two submissions of one key at once make one run: the name is taken by making
// the owner, which only one can.
//
// Until the Job is there an interrupt leaves nothing: the owner is deleted, and all that belongs to it.
func (p *Place) Submit(ctx context.Context, s run.Submission, progress func(run.Event)) (run.Submitted, error) {
	does := func(format string, args ...any) {
		progress(run.Event{Type: run.EventNote, Time: time.Now(), Text: fmt.Sprintf(format, args...)})
	}
	does("asking cluster %s what it has and what you may do there", p.cluster.Context)
	load, err := p.checked(ctx, s)
	if err != nil {
		return run.Submitted{}, err
	}
	if err := p.pullLogin(ctx, load, does); err != nil {
		return run.Submitted{}, err
	}
	var build run.Build
	if p.images != nil {
		if load.assumed {
			notices(progress)(fmt.Sprintf("the nodes may not be read: the image is made for linux/%s, and --platform "+
				"names another", load.run.Agent.Arch))
		}
		made, err := p.image(ctx, load.run.Agent.Arch, s, func(step run.BuildStep) {
			build.Apply(step)
			progress(run.Event{Type: run.EventBuildStep, Time: time.Now(), Build: &step})
		}, notices(progress))
		if err != nil {
			return run.Submitted{}, err
		}
		load.run.Options.Image, load.run.Lock = made.made.Reference, resolve.Requirements(made.made.Wheels)
		if p.images.loaded { // no registry has it, and nothing cleans nodes by names
			load.run.Options.PullPolicy = corev1.PullNever
		} else {
			load.image = made
		}
	}
	if s.Spec.Kind == run.Serve {
		return p.submitServer(ctx, s, load, build, progress)
	}
	owner, attached, err := p.take(ctx, load, s.Again)
	if err != nil {
		return run.Submitted{}, err
	}
	if attached != nil {
		return run.Submitted{Spec: *attached, Attached: true, Differs: run.Differs(*attached, s.Spec)}, nil
	}
	does("%s", load.kept())
	if o := &load.run.Options; o.OutputRepository != "" || o.RecordRepository != "" {
		does("the run's monitor tries whether it may push to %s", cmp.Or(o.OutputRepository, o.RecordRepository))
	}
	does("sending %.1f MiB to %s", float64(load.size())/(1<<20), p.mirrors.Place)
	if err := p.make(ctx, owner, load); err != nil {
		return run.Submitted{}, errors.Join(err, p.remove(context.WithoutCancel(ctx), owner))
	}
	done := run.Submitted{Spec: load.run.Spec}
	done.Spec.Name = p.whole(owner.Name)
	if err := p.mirror(load.run.Spec, s.Table, load.run.Lock, s.Program); err != nil {
		return done, err
	}
	if err := load.begin(folder.In(p.mirrors.Dir, owner.Name), build); err != nil {
		return done, err
	}
	return done, p.target.Keep(ctx, done.Spec.Name)
}

// checked packs a submission, and refuses a cluster in which it could not run.
func (p *Place) checked(ctx context.Context, s run.Submission) (*shipment, error) {
	var (
		load  *shipment
		lacks []cluster.Rule
	)
	if err := together([]func() error{
		func() (err error) { load, err = p.pack(ctx, s, false); return err },
		func() (err error) {
			lacks, err = p.cluster.CheckRights(ctx, s.Spec.Kind, besides(p.settings)...)
			return err
		},
		func() error { return p.cluster.CheckVersion(ctx) },
		func() error { return p.cluster.CheckQueue(ctx, p.settings.Text("queue")) },
		func() error { return p.checkClaims(ctx) },
	}); err != nil {
		return nil, err
	}
	if s.Spec.Kind == run.Serve {
		return load, p.addServer(ctx, load, &s)
	}
	var err error
	if load.note, err = p.addMonitor(ctx, load, lacks); err != nil {
		return nil, err
	}
	return load, monitorMust(&load.run, load.note)
}

// What a trial gets of the disk of its node: at least, and at most.
const (
	ephemeralRequest = "256Mi"
	ephemeralStorage = "20Gi"
)

// pack makes what is to be brought into the cluster, by us or after an export, and refuses what cannot be.
func (p *Place) pack(ctx context.Context, s run.Submission, exported bool) (*shipment, error) {
	if s.Spec.Kind == run.Train && s.Spec.Completions > manifest.MaxCompletions {
		return nil, &usererror.Error{
			Code: usererror.CodeCompletions,
			Text: fmt.Sprintf("%s are more than the %d that one run on kubernetes can have",
				prose.Count(s.Spec.Completions, "trial"), manifest.MaxCompletions),
			Hint: "Run them as several runs, with --completions and other hyperparameters.",
		}
	}
	options, err := p.options(ctx)
	if err != nil {
		return nil, err
	}
	load := &shipment{}
	if !exported {
		load.key = ship.NewKey()
	}
	if load.table, err = manifest.Table(s.Table); err != nil {
		return nil, err
	}
	if len(load.table) > manifest.MaxTable {
		return nil, &usererror.Error{
			Code: usererror.CodeTooLarge,
			Text: fmt.Sprintf("the hyperparameters are %d KiB, and at most %d KiB can be handed to the pods of a run",
				len(load.table)>>10, manifest.MaxTable>>10),
			Hint: "Hand large values over with --with, or read them from a volume: --mount pvc:NAME:PATH.",
		}
	}
	inImage := !exported && p.images != nil && !p.images.loaded
	pack := ship.Program
	if inImage {
		pack = ship.Expected
	}
	program, err := pack(s.Program, load.key)
	if err != nil {
		return nil, err
	}
	load.program = ship.Parts(program)
	at := p.nodes(ctx)
	load.assumed = !at.known && p.settings.Arch() == "" && options.NodeSelector[corev1.LabelArchStable] == ""
	arch, err := p.arch(options, at)
	if err != nil {
		return nil, err
	}
	if at.storage {
		options.EphemeralStorage = resource.MustParse(ephemeralStorage)
		if at.known { // a node that does not share its disk out takes no pod that requests some
			options.EphemeralRequest = resource.MustParse(ephemeralRequest)
		}
	}
	agent := manifest.Agent{Program: pod.Trial, Arch: arch}
	if s.Spec.Kind == run.Serve {
		agent.Program = pod.Server
	}
	if options.AgentImage == "" {
		binary, err := ship.Find(agent.Program, arch)
		if err != nil {
			return nil, err
		}
		load.agent = ship.Parts(binary.Data)
		agent.Digest, agent.Parts = binary.Digest, len(load.agent)
	}
	spec := s.Spec
	spec.ID, spec.V = folder.NewID(), 1
	if spec.Created.IsZero() {
		spec.Created = time.Now().UTC()
	}
	load.run = manifest.Run{
		Spec:      spec,
		Namespace: p.cluster.Namespace,
		User:      p.user,
		Requires:  pod.NewRequires(s.PythonVersion, s.Packages, s.Modules, p.settings.Bool("strict")),
		Options:   *options,
		Agent:     agent,
		Programs:  len(load.program),
		InImage:   inImage,
		Exported:  exported,
	}
	return load, nil
}

// Remarks gives what people should know of a program here before anything starts.
func (p *Place) Remarks(program string) []run.Note {
	kept := p.settings.Output()
	switch {
	case !pod.UsesOutput(filepath.Join(program, "code")) || kept.Volume != nil:
		return nil
	case kept.Registry:
		repository, err := p.outputRepository()
		if err == nil && public(repository) != "" {
			return []run.Note{{Code: run.NoteOutputs, Text: public(repository)}}
		}
		return nil
	case kept.Nowhere:
		return []run.Note{{Code: run.NoteOutputs, Text: "files in metaml.output() go with the pods of the trials"}}
	}
	return []run.Note{{
		Code: run.NoteOutputs,
		Text: fmt.Sprintf("of files in metaml.output() the run's monitor keeps %d MiB, of all trials together",
			collect.MaxOutputs>>20),
		Hint: "--output pvc:NAME keeps more, on a volume, --output registry in a repository; --output none keeps " +
			"nothing.",
	}}
}

// take makes the run's owner under the first name of its series that is free, or finds the active run of its key.
func (p *Place) take(ctx context.Context, load *shipment, again bool) (*corev1.ConfigMap, *run.Spec, error) {
	spec := &load.run.Spec
	for range 50 { // others who submit the same series at this moment
		if !again {
			active, err := p.Active(ctx, spec.Key)
			if err != nil || active != nil {
				return nil, active, err
			}
		}
		n, err := p.next(ctx, spec.Series)
		if err != nil {
			return nil, nil, err
		}
		spec.Name = fmt.Sprintf("%s-%d", spec.Series, n)
		object, err := load.run.Owner()
		if err != nil {
			return nil, nil, err
		}
		made, err := p.cluster.Core.ConfigMaps(p.cluster.Namespace).Create(ctx, object, created)
		switch {
		case err == nil:
			return made, nil, nil
		case apierrors.IsAlreadyExists(err):
			if err := p.foreign(ctx, spec); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, p.cluster.Explain(err, "make run "+spec.Name)
		}
	}
	return nil, nil, fmt.Errorf("find a free name for a run of %s: others took 50 of them meanwhile", spec.Series)
}

var created = metav1.CreateOptions{FieldManager: manager}

// foreign refuses a name that an object has which is no run: no number of attempts would get past it.
func (p *Place) foreign(ctx context.Context, spec *run.Spec) error {
	object, err := p.cluster.Core.ConfigMaps(p.cluster.Namespace).Get(ctx, spec.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && object.Labels[manifest.LabelSeries] == spec.Series {
		return nil // it was made, or deleted, since we looked
	}
	if err != nil {
		return p.cluster.Explain(err, "make run "+spec.Name)
	}
	return &usererror.Error{
		Code: usererror.CodeName,
		Text: fmt.Sprintf("a ConfigMap %q that is no run is in namespace %s already", spec.Name, p.cluster.Namespace),
		Hint: "Give the runs another name: --name NAME.",
	}
}

// make makes everything that belongs to the owner; the Job last, when all that its pods need is there.
func (p *Place) make(ctx context.Context, owner *corev1.ConfigMap, load *shipment) error {
	r, c := &load.run, p.cluster
	spec := &r.Spec
	maps := c.Core.ConfigMaps(c.Namespace)
	var tasks []func() error
	add := func(object *corev1.ConfigMap) {
		tasks = append(tasks, func() error { _, err := maps.Create(ctx, object, created); return err })
	}
	add(r.TableObject(owner, load.table))
	for i, part := range load.program {
		add(r.Program(owner, i, part))
	}
	key := r.Key(owner, load.key) // with the token of a monitor, whatever becomes of that
	tasks = append(tasks, func() error {
		_, err := c.Core.Secrets(c.Namespace).Create(ctx, key, created)
		return err
	})
	if r.Monitor != nil {
		tasks = append(tasks, func() error {
			if note := p.startMonitor(ctx, load, owner); note != nil {
				load.note = note
				return monitorMust(r, note)
			}
			return nil
		})
	}
	if r.Options.PullLogin != nil {
		tasks = append(tasks, func() error {
			_, err := c.Core.Secrets(c.Namespace).Create(ctx, r.Pull(owner), created)
			return err
		})
	}
	if load.image != nil {
		tasks = append(tasks, func() error { return load.image.tag(ctx, owner.Name+"-"+spec.ID[:8]) })
	}
	if len(load.agent) > 0 {
		tasks = append(tasks, func() error { return p.shareAgent(ctx, r, r.Agent, load.agent, owner) })
	}
	if err := together(tasks); err != nil {
		return c.Explain(err, "make the objects of run "+owner.Name)
	}
	if err := p.checkRepository(ctx, r, owner); err != nil {
		return err
	}
	job, err := r.Job(owner)
	if err != nil {
		return err
	}
	if _, err := c.Batch.Jobs(c.Namespace).Create(ctx, job, created); err != nil {
		return c.Explain(err, "make the Job of run "+owner.Name)
	}
	return nil
}

// shareAgent makes the parts of a program for all runs with this build, or adds the run to those that they belong to.
func (p *Place) shareAgent(
	ctx context.Context, r *manifest.Run, a manifest.Agent, parts [][]byte, owner *corev1.ConfigMap,
) error {
	all, err := p.share(ctx, r.AgentOwner(owner, a), owner)
	if err != nil || all.Annotations[manifest.AnnotationComplete] != "" && p.haveAgent(ctx, a) {
		return err
	}
	maps := p.cluster.Core.ConfigMaps(p.cluster.Namespace)
	tasks := make([]func() error, len(parts))
	for i, data := range parts {
		tasks[i] = func() error {
			part := r.AgentPart(all, a, i, data)
			_, err := maps.Create(ctx, part, created)
			if apierrors.IsAlreadyExists(err) { // somebody makes it as well, or what it belonged to was deleted
				_, err = p.share(ctx, part, all)
			}
			return err
		}
	}
	if err := together(tasks); err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, manifest.AnnotationComplete)
	_, err = maps.Patch(ctx, all.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	return err
}

// metadataAlone is the Accept header of a request for an object without its content (Kubernetes API concepts,
// "Alternate representations of resources").
const metadataAlone = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// haveAgent reports whether all parts of the agent are there: somebody may have deleted one. It reads no part.
func (p *Place) haveAgent(ctx context.Context, a manifest.Agent) bool {
	tasks := make([]func() error, a.Parts)
	for i := range tasks {
		tasks[i] = func() error {
			get := p.cluster.Core.RESTClient().Get().Namespace(p.cluster.Namespace)
			get = get.Resource("configmaps").Name(a.Name(i)).SetHeader("Accept", metadataAlone)
			return get.Do(ctx).Error()
		}
	}
	return together(tasks) == nil
}

// begin writes the beginning of a run's record.
func (load *shipment) begin(f folder.Run, build run.Build) error {
	var notes []run.Note
	if load.note != nil {
		notes = append(notes, *load.note)
	}
	token := ""
	if load.run.Monitor != nil {
		token = load.run.Monitor.Token
	}
	return mirror.Begin(f, mirror.Beginning{Build: build, Notes: notes, Token: token})
}

// share makes an object that belongs to several others, or adds one of them.
func (p *Place) share(ctx context.Context, object, owner *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	maps := p.cluster.Core.ConfigMaps(p.cluster.Namespace)
	reference := manifest.OwnedBy(owner)
	// Strategic merge adds to the list by uid, whoever else adds to it meanwhile (Kubernetes API, ObjectMeta).
	patch := fmt.Appendf(nil,
		`{"metadata":{"ownerReferences":[{"apiVersion":%q,"kind":%q,"name":%q,"uid":%q}]}}`,
		reference.APIVersion, reference.Kind, reference.Name, reference.UID)
	for range 5 { // it may be made, or deleted, at this moment
		found, err := maps.Patch(ctx, object.Name, types.StrategicMergePatchType, patch,
			metav1.PatchOptions{FieldManager: manager})
		if err == nil && found.DeletionTimestamp == nil {
			return found, nil
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, err
		}
		if made, err := maps.Create(ctx, object, created); err == nil || !apierrors.IsAlreadyExists(err) {
			return made, err
		}
	}
	return nil, fmt.Errorf("ConfigMap %s was made and deleted several times meanwhile", object.Name)
}

// together does tasks beside each other and gives the first error.
func together(tasks []func() error) error {
	var all sync.WaitGroup
	turns, errs := make(chan struct{}, 16), make([]error, len(tasks))
	for i, task := range tasks {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			errs[i] = task()
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the owner of a run that did not come about, and with it what belongs to it.
func (p *Place) remove(ctx context.Context, owner *corev1.ConfigMap) error {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	return removeOwner(ctx, p.cluster, owner.Name, owner.UID)
}

func removeOwner(ctx context.Context, c *cluster.Cluster, name string, uid types.UID) error {
	policy := metav1.DeletePropagationBackground
	err := c.Core.ConfigMaps(c.Namespace).Delete(ctx, name, metav1.DeleteOptions{
		PropagationPolicy: &policy, Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return c.Explain(err, "delete run "+name)
}

// mirror makes the folder in which the run is read on this machine. It has the code of the program folder, by which a
// server of the run's model knows what the model is made of; "" where nobody has that.
func (p *Place) mirror(spec run.Spec, table []run.Row, lock, program string) error {
	f := folder.In(p.mirrors.Dir, spec.Name)
	if err := makeMirror(f, spec, table, lock, program); err != nil {
		return folder.Explain(err, "write the folder of the run in", string(f))
	}
	return nil
}

// makeMirror makes a run folder whole, or not at all.
func makeMirror(f folder.Run, spec run.Spec, table []run.Row, lock, program string) (err error) {
	dir, err := os.MkdirTemp(f.Parent(), ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	in := folder.Run(dir)
	if err := folder.ReplaceJSON(in.Spec(), spec); err != nil {
		return err
	}
	if table != nil {
		if err := in.WriteTable(table); err != nil {
			return err
		}
	}
	if lock != "" {
		if err := os.WriteFile(in.Lock(), []byte(lock), 0o600); err != nil {
			return err
		}
	}
	if program != "" {
		if err := os.CopyFS(in.Code(), os.DirFS(filepath.Join(program, filepath.Base(in.Code())))); err != nil {
			return err
		}
	}
	if err := f.Claim(spec.ID, dir); err != nil {
		return err
	}
	return os.Rename(dir, string(f))
}
