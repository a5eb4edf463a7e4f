package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/image/indexes"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/noted"
)

const content = "the content of a wheel"

func wheelAt(address, text string) resolve.Wheel {
	sum := sha256.Sum256([]byte(text))
	return resolve.Wheel{
		Name: "x", Version: "1", File: "x-1-py3-none-any.whl", URL: address, SHA256: hex.EncodeToString(sum[:]),
		Size: int64(len(text)),
	}
}

// index is a server whose answers are those of the functions, one after the other, and then the wheel.
func index(t *testing.T, answers ...http.HandlerFunc) (address string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := int(asked.Add(1)); n <= len(answers) {
			answers[n-1](w, r)
			return
		}
		_, _ = w.Write([]byte(content))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/x-1-py3-none-any.whl", asked
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// breaks ends a connection in the middle of its answer.
func breaks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "22")
	_, _ = w.Write([]byte("the con"))
	panic(http.ErrAbortHandler)
}

func TestAWheelIsLoadedOnce(t *testing.T) {
	address, asked := index(t, status(http.StatusBadGateway), breaks)
	var last, all int64
	f := &Fetcher{Folder: t.TempDir(), Progress: func(n, of int64) { last, all = n, of }}
	for _, missing := range []int64{int64(len(content)), 0} {
		if n := f.Missing([]resolve.Wheel{wheelAt(address, content)}); n != missing {
			t.Errorf("%d bytes are missing", n)
		}
		paths, err := f.Fetch(t.Context(), []resolve.Wheel{wheelAt(address, content)})
		if err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(paths[0]); err != nil || string(data) != content {
			t.Errorf("it is %q, %v", data, err)
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("it was asked for %d times", n)
	}
	if last != int64(len(content)) || all != last {
		t.Errorf("%d of %d bytes were loaded", last, all)
	}
}

func TestWhatIsNotTheWheelIsRefusedAndNotKept(t *testing.T) {
	for _, c := range []struct {
		name, want string
		answer     http.HandlerFunc
		tries      int32
	}{
		{"another file", "gives another file", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("changed"))
		}, 1},
		{"no login", "does not give x-1-py3-none-any.whl: 401", status(http.StatusUnauthorized), 1},
		{"a file that is gone", "does not have x-1-py3-none-any.whl any more", status(http.StatusNotFound), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, asked := index(t, c.answer)
			f := &Fetcher{Folder: t.TempDir()}
			_, err := f.Fetch(t.Context(), []resolve.Wheel{wheelAt(address, content)})
			is, ok := errors.AsType[*usererror.Error](err)
			if !ok || is.Code != usererror.CodeIndex || !strings.Contains(is.Text, c.want) {
				t.Errorf("got %v", err)
			}
			if n := asked.Load(); n != c.tries {
				t.Errorf("it was asked for %d times", n)
			}
			if left, err := os.ReadDir(f.Folder + "/" + wheelAt(address, content).SHA256); err != nil || len(left) > 0 {
				t.Errorf("it left %v, %v", left, err)
			}
		})
	}
}

func TestALoginIsSentToItsHostAlone(t *testing.T) {
	var got noted.List[string]
	note := func(_ http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		got.Add(user + ":" + password)
	}
	address, _ := index(t, func(w http.ResponseWriter, r *http.Request) {
		note(w, r)
		_, _ = w.Write([]byte(content))
	})
	f := &Fetcher{Folder: t.TempDir(), Logins: indexes.Logins{
		"127.0.0.1": url.UserPassword("one", "secret"), "other.example": url.UserPassword("two", "word"),
	}}
	if _, err := f.Fetch(t.Context(), []resolve.Wheel{wheelAt(address, content)}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"one:secret"}, got.All()); d != "" {
		t.Error(d)
	}
}

// A connection that stays open and brings nothing is given up, and asked for again.
func TestAConnectionThatStallsIsGivenUp(t *testing.T) {
	stalls := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "22")
		_, _ = w.Write([]byte("the con"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	f := &Fetcher{Folder: t.TempDir(), Silence: 50 * time.Millisecond}
	for range 2 {
		address, asked := index(t, stalls)
		if _, err := f.Fetch(t.Context(), []resolve.Wheel{wheelAt(address, content)}); err != nil || asked.Load() > 2 {
			t.Errorf("asked %d times: %v", asked.Load(), err)
		}
	}
	t.Run("at last for good", func(t *testing.T) {
		address, asked := index(t, stalls, stalls, stalls, stalls)
		_, err := (&Fetcher{Folder: t.TempDir(), Silence: 50 * time.Millisecond}).Fetch(t.Context(),
			[]resolve.Wheel{wheelAt(address, content)})
		is, ok := errors.AsType[*usererror.Error](err)
		if !ok || is.Code != usererror.CodeIndex || !strings.Contains(is.Text, "nothing came for 50ms") ||
			is.Hint == "" {
			t.Errorf("asked %d times: %v", asked.Load(), err)
		}
	})
}
