package oci_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	fake "github.com/google/go-containerregistry/pkg/registry"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/oci"
)

// store is a registry that ann may write to, and everybody may read.
type store struct {
	reference string
	refuses   atomic.Int64 // the status that it answers what is sent with; 0: it takes it
	cuts      atomic.Int64 // how many of the next requests it hangs up on
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{}
	is := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cuts.Add(-1) >= 0 {
			panic(http.ErrAbortHandler)
		}
		user, password, given := r.BasicAuth()
		switch status := int(s.refuses.Load()); {
		case r.Method == http.MethodGet && !given && r.URL.Path == "/v2/":
			w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			is.ServeHTTP(w, r)
		case user != "ann" || password != "p":
			w.WriteHeader(http.StatusForbidden)
		case status != 0:
			w.WriteHeader(status)
		default:
			is.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	s.reference = host + "/team/outputs:fit-1"
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	file := filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")
	config := fmt.Appendf(nil, `{"auths":{%q:{"auth":"YW5uOnA="}}}`, host) // ann:p
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *store) open(t *testing.T) *oci.Archives {
	t.Helper()
	a, err := oci.Open(s.reference)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func output(trial int, kind collect.Kind, attempt int) collect.Output {
	return collect.Output{Trial: trial, Kind: kind, Round: 1, Attempt: attempt}
}

func keep(t *testing.T, a *oci.Archives, of collect.Output, text string) {
	t.Helper()
	got, err := a.Keep(t.Context(), of, strings.NewReader(text))
	if err != nil || got.Size != int64(len(text)) || !strings.HasPrefix(got.Digest, "sha256:") || !got.Elsewhere {
		t.Fatalf("%+v %v", got, err)
	}
}

func read(t *testing.T, a *oci.Archives, trial int, kind collect.Kind) string {
	t.Helper()
	body, of, err := a.Open(t.Context(), collect.Slot{Trial: trial, Kind: kind})
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil || int64(len(data)) != of.Size {
		t.Fatalf("%d bytes of %+v: %v", len(data), of, err)
	}
	return string(data)
}

// What one monitor keeps, the next finds, which has nothing on its disk.
func TestAnArchiveIsFoundByTheNextMonitor(t *testing.T) {
	s := newStore(t)
	a := s.open(t)
	if err := a.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, err := a.List(t.Context()); err != nil || len(all) > 0 {
		t.Fatalf("at first there are %+v %v", all, err)
	}
	keep(t, a, output(0, collect.Checkpoint, 1), "epoch 1")
	keep(t, a, output(0, collect.Checkpoint, 1), "epoch 2")
	keep(t, a, output(0, collect.Latest, 1), "")
	keep(t, a, output(11, collect.Latest, 2), "model")
	for _, a := range []*oci.Archives{a, s.open(t)} {
		all, err := a.List(t.Context())
		if err != nil || len(all) != 3 || all[0].Number != 2 || all[2].Trial != 11 || all[2].Attempt != 2 ||
			all[2].Time.IsZero() {
			t.Errorf("there are %+v %v", all, err)
		}
		got := []string{
			read(t, a, 0, collect.Checkpoint), read(t, a, 0, collect.Latest), read(t, a, 11, collect.Latest),
			read(t, a, 11, collect.Checkpoint), read(t, a, 2, collect.Latest),
		}
		if want := []string{"epoch 2", "", "model", "none", "none"}; !slices.Equal(got, want) {
			t.Errorf("there is %q, want %q", got, want)
		}
	}
	next := s.open(t)
	if _, err := next.Keep(t.Context(), output(11, collect.Latest, 1), strings.NewReader("x")); !errors.Is(err,
		collect.ErrLater) {
		t.Errorf("an earlier attempt is answered %v", err)
	}
}

// A monitor whose node is cut off goes on for a while beside the next: neither takes away what the other has kept.
func TestTwoMonitorsKeepWhatBothHave(t *testing.T) {
	s := newStore(t)
	one, other := s.open(t), s.open(t)
	keep(t, one, output(0, collect.Latest, 1), "a")
	keep(t, other, output(1, collect.Latest, 1), "b")
	keep(t, one, output(2, collect.Latest, 1), "c")
	keep(t, other, output(0, collect.Latest, 2), "later")
	next := s.open(t)
	for trial, want := range []string{"later", "b", "c"} {
		if got := read(t, next, trial, collect.Latest); got != want {
			t.Errorf("trial %d has %q, want %q", trial, got, want)
		}
	}
}

func TestManyTrialsAtOnce(t *testing.T) {
	s := newStore(t)
	a := s.open(t)
	var all sync.WaitGroup
	for trial := range 8 {
		all.Go(func() {
			for n := range 4 {
				_, err := a.Keep(t.Context(), output(trial, collect.Checkpoint, 1),
					strings.NewReader(fmt.Sprint(trial, " ", n)))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	next := s.open(t)
	for trial := range 8 {
		if got, want := read(t, next, trial, collect.Checkpoint), fmt.Sprint(trial, " ", 3); got != want {
			t.Errorf("trial %d has %q, want %q", trial, got, want)
		}
	}
}

// What is cut off on its way takes nobody's place.
func TestAnArchiveThatIsNotWhole(t *testing.T) {
	s := newStore(t)
	a := s.open(t)
	keep(t, a, output(0, collect.Latest, 1), "whole")
	torn := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := a.Keep(t.Context(), output(0, collect.Latest, 1), torn); err == nil || errors.Is(err,
		collect.ErrNoRoom) {
		t.Errorf("it is kept, or refused for good: %v", err)
	}
	if got := read(t, s.open(t), 0, collect.Latest); got != "whole" {
		t.Errorf("it has %d bytes", len(got))
	}
	keep(t, a, output(0, collect.Latest, 1), "again")
}

// A registry's no is for good, and says why. What may pass is not.
func TestWhatARegistrySays(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int64
		forGood bool
		want    string
	}{
		{"forbidden", http.StatusForbidden, true, "does not let you"},
		{"too large", http.StatusRequestEntityTooLarge, true, "does not take as much at once"},
		{"a failure of its own", http.StatusInternalServerError, false, "has a failure of its own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			a := s.open(t)
			s.refuses.Store(c.status)
			_, err := a.Keep(t.Context(), output(0, collect.Latest, 1), strings.NewReader("x"))
			if err == nil || errors.Is(err, collect.ErrNoRoom) != c.forGood || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v", err)
			}
			s.refuses.Store(0)
			keep(t, a, output(0, collect.Latest, 1), "x")
		})
	}
}

func TestWhoMayNotPushIsRefusedAtOnce(t *testing.T) {
	s := newStore(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	if err := s.open(t).Check(t.Context()); err == nil || !errors.Is(err, collect.ErrNoRoom) {
		t.Errorf("it says %v", err)
	}
}

// A question that is cut off is asked again.
func TestARegistryThatHangsUp(t *testing.T) {
	s := newStore(t)
	keep(t, s.open(t), output(0, collect.Latest, 1), "x")
	next := s.open(t)
	s.cuts.Store(1)
	if got := read(t, next, 0, collect.Latest); got != "x" {
		t.Errorf("it has %q", got)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	if _, err := s.open(t).List(ctx); !errors.Is(err, interrupted) {
		t.Errorf("an interrupt gives %v", err)
	}
}

func TestAReferenceMustNameATag(t *testing.T) {
	for _, reference := range []string{"", "here/UPPER:x", "host/name", "host/name@sha256:" + strings.Repeat("a", 64)} {
		t.Run(reference, func(t *testing.T) {
			if _, err := oci.Open(reference); err == nil {
				t.Error("it is taken")
			}
		})
	}
}
