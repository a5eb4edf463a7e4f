package mirror

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/run"
)

// keeperOfEndless keeps the logs of pods whose node never ends one that is followed, until the test ends.
func keeperOfEndless(t *testing.T, followed chan<- string) (*logKeeper, context.Context) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "2026-01-02T03:04:05.1Z a line")
		if r.URL.Query().Get("follow") == "true" {
			_ = http.NewResponseController(w).Flush()
			followed <- r.URL.Path
			<-r.Context().Done()
		}
	}))
	core, err := cluster.NewCore(&rest.Config{Host: server.URL, QPS: -1}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	k := newLogKeeper(&cluster.Cluster{Core: core}, folder.Run(t.TempDir()), run.Train, func() {})
	t.Cleanup(func() {
		cancel(nil)
		k.wait()
		server.Close()
	})
	return k, ctx
}

func podOf(trial int) *corev1.Pod {
	p := &corev1.Pod{}
	p.Namespace, p.Name = "team", fmt.Sprintf("fit-1-%d", trial)
	return p
}

func becomesWhole(t *testing.T, k *logKeeper, id run.AttemptID) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !k.whole(id); <-time.After(10 * time.Millisecond) {
		k.take()
		if time.Now().After(end) {
			t.Fatalf("the log of trial %d is not whole after 10 s", id.Trial)
		}
	}
}

func TestALogIsReadToItsEndWhileAsManyAsPossibleAreFollowed(t *testing.T) {
	followed := make(chan string, maxStreams)
	k, ctx := keeperOfEndless(t, followed)
	for i := range maxStreams {
		k.keep(ctx, run.AttemptID{Trial: i, Number: 1}, podOf(i), false)
	}
	for range maxStreams {
		<-followed
	}
	for _, began := range []bool{true, false} { // it was seen while it ran, or not
		t.Run(fmt.Sprintf("seen before %t", began), func(t *testing.T) {
			id := run.AttemptID{Trial: maxStreams + 1, Number: 1}
			if began {
				id.Trial++
				k.keep(ctx, id, podOf(id.Trial), false)
			}
			k.keep(ctx, id, podOf(id.Trial), true)
			becomesWhole(t, k, id)
		})
	}
}

func TestALogThatGoesOnAfterItsPodIsRead(t *testing.T) {
	followed := make(chan string, 1)
	k, ctx := keeperOfEndless(t, followed)
	k.grace = 100 * time.Millisecond
	k.keep(ctx, first, podOf(0), false)
	<-followed
	k.keep(ctx, first, podOf(0), true)
	becomesWhole(t, k, first)
	if got := content(t, k.folder); got != "a line\n" {
		t.Errorf("the copy is %q", got)
	}
}
