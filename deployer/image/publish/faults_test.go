package publish

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	registries "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/internal/usererror"
)

// store is a registry that counts what it is asked, and fails from a request on.
type store struct {
	host  string
	asked atomic.Int64
	from  atomic.Int64                     // number of the first request that fails, from 1; 0 is none
	until atomic.Int64                     // number of the first after it that does not
	fails atomic.Pointer[http.HandlerFunc] // how
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{}
	inner := registries.New(registries.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.asked.Add(1)
		if from := s.from.Load(); from > 0 && n >= from && n < s.until.Load() {
			(*s.fails.Load())(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// fail makes requests fail, from one on, counted from now.
func (s *store) fail(from, times int64, how http.HandlerFunc) {
	s.fails.Store(&how)
	s.asked.Store(0)
	s.until.Store(from + times)
	s.from.Store(from)
}

func (s *store) heal() { s.from.Store(0) }

// visible gives what has the tag, which is whole, or nil.
func (s *store) visible(t *testing.T, tag string) v1.Image {
	t.Helper()
	at, err := name.ParseReference(s.host + "/env:" + tag)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(at)
	if err != nil {
		return nil
	}
	if err := validate.Image(image); err != nil {
		t.Errorf("what has the tag is not whole: %v", err)
	}
	return image
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		}
		w.WriteHeader(status)
	}
}

// closes reads a part of what is sent, and closes the connection.
func closes(w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 1000)
	if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = c.Close()
	}
}

var soon = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}

func newRegistry(t *testing.T, client *registry.Client, repository string) *Registry {
	t.Helper()
	r, err := NewRegistry(client, repository)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func nobody(int64, int64) {}

// Whatever request of a push fails: once, it is tried again; for good, a sentence says why, nothing half-written has a
// name, and the same again succeeds.
func TestAPushThatFailsLeavesNothingHalf(t *testing.T) {
	image, err := random.Image(100_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		called  string
		how     http.HandlerFunc
		says    string
		forGood bool // it is not tried again
	}{
		{"500", answers(500), "has a failure of its own: 500 Internal Server Error", false},
		{"429", answers(429), "is busy", false},
		{"401", answers(401), "does not know you", true},
		{"403", answers(403), "does not let you", true},
		{"507", answers(507), "has no room left for it", true},
		{"it closes the connection", closes, "closed the connection", false},
	} {
		t.Run(c.called, func(t *testing.T) {
			for n := int64(1); ; n++ {
				s := newStore(t)
				to := newRegistry(t, &registry.Client{Waits: soon}, s.host+"/env")
				s.fail(n, 1<<30, c.how)
				err := to.Publish(t.Context(), image, "tag", nil)
				asked := s.asked.Load()
				s.heal()
				if err == nil && asked < n { // it takes fewer requests
					if n < 18 {
						t.Errorf("it takes %d requests: this test does not see them", asked)
					}
					return
				}
				is, ok := errors.AsType[*usererror.Error](err)
				if !ok || is.Code != usererror.CodeRegistry || !strings.Contains(is.Text, c.says) ||
					!strings.Contains(is.Text, s.host) || is.Hint == "" {
					t.Errorf("request %d: got %v", n, err)
				}
				if s.visible(t, "tag") != nil && err != nil {
					t.Errorf("request %d: the tag is there", n)
				}
				if err := to.Publish(t.Context(), image, "tag", nil); err != nil {
					t.Errorf("request %d: afterwards: %v", n, err)
				}
				if s.visible(t, "tag") == nil {
					t.Errorf("request %d: afterwards nothing has the tag", n)
				}
			}
		})
		if c.forGood {
			continue
		}
		t.Run(c.called+", once", func(t *testing.T) {
			for n := int64(1); n <= 20; n++ {
				s := newStore(t)
				to := newRegistry(t, &registry.Client{Waits: soon}, s.host+"/env")
				s.fail(n, 1, c.how)
				if err := to.Publish(t.Context(), image, "tag", nil); err != nil {
					t.Errorf("request %d: %v", n, err)
				}
				s.heal()
				if s.visible(t, "tag") == nil {
					t.Errorf("request %d: nothing has the tag", n)
				}
			}
		})
	}
}

// What is there costs one request, also in a process that has never asked the registry, and a second push of the same
// two: one looks, and one names.
func TestWhatIsThereIsAskedForOnce(t *testing.T) {
	image, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	memory := t.TempDir()
	client := &registry.Client{Folder: memory}
	if err := newRegistry(t, client, s.host+"/env").Publish(t.Context(), image, "tag", nobody); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		called string
		client *registry.Client
		want   int64
	}{
		{"in the same process", client, 1},
		{"again", client, 1},
		{"in another", &registry.Client{Folder: memory}, 1},
	} {
		t.Run(c.called, func(t *testing.T) {
			to := newRegistry(t, c.client, s.host+"/env")
			s.asked.Store(0)
			if !to.Has(t.Context(), digest) || s.asked.Load() > c.want {
				t.Errorf("the registry was asked %d times", s.asked.Load())
			}
			s.asked.Store(0)
			if err := to.Publish(t.Context(), image, "tag", nobody); err != nil || s.asked.Load() > 2 {
				t.Errorf("the registry was asked %d times: %v", s.asked.Load(), err)
			}
		})
	}
}

func TestARegistryThatWantsToWaitIsWaitedFor(t *testing.T) {
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	busy := func(after string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}
	to := newRegistry(t, &registry.Client{Waits: soon}, s.host+"/env")
	began := time.Now()
	s.fail(3, 1, busy("1"))
	if err := to.Publish(t.Context(), image, "tag", nobody); err != nil || time.Since(began) < 900*time.Millisecond {
		t.Errorf("it took %v: %v", time.Since(began), err)
	}
	began = time.Now()
	s.fail(1, 1<<30, busy("3600"))
	if err := to.Publish(t.Context(), image, "other", nobody); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("for an hour: it took %v: %v", time.Since(began), err)
	}
}

func TestAnInterruptEndsAPushAtOnce(t *testing.T) {
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	s.fail(2, 1<<30, answers(503))
	ctx, cancel := context.WithCancelCause(t.Context())
	client := &registry.Client{Waits: []time.Duration{50 * time.Second}}
	ended := make(chan error, 1)
	go func() { ended <- newRegistry(t, client, s.host+"/env").Publish(ctx, image, "tag", nobody) }()
	for s.asked.Load() < 2 {
		time.Sleep(time.Millisecond) //nolint:forbidigo // it waits for a state
	}
	cancel(context.Canceled)
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on")
	}
}

// Docker Hub lets nobody read often: it is named, and not the registry that an image is sent to.
func TestTheRegistryThatRefusesIsNamed(t *testing.T) {
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	client := &registry.Client{Waits: soon}
	from, to := newStore(t), newStore(t)
	if err := newRegistry(t, client, from.host+"/base").Publish(t.Context(), image, "tag", nobody); err != nil {
		t.Fatal(err)
	}
	var base v1.Image
	at := newRegistry(t, client, from.host+"/base").Repository()
	if err := client.Do(t.Context(), at, transport.PullScope, nil, func(options ...remote.Option) (err error) {
		if base, err = remote.Image(at.Tag("tag"), options...); err == nil {
			_, err = base.ConfigFile()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for says, how := range map[string]http.HandlerFunc{
		" is busy: ": answers(http.StatusTooManyRequests),
		", or a proxy before it, closed the conn": closes,
	} {
		t.Run(says, func(t *testing.T) {
			from.fail(1, 1<<30, how)
			err := newRegistry(t, client, to.host+"/env").Publish(t.Context(), base, "tag", nobody)
			from.heal()
			want := "cannot read " + from.host + "/base: registry " + from.host + says
			if is, ok := errors.AsType[*usererror.Error](err); !ok || !strings.HasPrefix(is.Text, want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
