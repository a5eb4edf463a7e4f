//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// forget has the cluster forget all versions of objects but the last.
func forget(t *testing.T) {
	t.Helper()
	ask := func(path string, question, answer any) {
		t.Helper()
		body, err := json.Marshal(question)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:2379"+path,
			bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(answer); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s (%v): %v", path, response.Status, err, answer)
		}
	}
	var now struct{ Header struct{ Revision string } }
	ask("/v3/kv/range", map[string][]byte{"key": []byte("x")}, &now)
	ask("/v3/kv/compaction", map[string]any{"revision": now.Header.Revision, "physical": true}, &struct{}{})
}

// A laptop sleeps: what follows a run stands still, its connections go, and what it would go on from is forgotten.
func TestAFollowerThatSleptCatchesUp(t *testing.T) {
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	name := p.submits(lasting)
	p.sees(name, "all run", func(s shown) bool { return s.counts("running") == 3 })
	table := p.begins("attach", name)
	pid := followerOf(t, name)
	if err := process.Signal(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-time.After(12 * time.Second)
	forget(t)
	if err := here(t).Restart(t.Context(), "kube-apiserver"); err != nil { // it holds old versions as well
		t.Fatal(err)
	}
	forget(t)
	<-time.After(time.Second)
	if s := p.show(name); s.counts("running") != 3 {
		t.Errorf("it did not sleep: %+v", s)
	}
	woken := time.Now()
	if err := process.Signal(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.sees(name, "trial 0 has ended", func(s shown) bool { return s.Trials[0].State == "succeeded" })
	t.Logf("it had caught up after %s", time.Since(woken).Round(100*time.Millisecond))
	if now := followerOf(t, name); now != pid {
		t.Errorf("another follower had to begin: %d, not %d", now, pid)
	}
	table.ends(0)
	p.ended(name, 80, 250, 450)
}

// chatty prints 2,000 numbered lines a second.
const chatty = `
import time
import metaml

@metaml.Train
def fit():
    begin = time.monotonic()
    for i in range(60000):
        print(i)
        if i % 20 == 0:
            time.sleep(max(0, begin + i / 2000 - time.monotonic()))
    return {"loss": 0}
`

func TestALogIsFollowedOverRestartsOfTheKubelet(t *testing.T) {
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	name := p.submits(chatty)
	p.sees(name, "it runs", func(s shown) bool { return s.counts("running") == 1 })
	log := p.begins("logs", name+":0", "--follow")
	for n := range 2 {
		eventually(t, "the log goes on", func(context.Context) (bool, error) {
			return len(log.text()) > 50000*(n+1), nil
		})
		if strings.Contains(log.text(), "\n59999\n") {
			t.Error("it had printed all before the kubelet was restarted")
		}
		if err := here(t).Restart(t.Context(), "kubelet"); err != nil {
			t.Fatal(err)
		}
	}
	log.ends(0)
	numbered(t, log.text(), 60000)
	p.sees(name, "it has ended", func(s shown) bool { return s.State != "running" })
	p.ended(name, 60000)
}
