package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/oci"
	"github.com/metaml/metaml/deployer/collect/serve"
)

// What a monitor had when it was asked to end, the next one has, whose disk is empty.
func TestItGoesOnWithTheRecordInARegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	artifact := strings.TrimPrefix(server.URL, "http://") + "/team/runs:fit-1-record"
	for i, want := range []string{`"sizes":{"a":2}`, `"sizes":{"a":4}`, `"sizes":{"a":6}`} {
		t.Run(fmt.Sprint("start ", i+1), func(t *testing.T) {
			p := start(t, "--dir", filepath.Join(t.TempDir(), "files"), "--listen", "127.0.0.1:0", "--token-file",
				tokenFile(t, "secret\n"), "--record-artifact", artifact)
			piece := collect.Piece{File: "a", Offset: int64(2 * i), Data: []byte("ab")}
			b := collect.Batch{Source: collect.Source{ID: "pod"}, Pieces: []collect.Piece{piece}}
			got, err := request(t, "POST", "http://"+p.address+"/v1/batch", collect.AppendBatch(nil, b))
			if err != nil || !strings.Contains(got, want) {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
			if got, err := request(t, "GET", "http://"+p.address+"/v1/check", nil); err != nil || got != "200 " {
				t.Errorf("it checks %q, %v", got, err)
			}
			if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := p.ended(t); code != exitTerminated || p.complaints.Len() > 0 {
				t.Errorf("it ends with %d and says %q", code, p.complaints)
			}
		})
	}
}

// What has come is sent now and then, so that a node that goes takes little with it; what cannot be sent is sent later.
func TestTheRecordIsSentWhileTrialsReport(t *testing.T) {
	var down atomic.Bool
	is := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		is.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	at, err := oci.OpenRecord(strings.TrimPrefix(server.URL, "http://") + "/runs:fit-1-record")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk, err := serve.OpenDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	store, err := collect.OpenStore(disk, "s", collect.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	r := &record{Record: at, dir: filepath.Join(dir, sources), every: time.Millisecond, complaints: io.Discard}
	ctx, end := context.WithCancelCause(t.Context())
	var all sync.WaitGroup
	all.Go(func() { r.keep(ctx, store) })
	for n := range 3 {
		down.Store(n == 1)
		piece := collect.Piece{File: "a", Offset: int64(2 * n), Data: []byte("ab")}
		if _, err := store.Take(time.Now(), collect.Batch{
			Source: collect.Source{ID: "pod"}, Pieces: []collect.Piece{piece},
		}); err != nil {
			t.Fatal(err)
		}
		want := strings.Repeat("ab", n+1)
		if n == 1 {
			continue // it comes with the next
		}
		for end := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
			to := filepath.Join(t.TempDir(), "files")
			err := at.Restore(t.Context(), to)
			got, _ := os.ReadFile(filepath.Join(to, "pod", "a"))
			if err == nil && string(got) == want {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the registry has %q, %v", got, err)
			}
		}
	}
	end(nil)
	all.Wait()
}

// A monitor that cannot read what an earlier one has kept puts nothing in its place.
func TestARecordThatCannotBeReadIsNotReplaced(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	artifact := strings.TrimPrefix(server.URL, "http://") + "/team/runs:fit-1"
	p := start(t, "--dir", t.TempDir(), "--listen", "127.0.0.1:0", "--token-file", tokenFile(t, "secret"),
		"--output-artifact", artifact)
	url := "http://" + p.address + "/v1/outputs/0/output"
	if got, err := request(t, "PUT", url+"?round=1&attempt=1", []byte("tar")); err != nil ||
		!strings.HasPrefix(got, "200") {
		t.Fatalf("%s %v", got, err)
	}
	next := start(t, "--dir", filepath.Join(t.TempDir(), "files"), "--listen", "127.0.0.1:0", "--token-file",
		tokenFile(t, "secret"), "--record-artifact", artifact)
	got, err := request(t, "GET", "http://"+next.address+"/v1/check", nil)
	if err != nil || !strings.HasPrefix(got, "507 ") || !strings.Contains(got, "it is an artifact of another type") {
		t.Errorf("it checks %q, %v", got, err)
	}
	b := collect.Batch{Source: collect.Source{ID: "pod"}, Pieces: []collect.Piece{{File: "a", Data: []byte("ab")}}}
	if got, err := request(t, "POST", "http://"+next.address+"/v1/batch", collect.AppendBatch(nil, b)); err != nil ||
		!strings.HasPrefix(got, "200 ") {
		t.Errorf("it takes nothing: %q, %v", got, err)
	}
	if err := next.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	next.ended(t)
	if got, err := request(t, "GET", url, nil); err != nil || got != "200 tar" {
		t.Errorf("what was there is %q, %v", got, err)
	}
}
