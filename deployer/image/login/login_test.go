package login

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/metaml/metaml/internal/usererror"
)

// locked is a registry that knows ann by her password "s:e cret", and gives tokens if it is asked to.
func locked(t *testing.T, tokens bool) name.Registry {
	t.Helper()
	knows := func(r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		return user == "ann" && password == "s:e cret"
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		challenge := `Basic realm="test"`
		if tokens {
			challenge = fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host)
		}
		switch {
		case r.URL.Path == "/token" && knows(r):
			_, _ = io.WriteString(w, `{"token":"good"}`)
		case r.URL.Path == "/v2/" && (r.Header.Get("Authorization") == "Bearer good" || !tokens && knows(r)):
		default:
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	return at(t, strings.TrimPrefix(server.URL, "http://"))
}

func at(t *testing.T, text string) name.Registry {
	t.Helper()
	registry, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

func TestALoginIsTried(t *testing.T) {
	for _, tokens := range []bool{false, true} {
		t.Run(fmt.Sprintf("by a token: %t", tokens), func(t *testing.T) {
			registry := locked(t, tokens)
			if err := Try(t.Context(), registry, Login{"ann", "s:e cret"}); err != nil {
				t.Error(err)
			}
			err := Try(t.Context(), registry, Login{"ann", "wrong"})
			is, ok := errors.AsType[*usererror.Error](err)
			want := "registry " + registry.Name() + " does not take the password of ann"
			if !ok || is.Code != usererror.CodeRegistry || is.Text != want {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		err := Try(t.Context(), at(t, "127.0.0.1:1"), Login{"ann", "p"})
		if err == nil || !strings.Contains(err.Error(), "cannot log in: registry 127.0.0.1:1 cannot be reached") {
			t.Errorf("got %v", err)
		}
	})
}

func TestWhatIsNoRegistryIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"registry.example/team": "Log in at the host, for all that is below it: metaml login registry.example.",
		"":                      "It is a host, with its port if it has one: registry.example:5000.",
		"a b":                   "It is a host, with its port if it has one: registry.example:5000.",
	} {
		t.Run(text, func(t *testing.T) {
			_, err := Parse(text)
			if is, ok := errors.AsType[*usererror.Error](err); !ok || is.Hint != want {
				t.Errorf("got %v", err)
			}
		})
	}
}

// home is an empty home folder whose logins this process reads, too.
func home(t *testing.T) (environ []string, docker string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, ".docker")) // Docker's package looks for the home folder once
	for _, v := range []string{"REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(v, "")
	}
	return os.Environ(), filepath.Join(dir, ".docker", "config.json")
}

// read gives the login that programs find which read Docker's file.
func read(t *testing.T, registry name.Registry) Login {
	t.Helper()
	who, err := authn.DefaultKeychain.Resolve(registry)
	if err != nil {
		t.Fatal(err)
	}
	c, err := who.Authorization()
	if err != nil {
		t.Fatal(err)
	}
	return Login{c.Username, c.Password}
}

func TestALoginIsKeptWhereOthersReadIt(t *testing.T) {
	for _, host := range []string{"registry.example:5000", "docker.io"} {
		t.Run(host, func(t *testing.T) {
			variables, docker := home(t)
			registry := at(t, host)
			want := Login{"ann", "s:e cret"}
			where, err := Find(variables).Keep(t.Context(), registry, want)
			if err != nil || where != docker || read(t, registry) != want {
				t.Fatalf("%s has %v: %v", where, read(t, registry), err)
			}
			info, err := os.Stat(docker)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("its mode is %v: %v", info.Mode(), err)
			}
			was, err := Find(variables).Remove(t.Context(), registry)
			if err != nil || !was || read(t, registry) != (Login{}) {
				t.Errorf("it was there: %t, and now it is %v: %v", was, read(t, registry), err)
			}
			if was, err := Find(variables).Remove(t.Context(), registry); err != nil || was {
				t.Errorf("again: it was there: %t, %v", was, err)
			}
		})
	}
}

// What others have put into the file stays, whatever it is, and a link stays one.
func TestTheFileKeepsWhatElseItHas(t *testing.T) {
	variables, docker := home(t)
	const before = `{"auths":{"other.example":{"auth":"YTpi","new":[1]},"https://registry.example/v1/":{}},"proxies":{},
		"future":{"a":1.50}}`
	elsewhere := filepath.Join(t.TempDir(), "logins")
	write(t, elsewhere, before)
	if err := os.MkdirAll(filepath.Dir(docker), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, docker); err != nil {
		t.Fatal(err)
	}
	registry := at(t, "registry.example")
	if _, err := Find(variables).Keep(t.Context(), registry, Login{"ann", "p"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(variables).Remove(t.Context(), registry); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	after := strings.Replace(before, `,"https://registry.example/v1/":{}`, "", 1)
	if err := json.Unmarshal([]byte(after), &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAFileThatIsNoneIsLeftAlone(t *testing.T) {
	variables, docker := home(t)
	write(t, docker, "auths: {}")
	_, err := Find(variables).Keep(t.Context(), at(t, "registry.example"), Login{"ann", "p"})
	if is, ok := errors.AsType[*usererror.Error](err); !ok || !strings.HasPrefix(is.Text, docker) {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(docker); err != nil || string(data) != "auths: {}" {
		t.Errorf("it is %q: %v", data, err)
	}
}

func TestAHelperKeepsTheLogin(t *testing.T) {
	variables, docker := home(t)
	bin, kept := t.TempDir(), filepath.Join(t.TempDir(), "kept")
	// The protocol of docker/docker-credential-helpers: an action, and what it is about on standard input.
	write(t, filepath.Join(bin, "docker-credential-box"), `#!/bin/sh
case $1 in
store) cat > `+kept+` ;;
get) cat `+kept+` 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) rm `+kept+` ;;
esac
`)
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	variables = append(variables, "PATH="+os.Getenv("PATH"))
	for _, config := range []string{`{"credsStore":"box"}`, `{"credHelpers":{"registry.example":"box"}}`} {
		t.Run(config, func(t *testing.T) {
			write(t, docker, config)
			registry, want := at(t, "registry.example"), Login{"ann", "p"}
			where, err := Find(variables).Keep(t.Context(), registry, want)
			if err != nil || where != "docker-credential-box" || read(t, registry) != want {
				t.Fatalf("%s has %v: %v", where, read(t, registry), err)
			}
			if data, err := os.ReadFile(docker); err != nil || strings.Contains(string(data), `"auth"`) {
				t.Errorf("the file has %s: %v", data, err)
			}
			if was, err := Find(variables).Remove(t.Context(), registry); err != nil || !was {
				t.Errorf("it was there: %t, %v", was, err)
			}
			if was, err := Find(variables).Remove(t.Context(), registry); err != nil || was {
				t.Errorf("again: it was there: %t, %v", was, err)
			}
		})
	}
	t.Run("it is not there", func(t *testing.T) {
		write(t, docker, `{"credsStore":"gone"}`)
		_, err := Find(variables).Keep(t.Context(), at(t, "registry.example"), Login{"ann", "p"})
		if is, ok := errors.AsType[*usererror.Error](err); !ok || !strings.Contains(is.Text, "docker-credential-gone") {
			t.Errorf("got %v", err)
		}
	})
}

// Where there is Podman's file alone a file of Docker's would hide what it has.
func TestTheFileOfPodmanIsTaken(t *testing.T) {
	_, docker := home(t)
	t.Setenv("DOCKER_CONFIG", "")
	variables := os.Environ()
	if f := Find(variables); f.Path != docker {
		t.Errorf("without any it is %s", f.Path)
	}
	podman := filepath.Join(filepath.Dir(filepath.Dir(docker)), ".config", "containers", "auth.json")
	write(t, podman, `{"auths":{"other.example":{"auth":"YTpi"}}}`)
	registry, want := at(t, "registry.example"), Login{"ann", "p"}
	where, err := Find(variables).Keep(t.Context(), registry, want)
	if err != nil || where != podman || read(t, registry) != want {
		t.Errorf("%s has %v: %v", where, read(t, registry), err)
	}
	if other := read(t, at(t, "other.example")); other != (Login{"a", "b"}) {
		t.Errorf("the other is %v", other)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"auths":{"a":{"auth":"YTpi"}},"credsStore":"x","credHelpers":{"b":"y"}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &content{all: map[string]json.RawMessage{}}
		if parse(data, c) != nil {
			return
		}
		if _, err := json.Marshal(c.all); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
