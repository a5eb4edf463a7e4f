// Package kube is the target "kubernetes": a sweep is one Indexed Job in a namespace of a cluster, and the Job
// controller is its engine. The cluster has the truth; what is read is a mirror of it on this machine, which one
// detached process for each run keeps (deployer/kube/mirror).
//
// Read [Target] and [Place] first. Below it are cluster (the way to a namespace and what its answers mean), manifest
// (the objects of a run, pure), halt (how a run is ended) and mirror.
package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/image/builder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/mirror"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// Target is the runs of this machine's user in all clusters.
type Target struct {
	Dir    string   // folder of all runs, which has the mirrors
	Follow []string // command that follows the run whose name is appended

	mu        sync.Mutex
	connected map[string]*cluster.Cluster // by the folder of a place's mirrors
}

// New gives the target whose mirrors are below dir, the folder of all runs, and are kept by the command follow.
func New(dir string, follow ...string) *Target {
	return &Target{Dir: dir, Follow: follow, connected: map[string]*cluster.Cluster{}}
}

// Check refuses what has no image.
func (t *Target) Check(s *settings.Resolved) error {
	for _, name := range []string{"apt", "post_install"} {
		if d, _ := settings.Lookup(name); s.Has("image") && s.Has(name) {
			return usererror.New(usererror.CodeOption, "--%s is for an image that is made, and --image names one (%s)",
				d.Flag(), s.Values["image"].Origin).With("Leave one of them out.")
		}
	}
	if _, err := builder.Find(s.Text("builder"), nil); err != nil {
		return err
	}
	if err := settings.NeedsPlaceForImage(s); err != nil {
		// The cluster may have a registry, or be one whose nodes can be loaded.
		if _, missing := cluster.Connect(s.Text("context"), s.Text("namespace")); missing != nil {
			return err
		}
	}
	return nil
}

// At gives the namespace that the settings name.
func (t *Target) At(ctx context.Context, s *settings.Resolved, environ []string) (*Place, error) {
	c, err := cluster.Connect(s.Text("context"), s.Text("namespace"))
	if err != nil {
		return nil, err
	}
	p, err := t.place(ctx, c, s, environ)
	if err == nil && s.MakesImage() {
		p.images, err = p.destination(ctx)
	}
	return p, err
}

// pinFile says, beside the mirrors of a place, which namespace of which cluster it is.
const pinFile = "place.json"

// mirrorsOf gives the folder of the mirrors of a place. Where another cluster had the name before, the name gets a
// number: its runs are kept here although it is gone.
func (t *Target) mirrorsOf(pin cluster.Pin) (folder.Mirrors, error) {
	context := pin.Context
	for n := 2; ; n++ {
		m := folder.MirrorOf(t.Dir, run.Kubernetes, pin.Place())
		file := filepath.Join(m.Dir, pinFile)
		before, err := readPin(file)
		switch {
		case err == nil && before.Same(pin):
			return m, nil
		case errors.Is(err, fs.ErrNotExist):
			if err := os.MkdirAll(m.Dir, 0o700); err != nil {
				return m, folder.Explain(err, "make the folder", m.Dir)
			}
			pin.Context = context
			if err := folder.ReplaceJSON(file, pin); err != nil {
				return m, folder.Explain(err, "write", file)
			}
			return m, nil
		case err != nil:
			return m, err
		}
		pin.Context = fmt.Sprintf("%s-%d", context, n)
	}
}

func readPin(path string) (cluster.Pin, error) {
	var pin cluster.Pin
	data, err := os.ReadFile(path)
	if err != nil {
		return pin, err
	}
	if err := json.Unmarshal(data, &pin); err != nil {
		return pin, fmt.Errorf("read %q: %w", path, err)
	}
	return pin, nil
}

// of finds the cluster and the mirror of a run by its whole name.
func (t *Target) of(name string) (*cluster.Cluster, folder.Run, error) {
	n := run.ParseName(name)
	m := folder.MirrorOf(t.Dir, run.Kubernetes, n.Place)
	f := folder.In(m.Dir, n.Run)
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.connected[m.Dir]; c != nil {
		return c, f, nil
	}
	pin, err := readPin(filepath.Join(m.Dir, pinFile))
	if err != nil {
		return nil, f, fmt.Errorf("find the cluster of run %s: %w", name, err)
	}
	c, err := cluster.Find(pin)
	if err != nil {
		return nil, f, err
	}
	t.connected[m.Dir] = c
	return c, f, nil
}

// FollowRun keeps the mirror of a run until the run has ended or ctx ends.
func (t *Target) FollowRun(ctx context.Context, name string) error {
	c, f, err := t.of(name)
	if err != nil {
		return err
	}
	return mirror.Follow(ctx, c, f)
}

// Keep starts a process that follows a run. One that does, and has lost the way to the cluster, tries it again.
func (t *Target) Keep(_ context.Context, name string) error {
	f := t.mirrorOf(name)
	if f.Monitored() {
		f.Ask()
		return nil
	}
	log, err := folder.OpenOwn(f.MonitorLog(), os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return folder.Explain(err, "write the log of the process that follows the run in", string(f))
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("follow the run: %w", err)
	}
	defer null.Close()
	// In a session of its own: it goes on when this process, and the terminal, are gone.
	process, err := os.StartProcess(t.Follow[0], append(append([]string{}, t.Follow...), name), &os.ProcAttr{
		Dir: string(f), Env: os.Environ(), Files: []*os.File{null, log, log}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return usererror.Wrap(err, usererror.CodeMonitor,
			fmt.Sprintf("the process that follows run %s cannot be started: %v", name, err),
			"metaml doctor says what is missing.")
	}
	go func() { _, _ = process.Wait() }() // ends with the follower, or with this process
	return nil
}

// Fetch brings what a trial wrote into metaml.output() into the mirror of its run, where it is kept.
func (t *Target) Fetch(ctx context.Context, name string, trial int) error {
	if err := t.Kept(name); err != nil {
		return err
	}
	f := t.mirrorOf(name)
	spec, err := f.ReadSpec()
	if err != nil {
		return err
	}
	if kept := settings.Recorded(spec.Kind, spec.Settings).Output(); kept.Volume != nil || kept.Registry {
		c, _, err := t.of(name)
		if err != nil {
			return err
		}
		return mirror.Pull(ctx, c, f, trial)
	}
	return mirror.WaitForOutputs(ctx, f, name, trial, func() error { return t.Keep(ctx, name) })
}

// Kept says why what trials wrote is not kept: nobody wanted it, or the run has no monitor.
func (t *Target) Kept(name string) error {
	f := t.mirrorOf(name)
	spec, err := f.ReadSpec()
	if err != nil {
		return err
	}
	if settings.Recorded(spec.Kind, spec.Settings).Output().Nowhere {
		return usererror.New(usererror.CodeOutputs,
			"what the trials of %s wrote went with their pods: --output is none", name)
	}
	if mirror.HasMonitor(f) {
		return nil
	}
	return &usererror.Error{
		Code: usererror.CodeOutputs,
		Text: fmt.Sprintf("what the trials of %s wrote went with their pods: the run has no monitor, which would "+
			"have kept it", name),
		Hint: "Have it on a volume: --output pvc:NAME.",
	}
}

func (t *Target) mirrorOf(name string) folder.Run {
	n := run.ParseName(name)
	return folder.In(folder.MirrorOf(t.Dir, run.Kubernetes, n.Place).Dir, n.Run)
}

// Discover makes the mirrors of our runs in a namespace, and brings those up to date that nobody follows. It gives the
// namespace as it is called in the names of runs, also where the cluster does not answer.
func (t *Target) Discover(ctx context.Context, place string, s *settings.Resolved) (string, error) {
	var (
		c   *cluster.Cluster
		err error
	)
	if place != "" {
		c, err = t.named(place)
	} else {
		c, err = cluster.Connect(s.Text("context"), s.Text("namespace"))
	}
	if err != nil {
		return place, err
	}
	p, err := t.place(ctx, c, s, nil)
	if err != nil {
		return c.Place(), err
	}
	return p.mirrors.Place, p.Discover(ctx)
}

// named connects to a place as people write it, CONTEXT/NAMESPACE: to what it was here before, else to the context that
// is called so now.
func (t *Target) named(place string) (*cluster.Cluster, error) {
	pin, err := readPin(filepath.Join(folder.MirrorOf(t.Dir, run.Kubernetes, place).Dir, pinFile))
	if err == nil {
		return cluster.Find(pin)
	}
	i := strings.LastIndex(place, "/")
	if i < 0 {
		return nil, &usererror.Error{
			Code: usererror.CodeNotFound, Text: fmt.Sprintf("%q is no place of runs", place),
			Hint: "Behind the @ of a run's name stand the context and the namespace: train-model-7@CONTEXT/NAMESPACE.",
		}
	}
	return cluster.Connect(place[:i], place[i+1:])
}

// Examine checks the way to the cluster that the settings name, and what may be done there. It makes nothing.
func (t *Target) Examine(ctx context.Context, s *settings.Resolved) []run.Check {
	c, unknown := cluster.Connect(s.Text("context"), s.Text("namespace"))
	image := run.Check{Name: "image", OK: true, Text: s.Text("image")}
	if image.Text == "" {
		image = examineImage(ctx, c, s)
	}
	all := []run.Check{image}
	if b, err := t.builder(s, os.Environ()); err != nil {
		all = append(all, failed("builder", err))
	} else if b != nil && !s.Has("image") {
		all = append(all, examineBuilder(ctx, b))
	}
	if !s.Has("image") {
		all = append(all, examineUV(ctx, s))
	}
	if unknown != nil {
		return append(all, failed("kubeconfig", unknown))
	}
	from := "context " + c.Context
	if c.Context == cluster.InCluster {
		from = "none; in this pod its account is used"
	}
	all = append(all, run.Check{
		Name: "kubeconfig", OK: true, Text: fmt.Sprintf("%s, namespace %s, %s", from, c.Namespace, c.Server),
	})
	user, err := c.User(ctx)
	if err != nil {
		return append(all, failed("cluster", err))
	}
	version, err := c.Version(ctx)
	if err != nil {
		return append(all, failed("cluster", err))
	}
	all = append(all, version, run.Check{Name: "login", OK: true, Text: user})
	if err := c.CheckNamespace(ctx); err != nil {
		return append(all, failed("namespace", err))
	}
	lacks, err := c.CheckRights(ctx, s.Kind, besides(s)...)
	if err != nil {
		return append(all, failed("rights", err))
	}
	rights := run.Check{Name: "rights", OK: true, Text: "all that runs need"}
	if len(lacks) > 0 {
		rights.Text += "; not what live curves need: " + words(lacks)
	}
	all = append(all, rights)
	queue := s.Text("queue")
	if queue == "" {
		return all
	}
	if err := c.CheckQueue(ctx, queue); err != nil {
		return append(all, failed("queue", err))
	}
	return append(all, run.Check{Name: "queue", OK: true, Text: queue})
}

// failed is the check of what cannot be used.
func failed(name string, err error) run.Check {
	if u, ok := errors.AsType[*usererror.Error](err); ok {
		return run.Check{Name: name, Text: u.Text, Remedy: u.Hint}
	}
	return run.Check{Name: name, Text: err.Error()}
}
