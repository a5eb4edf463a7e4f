package run_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/run"
)

// overTheSocket encodes a message and decodes it again.
func overTheSocket[M any](t *testing.T, m M) M {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var got M
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestOrdersOfAFrontKeepWhatTheyCarry(t *testing.T) {
	t.Parallel()
	revision := run.FrontRevision{
		Number: 3, Path: "/predict", Batch: 8, Timeout: 1500 * time.Millisecond, Workers: 2,
		Hosts: []string{"box"}, Addresses: true, Origins: []string{"https://app.example"},
	}
	order := overTheSocket(t, revision.Order())
	if diff := cmp.Diff(revision, order.FrontRevision()); diff != "" || order.Type != run.OrderRevision {
		t.Errorf("%s (-want +got):\n%s", order.Type, diff)
	}
	id := run.WorkerID{Revision: 3, Index: 1, Attempt: 2}
	worker := run.FrontWorker{WorkerID: id, PID: 7, Socket: "/tmp/s"}
	order = overTheSocket(t, worker.Order())
	if diff := cmp.Diff(worker, order.FrontWorker()); diff != "" || order.Type != run.OrderWorker {
		t.Errorf("%s (-want +got):\n%s", order.Type, diff)
	}
}

func TestNoticesOfAFrontKeepWhatTheyCarry(t *testing.T) {
	t.Parallel()
	id := run.WorkerID{Revision: 3, Index: 1, Attempt: 2}
	probed := run.Probed{
		Revision: 3, Status: 200, ContentType: "text/plain", Body: "b", Example: "1", Seconds: 0.5, Error: "e",
		Skipped: true,
	}
	for _, test := range []struct {
		notice run.FrontNotice
		want   run.FrontUpdate
	}{
		{id.Notice(run.NoticeConnected), run.FrontUpdate{Connected: &id}},
		{id.Notice(run.NoticeHung), run.FrontUpdate{Hung: &id}},
		{probed.Notice(), run.FrontUpdate{Probed: &probed}},
		{run.FrontNotice{Type: run.NoticeSwitched, Revision: 3}, run.FrontUpdate{Switched: 3}},
		{run.FrontNotice{Type: run.NoticeDrained, Revision: 3}, run.FrontUpdate{Drained: 3}},
	} {
		t.Run(test.notice.Type, func(t *testing.T) {
			t.Parallel()
			notice := overTheSocket(t, test.notice)
			got, known := notice.Update()
			if diff := cmp.Diff(test.want, got); diff != "" || !known {
				t.Errorf("known: %v (-want +got):\n%s", known, diff)
			}
		})
	}
	unknown := run.FrontNotice{Type: "later"}
	if _, known := unknown.Update(); known {
		t.Error("a notice of an unknown type is known")
	}
}
