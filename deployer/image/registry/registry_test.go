package registry

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// locked is a registry with one manifest, which ann may read. How it wants to be asked changes with its mode: "basic",
// "bearer" or "open".
type locked struct {
	host string

	mu     sync.Mutex
	mode   string
	token  string
	asked  []string // "GET /v2/" …
	scopes []string
}

func newLocked(t *testing.T, mode string) *locked {
	t.Helper()
	l := &locked{mode: mode, token: "first"}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	l.host = strings.TrimPrefix(server.URL, "http://")
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	config := fmt.Sprintf(`{"auths":{%q:{"auth":"YW5uOnA="}}}`, l.host) // ann:p
	file := filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *locked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, r.Method+" "+r.URL.Path)
	user, password, _ := r.BasicAuth()
	ann := user == "ann" && password == "p"
	if r.URL.Path == "/token" {
		l.scopes = r.URL.Query()["scope"]
		if !ann {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, `{"token":%q}`, l.token)
		return
	}
	allowed, challenge := true, ""
	switch l.mode {
	case "basic":
		allowed, challenge = ann, `Basic realm="test"`
	case "bearer":
		allowed = r.Header.Get("Authorization") == "Bearer "+l.token
		challenge = fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, l.host)
	}
	if !allowed {
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	_, _ = io.WriteString(w, `{}`)
}

// does reads the manifest and gives what the registry was asked for.
func (l *locked) does(t *testing.T, c *Client) []string {
	t.Helper()
	at, err := name.ParseReference(l.host + "/team/env:1")
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.asked = nil
	l.mu.Unlock()
	if err := c.Do(t.Context(), at.Context(), transport.PullScope, nil, func(options ...remote.Option) error {
		_, err := remote.Get(at, options...)
		return err
	}); err != nil {
		t.Errorf("it was asked %q: %v", l.asked, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

func TestARegistryIsAskedOnceHowItWantsToBe(t *testing.T) {
	for mode, least := range map[string]int{"open": 1, "basic": 1, "bearer": 2} { // a token is one request more
		t.Run(mode, func(t *testing.T) {
			l, folder := newLocked(t, mode), t.TempDir()
			c := &Client{Folder: folder}
			if asked := l.does(t, c); len(asked) != least+1 {
				t.Errorf("at first it was asked %q", asked)
			}
			if asked := l.does(t, c); len(asked) != 1 {
				t.Errorf("then it was asked %q", asked)
			}
			if asked := l.does(t, &Client{Folder: folder}); len(asked) != least {
				t.Errorf("in another process it was asked %q", asked)
			}
			files, err := filepath.Glob(filepath.Join(folder, "*"))
			if err != nil || len(files) != 1 {
				t.Fatalf("%q: %v", files, err)
			}
			if data, err := os.ReadFile(files[0]); err != nil || strings.Contains(string(data), "first") ||
				strings.Contains(string(data), "ann") {
				t.Errorf("it remembers %s: %v", data, err)
			}
		})
	}
}

// What is remembered of a registry is no more than what it said then.
func TestARegistryThatChangesIsAskedAnew(t *testing.T) {
	for _, before := range []string{"open", "basic", "bearer"} {
		for _, now := range []string{"open", "basic", "bearer"} {
			t.Run(before+" to "+now, func(t *testing.T) {
				l, folder := newLocked(t, before), t.TempDir()
				c := &Client{Folder: folder}
				l.does(t, c)
				l.mu.Lock()
				l.mode, l.token = now, "second"
				l.mu.Unlock()
				l.does(t, c)
				l.does(t, &Client{Folder: folder})
			})
		}
	}
}

// A registry takes layers from another repository of its own only for who may read that.
func TestTheRightsOfOtherRepositoriesAreAskedFor(t *testing.T) {
	l := newLocked(t, "bearer")
	repository := func(text string) name.Repository {
		at, err := name.NewRepository(text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	also := []name.Repository{repository(l.host + "/base"), repository("other.example/base")}
	err := (&Client{}).Do(t.Context(), repository(l.host+"/env"), transport.PushScope, also,
		func(...remote.Option) error { return nil })
	if got := strings.Join(l.scopes, " "); err != nil || got != "repository:env:push,pull repository:base:pull" {
		t.Errorf("it asked for %s: %v", got, err)
	}
}
