package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
)

// runWithBoard is a run that is to have a TensorBoard, in a cluster where a trial of it runs until the run is over.
type runWithBoard struct {
	t       *testing.T
	spec    run.Spec
	cluster *cluster.Cluster
	folder  folder.Run
	over    chan struct{} // closed: the run is
}

func newRunWithBoard(t *testing.T) *runWithBoard {
	t.Helper()
	r := &runWithBoard{
		t: t, over: make(chan struct{}), folder: folder.In(t.TempDir(), "train-1"),
		spec: run.Spec{
			V: 1, ID: "1", Name: "train-1", Series: "train", Kind: run.Train, Completions: 1, Parallelism: 1,
			Created: start, TensorBoard: true,
		},
	}
	r.cluster, _, _ = far(t, r.answer)
	return r
}

// make makes the folder of the run on this machine.
func (r *runWithBoard) make() {
	r.t.Helper()
	if err := os.MkdirAll(r.folder.Trials(), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := folder.ReplaceJSON(r.folder.Spec(), r.spec); err != nil {
		r.t.Fatal(err)
	}
	if err := r.folder.Claim(r.spec.ID, string(r.folder)); err != nil {
		r.t.Fatal(err)
	}
}

// answer is what an API server says of the run.
func (r *runWithBoard) answer(w http.ResponseWriter, request *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	say := func(what any) {
		if err := json.NewEncoder(w).Encode(what); err != nil {
			r.t.Error(err)
		}
	}
	switch query := request.URL.Query(); {
	case query.Get("sendInitialEvents") == "true": // instead of a list
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	case query.Get("watch") == "true":
		_ = http.NewResponseController(w).Flush()
		select {
		case <-request.Context().Done():
		case <-r.over: // everything is to be listed anew
			say(map[string]any{"type": "ERROR", "object": metav1.Status{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Code: http.StatusGone,
				Reason: metav1.StatusReasonExpired,
			}})
		}
		return
	}
	s := newScene(r.t, 1)
	p := s.pod(0, 0, corev1.PodRunning, running())
	select {
	case <-r.over:
		p.Status.Phase, p.Status.ContainerStatuses[0].State = corev1.PodSucceeded, terminated(0, "Completed", "")
		s.finish(batchv1.JobComplete, "")
	default:
	}
	p.Namespace, p.Labels = "team", map[string]string{batchv1.JobNameLabel: "train-1"}
	switch _, last, _ := strings.Cut(request.URL.Path, "/namespaces/team/"); last {
	case "configmaps":
		spec, err := json.Marshal(r.spec)
		if err != nil {
			r.t.Error(err)
		}
		say(corev1.ConfigMapList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"}, Items: []corev1.ConfigMap{{
				ObjectMeta: metav1.ObjectMeta{Name: "train-1"}, Data: map[string]string{pod.SpecName: string(spec)},
			}},
		})
	case "jobs":
		say(batchv1.JobList{
			TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "JobList"},
			Items:    []batchv1.Job{*s.seen.jobs[0].Job},
		})
	case "pods":
		say(corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{*p}})
	default:
		http.NotFound(w, request)
	}
}

// follow follows the run. leave has that end.
func (r *runWithBoard) follow() (leave func(), ended <-chan error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- Follow(ctx, r.cluster, r.folder) }()
	r.t.Cleanup(func() { cancel(nil) })
	return func() { cancel(nil) }, done
}

// notes are those about TensorBoards in the record, once there are n, each with its hint.
func (r *runWithBoard) notes(t *testing.T, n int) []run.Note {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		var notes []run.Note
		err := r.folder.EachEvent(func(e run.Event) error {
			if strings.HasPrefix(e.Code, "tensorboard") {
				notes = append(notes, run.Note{Code: e.Code, Text: e.Text, Hint: e.Hint})
			}
			return nil
		})
		if len(notes) == n {
			return notes
		}
		if time.Now().After(late) {
			t.Fatalf("after 20 s its notes are %+v (%v)", notes, err)
		}
	}
}

// standIn is a program in place of Python: what would be its TensorBoard says an address, and adds its process to a
// file.
func standIn(t *testing.T) (program string, processes func() []int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "processes")
	program = filepath.Join(t.TempDir(), "python")
	script := "#!/bin/sh\necho $$ >>" + file + "\necho \"TensorBoard 2 at http://127.0.0.1:1/$$ (Press CTRL+C)\" >&2\n"
	script += "exec sleep 600\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, func() []int {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		var all []int
		for line := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, pid)
		}
		return all
	}
}

func TestATensorBoardLastsWhileTheRunIsFollowed(t *testing.T) {
	r := newRunWithBoard(t)
	python, processes := standIn(t)
	r.spec.Python = python
	r.make()
	if err := Begin(r.folder, Beginning{}); err != nil {
		t.Fatal(err)
	}
	for i, end := range []struct {
		name string
		by   func(leave func())
		with error
	}{
		{"its follower is ended", func(leave func()) { leave() }, context.Canceled},
		{"another one follows, and the run ends", func(func()) { close(r.over) }, nil},
	} {
		t.Run(end.name, func(t *testing.T) {
			leave, ended := r.follow()
			last := r.notes(t, i+1)[i]
			started := processes()
			if len(started) != i+1 || last.Code != run.NoteTensorBoard ||
				last.Text != fmt.Sprintf("http://127.0.0.1:1/%d", started[i]) {
				t.Fatalf("processes %v were started, and the last note is %+v", started, last)
			}
			if err := process.Signal(started[i], 0); err != nil {
				t.Errorf("it does not run: %v", err)
			}
			end.by(leave)
			if err := <-ended; !errors.Is(err, end.with) {
				t.Errorf("it is not followed any more because of %v", err)
			}
			if err := process.Signal(started[i], 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("it still runs: %v", err)
			}
			if _, err := os.Lstat(r.folder.TensorBoard()); !os.IsNotExist(err) {
				t.Errorf("its temporary files are left: %v", err)
			}
		})
	}
}

// What a spec out of the cluster names is not executed here, whoever wrote it.
func TestARunThatWasSubmittedElsewhereHasNoTensorBoardHere(t *testing.T) {
	r := newRunWithBoard(t)
	python, processes := standIn(t)
	r.spec.Python = python
	r.make()
	want := run.Note{
		Code: run.NoteTensorBoardMissing,
		Text: "there is no TensorBoard here: the run was submitted from another machine",
		Hint: "`metaml tensorboard train-1@far/team` starts one.",
	}
	for range 2 { // it is said once
		leave, ended := r.follow()
		if got := r.notes(t, 1)[0]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		leave()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it is not followed any more because of %v", err)
		}
	}
	if started := processes(); len(started) > 0 {
		t.Errorf("processes %v were started", started)
	}
}

func TestAFolderThatWasCopiedNamesNoPython(t *testing.T) {
	r := newRunWithBoard(t)
	r.spec.Python = "/usr/bin/python3"
	r.make()
	if err := Begin(r.folder, Beginning{}); err != nil {
		t.Fatal(err)
	}
	if got := Python(r.folder, &r.spec); got != r.spec.Python {
		t.Errorf("where it was submitted it is %q", got)
	}
	copied := folder.In(t.TempDir(), "train-1")
	if err := os.CopyFS(string(copied), os.DirFS(string(r.folder))); err != nil {
		t.Fatal(err)
	}
	if got := Python(copied, &r.spec); got != "" {
		t.Errorf("it names %q", got)
	}
}

// The clock of a cluster may be ahead: an address is of the run as it was resumed last.
func TestAnAddressIsNotFromBeforeTheRunWasResumed(t *testing.T) {
	r := newRunWithBoard(t)
	r.make()
	m, err := open(nil, r.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	m.board.begin = func() {}
	ahead := time.Now().Add(time.Hour)
	m.planner.state.Apply(run.Event{Type: run.EventResumed, Time: ahead})
	m.board.say(run.Note{Code: run.NoteTensorBoard, Text: "http://127.0.0.1:1/"})
	if err := m.tellTensorBoard(); err != nil {
		t.Fatal(err)
	}
	if notes := m.planner.state.Notes; len(notes) != 1 || notes[0].Time.Before(ahead) {
		t.Errorf("the notes are %+v", notes)
	}
}
