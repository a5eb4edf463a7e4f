package mirror

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/run"
)

func note(of, reason, message string) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{Name: of}, Reason: reason, Message: message,
		LastTimestamp: metav1.NewTime(start),
	}
}

// mirrorOfEvents is a mirror of a run in a namespace that has these events, which are listed in pages.
func mirrorOfEvents(t *testing.T, all []corev1.Event) *mirror {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil {
			t.Error("the list has no limit")
		}
		to := min(from+limit, len(all))
		list := corev1.EventList{Items: all[from:to]}
		if to < len(all) {
			list.Continue = strconv.Itoa(to)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(server.Close)
	core, err := cluster.NewCore(&rest.Config{Host: server.URL, QPS: -1}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	return &mirror{cluster: &cluster.Cluster{Core: core}, name: "train-1"}
}

// Events are listed in the order of names, in which those of a run's pods come before its Job's.
func TestWhatTheJobWaitsForIsFoundBehindTheEventsOfAThousandPods(t *testing.T) {
	s := newScene(t, 1000)
	var all []corev1.Event
	for i := range 1000 {
		for _, reason := range []string{"Scheduled", "Pulled", "Created", "Started"} {
			all = append(all, note(fmt.Sprintf("train-1-%d-x", i), reason, "well"))
		}
	}
	m := mirrorOfEvents(t, append(all, note("train-1", "FailedCreate",
		`Error creating: pods "train-1-7-x" is forbidden: exceeded quota: small`)))
	m.planner = s.planner
	s.seen.jobs[0].CreationTimestamp = metav1.NewTime(s.seen.now.Add(-time.Minute))
	s.seen.events = m.listEvents(t.Context(), &s.seen)
	why := whyJobWaits(s.seen.jobs[0].Job, s.seen)
	if why == nil || why.Reason != run.WaitingQuota {
		t.Errorf("it waits for %+v", why)
	}
	if len(s.seen.events) != 1 {
		t.Errorf("%d events are kept, of pods too that do not wait", len(s.seen.events))
	}
}
