package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/portforward"
	"github.com/metaml/metaml/deployer/kube/rollout"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/port"
	"github.com/metaml/metaml/deployer/run"
)

// server is the record of a server while it is written. What it shares with that of a run is the way to the cluster and
// the file of events.
type server struct {
	*mirror
	plans    serverPlanner
	printed  map[int]*logKeeper // what pods print, by revision
	answered []int              // revisions that have, as the cluster does not know yet
	scaler   scaler
	forward  *portforward.Forwarder // nil while nobody follows the server, and within its cluster
	listener net.Listener           // where it takes connections
	lookNext time.Time              // when it is looked next how callers outside of the cluster reach it
}

func newServer(m *mirror) *server {
	v := &server{mirror: m, printed: map[int]*logKeeper{}}
	v.plans = serverPlanner{
		spec: &m.spec, state: m.planner.state, seats: seats{}, said: map[int]*heard{}, waits: map[int]string{},
		noted: map[string]bool{},
	}
	if data, err := os.ReadFile(v.seatsFile()); err == nil {
		_ = json.Unmarshal(data, &v.plans.seats) // without it pods get other numbers
	}
	for _, n := range v.plans.state.Notes {
		v.plans.noted[noteKey(n.Revision, n.Code, n.Text)] = true
	}
	return v
}

func (v *server) seatsFile() string { return filepath.Join(string(v.folder), "seats.json") }

// AddRevision adds a revision to the record of a server, as the one that was submitted last.
func AddRevision(f folder.Run, spec run.Spec) error {
	r := f.Revision(spec.Server.Revision)
	if err := os.MkdirAll(string(r), 0o700); err != nil {
		return err
	}
	if err := folder.ReplaceJSON(r.Spec(), spec); err != nil {
		return err
	}
	if now, err := f.ReadSpec(); err == nil && now.Server != nil && now.Server.Revision > spec.Server.Revision {
		return nil
	}
	return folder.ReplaceJSON(f.Spec(), spec)
}

// here begins the addresses of servers on this machine.
const here = "http://127.0.0.1:"

// follow keeps the record until the server has ended, and gives the server an address on this machine meanwhile.
func (v *server) follow(ctx context.Context) error {
	v.use(v.cluster)
	if v.cluster.Context != cluster.InCluster {
		var err error
		before := 0
		if s := v.plans.state.Server; strings.HasPrefix(s.Address, here) { // else it was seen in the cluster alone
			before = s.Port()
		}
		if v.listener, err = port.Listen(ctx, &v.spec, before); err != nil {
			return fmt.Errorf("give server %s an address on this machine: %w", v.name, err)
		}
		v.forward = portforward.New(func(ctx context.Context, name string) (net.Conn, error) {
			return v.connection().Forward(ctx, name, pod.ServerPort)
		})
		ctx, cancel := context.WithCancelCause(ctx)
		var all sync.WaitGroup
		all.Go(func() { _ = v.forward.Serve(ctx, v.listener) })
		defer all.Wait()
		defer cancel(nil)
	}
	for {
		if renewed, err := v.followOnce(ctx); !renewed {
			return err
		}
		for n, k := range v.printed {
			v.printed[n] = k.again(v.cluster)
		}
	}
}

// connection is the one to the cluster that is used now.
func (v *server) connection() *cluster.Cluster {
	v.inUse.Lock()
	defer v.inUse.Unlock()
	return v.cluster
}

// followOnce keeps the record until the server has ended, or the cluster answers again that did not.
func (v *server) followOnce(ctx context.Context) (renewed bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := v.watchServer(ctx)
	defer func() {
		cancel(nil)
		w.wait()
		for _, k := range v.printed {
			k.wait()
		}
	}()
	for {
		synced, trouble := v.listed(&w.informers)
		for _, k := range v.printed {
			k.hold(trouble != nil)
		}
		if err := v.tellWay(trouble); err != nil {
			return false, err
		}
		if synced {
			s := w.seen(v)
			if err := v.step(ctx, &s, true); err != nil {
				return false, err
			}
			if v.plans.state.Phase.Final() {
				v.over = s.now
				return false, nil
			}
			if trouble == nil {
				v.act(ctx, &s)
			}
		}
		again := lookAgain
		if v.plans.state.Server.Starting > 0 {
			again = time.Second
		}
		if v.plans.state.Server.Public.Waits {
			again = min(again, lookWaiting)
		}
		if err := v.news(ctx, again); err != nil {
			return false, err
		}
		if v.folder.Gone() {
			return false, nil
		}
		if v.check(ctx, trouble) {
			return true, nil
		}
	}
}

// once brings the record up to date with what the cluster has now.
func (v *server) once(ctx context.Context) error {
	s, err := v.lookAtServer(ctx)
	if err != nil {
		return err
	}
	if err := v.step(ctx, &s, false); err != nil {
		return err
	}
	if !v.plans.state.Phase.Final() {
		v.act(ctx, &s)
	}
	return nil
}

// step writes what the record lacks.
func (v *server) step(ctx context.Context, s *serverSeen, follows bool) error {
	if s.owner == nil {
		if err := v.folder.MarkGone(); err != nil {
			return err
		}
	}
	spec, err := v.revisionSpec(ctx, s)
	if err != nil && !follows {
		return err // else it is tried again: the cluster may not answer at the moment
	}
	if v.plans.seats.give(s.pods, v.latest) {
		v.forgetOld(s.pods)
		if err := folder.ReplaceJSON(v.seatsFile(), v.plans.seats); err != nil {
			return err
		}
	}
	if spec != nil {
		s.address, s.spec = v.address(spec), spec
	}
	v.lookAtScaler(ctx, s)
	if follows {
		v.keepLogs(ctx, s)
		v.hear()
		s.events = v.listServerEvents(ctx, s)
	}
	if v.forward != nil {
		var names []string
		for _, p := range s.pods {
			if ready(p) {
				names = append(names, p.Name)
			}
		}
		v.forward.Use(names)
	}
	events := v.plans.catchUp(s)
	for i := range events {
		if e := &events[i]; e.Type == run.EventServerReady {
			v.answered = append(v.answered, e.Revision)
		}
	}
	v.answered = slices.DeleteFunc(v.answered, func(n int) bool { return v.noteAnswered(ctx, n) })
	return v.write(append(events, v.reached(ctx, s)...))
}

// noteAnswered notes in the cluster that a revision has answered, for who rolls back from another machine. false: it is
// to be tried again.
func (v *server) noteAnswered(ctx context.Context, revision int) bool {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, manifest.AnnotationAnswered)
	_, err := v.cluster.Core.ConfigMaps(v.cluster.Namespace).Patch(ctx, manifest.RevisionName(v.name, revision),
		types.MergePatchType, patch, metav1.PatchOptions{})
	return err == nil || apierrors.IsNotFound(err)
}

// keptAttempts is of how many attempts of a worker what they printed is kept: where an autoscaler has pods come and go,
// there is always another.
const keptAttempts = 10

// forgetOld removes what earlier pods printed that had the numbers of these. What fails is done the next time.
func (v *server) forgetOld(pods []*corev1.Pod) {
	for _, p := range pods {
		is, ok := v.plans.seats[p.UID]
		if !ok {
			continue
		}
		f := v.folder.Revision(is.Revision)
		for _, n := range f.Attempts(is.Worker) {
			if n <= is.Attempt-keptAttempts {
				_ = os.RemoveAll(f.Attempt(is.Worker, n))
			}
		}
	}
}

// latest is the latest attempt of a worker that is known.
func (v *server) latest(revision, worker int) int {
	n := v.folder.Revision(revision).LatestAttempt(worker)
	if w := v.plans.worker(seat{Revision: revision, Worker: worker}); w != nil {
		n = max(n, w.Attempt)
	}
	return n
}

// revisionSpec is what the revision is that is wanted. One that was submitted elsewhere is brought into the record. It
// is nil where there is none.
func (v *server) revisionSpec(ctx context.Context, s *serverSeen) (*run.ServerSpec, error) {
	n := s.wanted()
	if n == 0 || s.owner == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	if spec, err := v.folder.Revision(n).ReadSpec(); err == nil && spec.Server != nil {
		return spec.Server, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	object, err := v.cluster.Core.ConfigMaps(v.cluster.Namespace).Get(ctx, manifest.RevisionName(v.name, n),
		metav1.GetOptions{})
	if err != nil {
		return nil, v.cluster.Explain(err, fmt.Sprintf("read revision %d of server %s", n, v.name))
	}
	spec, err := manifest.ReadOwnerOf(object, v.name)
	if err != nil {
		return nil, err
	}
	spec.ID = v.spec.ID
	return spec.Server, AddRevision(v.folder, spec)
}

// address is that of the endpoint of a revision: on this machine while somebody follows the server, else in the
// cluster, unless there was one here.
func (v *server) address(spec *run.ServerSpec) string {
	switch {
	case v.listener != nil:
		return "http://" + v.listener.Addr().String() + spec.Path
	case v.cluster.Context != cluster.InCluster && v.plans.state.Server.Address != "":
		return v.plans.state.Server.Address
	}
	return run.ServiceURL(v.name, v.cluster.Namespace, spec.Port, spec.Path)
}

// keepLogs sees to it that what pods print is copied.
func (v *server) keepLogs(ctx context.Context, s *serverSeen) {
	for _, p := range s.pods {
		is, ok := v.plans.seats[p.UID]
		if !ok || !began(p) {
			continue
		}
		k := v.printed[is.Revision]
		if k == nil {
			k = newLogKeeper(v.cluster, v.folder.Revision(is.Revision), run.Serve, v.wake)
			v.printed[is.Revision] = k
		}
		k.keep(ctx, run.AttemptID{Trial: is.Worker, Number: is.Attempt}, p, manifest.Ended(p))
	}
}

// hear takes in what pods said in lines of their own.
func (v *server) hear() {
	for n, k := range v.printed {
		for _, e := range k.take() {
			v.plans.hear(n, e)
		}
	}
}

// listServerEvents reads what the cluster notes about pods that wait.
func (v *server) listServerEvents(ctx context.Context, s *serverSeen) []happening {
	wanted := map[string]bool{}
	for _, p := range s.pods {
		if p.Status.Phase == corev1.PodPending && s.now.Sub(p.CreationTimestamp.Time) > time.Second {
			wanted[p.Name] = true
		}
	}
	if len(wanted) == 0 || v.plans.state.Server.Starting == 0 {
		v.happened = nil
		return nil
	}
	return v.eventsOf(ctx, wanted)
}

// act does in the cluster what the server needs: a revision that never gets ready is taken back, or has no pods any
// more if there is none before it; a server that is to end has none. What fails is done the next time.
func (v *server) act(ctx context.Context, s *serverSeen) {
	if s.owner == nil || s.deployment == nil {
		return
	}
	n := s.wanted()
	switch {
	case s.stopped() && s.replicas() > 0:
		_, _ = rollout.Scale(ctx, v.cluster, s.deployment, 0)
	case s.stopped() || !v.plans.hasFailed(n):
	case v.plans.before(s) > 0:
		_, _ = rollout.Back(ctx, v.cluster, s.deployment, v.plans.before(s))
	case s.replicas() > 0:
		_, _ = rollout.Scale(ctx, v.cluster, s.deployment, 0)
	}
}

// lookAtServer reads what the cluster has of a server.
func (v *server) lookAtServer(ctx context.Context) (serverSeen, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	var (
		s                  = serverSeen{now: time.Now()}
		c, ns              = v.cluster, v.cluster.Namespace
		pods               *corev1.PodList
		owner, runs, listE error
		all                sync.WaitGroup
	)
	all.Go(func() { s.owner, owner = c.Core.ConfigMaps(ns).Get(ctx, v.name, metav1.GetOptions{}) })
	all.Go(func() { s.deployment, runs = rollout.Get(ctx, c, v.name) })
	all.Go(func() {
		pods, listE = c.Core.Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: manifest.ServerOf(v.name)})
	})
	all.Wait()
	if apierrors.IsNotFound(owner) {
		s.owner, s.deployment = nil, nil
		return s, nil
	}
	if err := errors.Join(owner, runs, listE); err != nil {
		return s, c.Explain(err, "read server "+v.name)
	}
	if s.owner = ours(s.owner, &v.spec); s.owner == nil {
		s.deployment = nil
		return s, nil
	}
	for i := range pods.Items {
		s.pods = append(s.pods, &pods.Items[i])
	}
	return s, nil
}

// noteKey names a note of a server, which is given once although each pod says it.
func noteKey(revision int, code, text string) string {
	return fmt.Sprintf("%d\x00%s\x00%s", revision, code, text)
}
