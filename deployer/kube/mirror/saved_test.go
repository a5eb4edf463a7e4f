package mirror

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
)

// shelf is an API server that has the record of a run, and says of everything else what another does.
type shelf struct {
	t    *testing.T
	rest http.HandlerFunc

	mu      sync.Mutex
	object  *corev1.ConfigMap
	version int
	writes  int
}

func (s *shelf) answer(w http.ResponseWriter, r *http.Request) {
	_, last, _ := strings.Cut(r.URL.Path, "/namespaces/team/")
	name := last == "configmaps/train-1-record"
	if !name && (last != "configmaps" || r.Method != http.MethodPost) {
		s.rest(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(err *apierrors.StatusError) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(err.ErrStatus.Code))
		err.ErrStatus.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		if err := json.NewEncoder(w).Encode(err.ErrStatus); err != nil {
			s.t.Error(err)
		}
	}
	kind := corev1.Resource("configmaps")
	var sent corev1.ConfigMap
	if r.Method != http.MethodGet {
		if err := decode(r, &sent); err != nil {
			s.t.Error(err)
		}
	}
	switch {
	case r.Method == http.MethodPost && s.object != nil:
		refuse(apierrors.NewAlreadyExists(kind, "train-1-record"))
		return
	case r.Method == http.MethodPost:
		s.object = &sent
	case s.object == nil:
		refuse(apierrors.NewNotFound(kind, "train-1-record"))
		return
	case r.Method == http.MethodPatch && sent.ResourceVersion != s.object.ResourceVersion:
		refuse(apierrors.NewConflict(kind, "train-1-record", nil))
		return
	case r.Method == http.MethodPatch:
		s.object.BinaryData = sent.BinaryData
	}
	if r.Method != http.MethodGet {
		s.version++
		s.writes++
		s.object.ResourceVersion = strconv.Itoa(s.version)
	}
	s.object.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(s.object); err != nil {
		s.t.Error(err)
	}
}

// decode reads an object as our clients send it: what is made in protobuf, a patch as JSON.
func decode(r *http.Request, into *corev1.ConfigMap) error {
	data, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != runtime.ContentTypeProtobuf {
		return errors.Join(err, json.Unmarshal(data, into))
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return err
	}
	_, _, err = protobuf.NewSerializer(scheme, scheme).Decode(data, nil, into)
	return err
}

// follower is a machine that follows the run.
type follower struct {
	*mirror
	t *testing.T
}

func newFollower(t *testing.T, to *cluster.Cluster, spec run.Spec) follower {
	t.Helper()
	f := folder.Run(t.TempDir())
	if err := folder.ReplaceJSON(f.Spec(), spec); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(f.Trials(), 0o700); err != nil {
		t.Fatal(err)
	}
	m, err := open(to, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return follower{m, t}
}

// sees has the follower see a trial from its start to its end.
func (f follower) sees(trial int, loss float64) {
	f.t.Helper()
	at := func(kind string, after float64, e run.Event) run.Event {
		e.Type, e.Trial, e.Attempt, e.Time = kind, &trial, 1, moment(after)
		return e
	}
	if err := f.apply([]run.Event{
		at(run.EventTrialStarted, 0, run.Event{}),
		at(run.EventTrialReport, 1, run.Event{Metrics: run.Metrics{"loss": loss}}),
		at(run.EventTrialEnded, 2, run.Event{State: run.Succeeded}),
	}); err != nil {
		f.t.Fatal(err)
	}
	id := run.AttemptID{Trial: trial, Number: 1}
	c, err := openCopy(f.folder, id, types.UID("pod-of-"+strconv.Itoa(trial)))
	if err == nil {
		_, err = c.file.WriteString("printed by " + strconv.Itoa(trial) + "\n")
		c.at.Size, c.at.Lines, c.at.Time = 13, 1, moment(1)
	}
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// succeeded are the trials of which the record of a machine has the end, the loss and what was printed.
func (f follower) succeeded() (trials []int) {
	f.t.Helper()
	s := run.NewState(f.spec)
	if err := f.folder.EachEvent(func(e run.Event) error { s.Apply(e); return nil }); err != nil {
		f.t.Fatal(err)
	}
	for i := range s.Trials {
		text, _ := os.ReadFile(f.folder.Stream(i, 1, folder.Stdout)) // what is missing is seen below
		one := &s.Trials[i]
		if one.Phase == run.Succeeded && slices.Equal(one.Series["loss"].Values, []float64{float64(i)}) &&
			string(text) == "printed by "+strconv.Itoa(i)+"\n" {
			trials = append(trials, i)
		}
	}
	return trials
}

func savedSpec() run.Spec {
	return run.Spec{
		V: 1, ID: "1", Name: "train-1", Series: "train", Kind: run.Train, Completions: 3, Parallelism: 3,
		Created: start,
	}
}

var owner = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
	Name: "train-1", Namespace: "team", UID: "of-train-1", Labels: map[string]string{
		manifest.LabelComponent: manifest.ComponentRun, manifest.LabelRun: "train-1",
	},
}}

// nothing is a look at a cluster that has the owner alone.
var nothing = &seen{owner: owner}

// Pods, their nodes and the machine that followed them may be gone: what that machine saw is in the cluster.
func TestAnotherMachineHasTheWholeRecord(t *testing.T) {
	spec := savedSpec()
	s := &shelf{t: t, rest: overWith(t, spec, false)}
	to, _, _ := far(t, s.answer)
	one := newFollower(t, to, spec)
	for i := range spec.Completions {
		one.sees(i, float64(i))
	}
	if !one.taken(t.Context(), nothing) || !one.saveLast(t.Context(), nothing) {
		t.Fatal(one.saved.trouble)
	}
	if labels := s.object.Labels; labels[manifest.LabelRun] != "train-1" ||
		labels[manifest.LabelComponent] != manifest.ComponentRecord || s.object.OwnerReferences[0].UID != owner.UID {
		t.Errorf("it is %+v", s.object.ObjectMeta)
	}
	two := newFollower(t, to, spec)
	if err := two.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := two.succeeded(); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("the second machine has trials %v", got)
	}
	if two.planner.state.Phase != run.Succeeded {
		t.Errorf("the run is %s there", two.planner.state.Phase)
	}
}

// Of two machines that follow a run each has what the other saw, and neither overwrites it.
func TestWhoWasOvertakenTakesWhatTheOtherSaw(t *testing.T) {
	spec := savedSpec()
	s := &shelf{t: t, rest: having(t)}
	to, _, _ := far(t, s.answer)
	one, two := newFollower(t, to, spec), newFollower(t, to, spec)
	for _, f := range []follower{one, two} {
		if !f.taken(t.Context(), nothing) { // nothing is there yet
			t.Fatal(f.saved.trouble)
		}
	}
	one.sees(0, 0)
	one.sees(1, 1)
	two.sees(1, 1)
	two.sees(2, 2)
	for _, f := range []follower{one, two, one} {
		if f.saved.states = true; !f.saveLast(t.Context(), nothing) {
			t.Fatal(f.saved.trouble)
		}
	}
	third := newFollower(t, to, spec)
	if !third.taken(t.Context(), nothing) {
		t.Fatal(third.saved.trouble)
	}
	for name, f := range map[string]follower{"the first": one, "the second": two, "a third": third} {
		if got := f.succeeded(); !slices.Equal(got, []int{0, 1, 2}) {
			t.Errorf("%s machine has trials %v", name, got)
		}
	}
}

// It is written once a minute at most, and not at all where nothing is new.
func TestTheRecordIsSavedFromTimeToTime(t *testing.T) {
	s := &shelf{t: t, rest: having(t)}
	to, _, _ := far(t, s.answer)
	f := newFollower(t, to, savedSpec())
	now := time.Now()
	if !f.taken(t.Context(), nothing) {
		t.Fatal(f.saved.trouble)
	}
	for _, c := range []struct {
		name   string
		after  time.Duration
		event  string
		writes int
	}{
		{"at once", 0, run.EventTrialStarted, 0},
		{"after a minute", saveStates + time.Second, "", 1},
		{"nothing is new", time.Hour, "", 1},
		{"only a report is new", time.Hour + saveStates, run.EventTrialReport, 2},
		{"and another", time.Hour + 3*saveStates, run.EventTrialReport, 2},
		{"it ended", time.Hour + 4*saveStates, run.EventTrialEnded, 3},
	} {
		if c.event != "" {
			zero := 0
			e := run.Event{Type: c.event, Trial: &zero, Attempt: 1, Time: now, State: run.Succeeded}
			if err := f.apply([]run.Event{e}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // the second has nothing to do
			f.save(t.Context(), owner, now.Add(c.after))
			f.saved.all.Wait()
		}
		if s.writes != c.writes {
			t.Errorf("%s: it was written %d times, want %d", c.name, s.writes, c.writes)
		}
	}
}

// Who was cut off while others followed a run takes the reports that are missing here, and none of the others.
func TestReportsThatAreMissingAreTaken(t *testing.T) {
	spec := savedSpec()
	s := &shelf{t: t, rest: having(t)}
	to, _, _ := far(t, s.answer)
	report := func(i int) run.Event {
		return run.Event{
			Type: run.EventTrialReport, Trial: new(0), Attempt: 1, Time: start.Add(time.Duration(i) * time.Second),
			Metrics: run.Metrics{"loss": float64(i)},
		}
	}
	ended := run.Event{
		Type: run.EventTrialEnded, Trial: new(0), Attempt: 1, Time: start.Add(time.Minute), State: run.Succeeded,
	}
	machine := func(end bool, reports int) follower {
		f := newFollower(t, to, spec)
		events := []run.Event{{Type: run.EventTrialStarted, Trial: new(0), Attempt: 1, Time: start}}
		for i := range reports {
			events = append(events, report(i))
		}
		if end {
			events = append(events, ended)
		}
		if err := f.apply(events); err != nil {
			t.Fatal(err)
		}
		return f
	}
	one := machine(true, 5)
	if !one.taken(t.Context(), nothing) || !one.saveLast(t.Context(), nothing) {
		t.Fatal(one.saved.trouble)
	}
	for name, f := range map[string]follower{"its end is here": machine(true, 3), "it is not": machine(false, 3)} {
		t.Run(name, func(t *testing.T) {
			if !f.taken(t.Context(), nothing) {
				t.Fatal(f.saved.trouble)
			}
			at := &f.planner.state.Trials[0]
			if got := at.Series["loss"].Values; !slices.Equal(got, []float64{0, 1, 2, 3, 4}) || at.LastOnly {
				t.Errorf("it has %v, values missing: %v", got, at.LastOnly)
			}
			if at.Phase != run.Succeeded {
				t.Errorf("it %s", at.Phase)
			}
		})
	}
}

// What a pod printed is read from itself, as long as it is there: the cluster keeps only the ends of logs.
func TestWhatAPodThatIsThereSaysIsNotTakenFromOthers(t *testing.T) {
	spec := savedSpec()
	s := &shelf{t: t, rest: having(t)}
	to, _, _ := far(t, s.answer)
	one, two := newFollower(t, to, spec), newFollower(t, to, spec)
	one.sees(0, 0)
	two.sees(1, 1)
	if !one.taken(t.Context(), nothing) || !one.saveLast(t.Context(), nothing) {
		t.Fatal(one.saved.trouble)
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: readPlace(one.folder, run.AttemptID{Number: 1}).Pod}}
	if p.UID == "" {
		t.Fatal("trial 0 has no pod")
	}
	if !two.taken(t.Context(), &seen{owner: owner, jobs: []jobSeen{{Job: &batchv1.Job{}, pods: []*corev1.Pod{p}}}}) {
		t.Fatal(two.saved.trouble)
	}
	if phase := two.planner.state.Trials[0].Phase; phase.Final() {
		t.Errorf("trial 0 %s before its log is here", phase)
	}
	if !slices.Equal(two.planner.state.Trials[0].Series["loss"].Values, []float64{0}) {
		t.Errorf("it is %+v", two.planner.state.Trials[0])
	}
}

// A log that is being copied is left alone, also by whoever takes over what another follower saw: its file would be
// another one than that which is written to.
func TestALogThatIsBeingCopiedIsNotReplaced(t *testing.T) {
	spec := savedSpec()
	s := &shelf{t: t, rest: having(t)}
	to, _, _ := far(t, s.answer)
	one, two := newFollower(t, to, spec), newFollower(t, to, spec)
	one.sees(0, 0)
	if !one.taken(t.Context(), nothing) || !one.saveLast(t.Context(), nothing) {
		t.Fatal(one.saved.trouble)
	}
	id := run.AttemptID{Number: 1}
	two.logs.copying[id] = &copied{over: make(chan struct{})} // it has not come to open its file
	if !two.taken(t.Context(), nothing) {
		t.Fatal(two.saved.trouble)
	}
	if at := readPlace(two.folder, id); at.Pod != "" {
		t.Errorf("the attempt is noted as one of %s", at.Pod)
	}
	if _, err := os.Stat(two.folder.Stream(0, 1, folder.Stdout)); !os.IsNotExist(err) {
		t.Errorf("there is a log already: %v", err)
	}
}

// What another machine kept of a log stays until something of that is read: its node may be gone before its pod is.
func TestWhatIsKeptOfALogStaysUntilItIsRead(t *testing.T) {
	const kept = "kept by another machine\n"
	f := folder.Run(t.TempDir())
	if err := os.MkdirAll(f.Attempt(0, 1), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Stream(0, 1, folder.Stdout), []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	gone := podOf(0)
	gone.UID = "uid"
	l := newLive(nil, f, "train-1", func() {})
	if err := l.Append(collect.Source{ID: "uid", Attempt: 1}, folder.Stdout, []byte("its beginning\n")); err != nil {
		t.Fatal(err)
	}
	c := copyOf(t, f)
	k := newLogKeeper(nil, f, run.Train, func() {})
	if err := errors.Join(k.fromMonitor(gone, c), c.Close()); err != nil {
		t.Fatal(err)
	}
	if got := content(t, f); got != kept {
		t.Errorf("of a pod that is gone it is %q", got)
	}
	c = copyOf(t, f)
	take(t, c, threeLines)
	if got := content(t, f); got != "a\nb\nb\n" {
		t.Errorf("then it is %q", got)
	}
}
