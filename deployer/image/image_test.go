package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/index"
	"github.com/metaml/metaml/test/venv"
)

// store is a registry that counts what it is asked.
type store struct {
	host   string
	inner  http.Handler
	asked  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc] // in place of its own; it says no more if it writes nothing
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{}
	s.inner = fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if other := s.answer.Load(); other != nil {
			(*other)(w, r)
			return
		}
		s.inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// has puts a base image into the registry, with the files, and gives its name.
func (s *store) has(t *testing.T, files map[string]string) string {
	t.Helper()
	return s.hasFor(t, "amd64", files)
}

// hasFor does so with a base image for an architecture.
func (s *store) hasFor(t *testing.T, arch string, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for at, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: at, Mode: 0o755, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	picture, err := mutate.AppendLayers(empty.Image, static.NewLayer(b.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	config, err := picture.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", arch
	config.Config.Env = []string{"PATH=/usr/local/bin:/usr/bin", "LANG=C.UTF-8"}
	if picture, err = mutate.ConfigFile(picture, config); err != nil {
		t.Fatal(err)
	}
	at, err := name.ParseReference(s.host + "/python:" + arch)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(at, picture); err != nil {
		t.Fatal(err)
	}
	return at.String()
}

var debian = map[string]string{
	"usr/local/bin/python3.11": "python", "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n", "etc/group": "root:x:0:\n",
}

// maker is a machine of its own.
func maker(t *testing.T, index string) (m *Maker, said *[]string) {
	t.Helper()
	python := venv.Python(t)
	said = &[]string{}
	return &Maker{
		Cache: t.TempDir(), Registries: registries, Python: python, PythonVersion: "3.11.7",
		Environ: []string{
			"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "PIP_INDEX_URL=" + index,
			"PIP_CONFIG_FILE=/dev/null", "UV_CACHE_DIR=" + t.TempDir(),
		},
		Step: func(s Step) {
			if !s.Ended && s.Done == 0 {
				*said = append(*said, s.Text)
			}
		},
	}, said
}

// registries is the way of all machines to registries: they have them in common.
var registries = &registry.Client{Waits: []time.Duration{}}

func registryAt(t *testing.T, repository string) publish.Publisher {
	t.Helper()
	to, err := publish.NewRegistry(registries, repository)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func packages(t *testing.T) string {
	t.Helper()
	return index.Serve(t,
		index.Wheel(t, "top", "1.0", "py3-none-any", map[string]string{
			"top/__init__.py":                    "import below\n",
			"top/tests/test_top.py":              "assert True\n",
			"top-1.0.dist-info/entry_points.txt": "[console_scripts]\ntop = top:below.main\n",
		}, "below>=1"),
		index.Wheel(t, "below", "1.0", "py3-none-any", map[string]string{"below.py": "def main(): print('here')\n"}),
		index.Wheel(t, "below", "2.0", "py3-none-any", nil),
	)
}

// tree is what an image has, by path: the text of files, where links lead.
func tree(t *testing.T, reference string) (files map[string]string, config *v1.ConfigFile) {
	t.Helper()
	at, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := remote.Image(at)
	if err != nil {
		t.Fatal(err)
	}
	if config, err = picture.ConfigFile(); err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	r := mutate.Extract(picture)
	defer func() { _ = r.Close() }()
	for in := tar.NewReader(r); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files, config
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeDir {
			files[header.Name] = string(text) + header.Linkname
		}
	}
}

func TestAnEnvironmentIsPutOnItsBase(t *testing.T) {
	s := newStore(t)
	request := Request{
		Packages: resolve.Input{Requirements: "top\n", Constraints: "below==1.0\n", Arch: "amd64"},
		Base:     s.has(t, debian),
		To:       registryAt(t, s.host+"/team/env"),
	}
	m, said := maker(t, packages(t))
	made, err := m.Make(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	files, config := tree(t, made.Reference)
	const site = "opt/venv/lib/python3.11/site-packages/"
	for at, want := range map[string]string{
		site + "below.py":          "def main(): print('here')\n",
		site + "top/__init__.py":   "import below\n",
		"opt/venv/bin/python":      "/usr/local/bin/python3.11",
		"opt/venv/pyvenv.cfg":      "home = /usr/local/bin\ninclude-system-site-packages = false\nversion = 3.11\n",
		"usr/local/bin/python3.11": "python",
		"etc/passwd":               debian["etc/passwd"] + "metaml:x:65532:65532::/home/metaml:/usr/sbin/nologin\n",
	} {
		t.Run(at, func(t *testing.T) {
			if files[at] != want {
				t.Errorf("it is %q", files[at])
			}
		})
	}
	if script := files["opt/venv/bin/top"]; !strings.HasPrefix(script, "#!/opt/venv/bin/python\n") {
		t.Errorf("the program is %q", script)
	}
	for at, want := range map[string]bool{
		site + "top/__pycache__/__init__.cpython-311.pyc":       true,
		site + "top/tests/__pycache__/test_top.cpython-311.pyc": false,
	} {
		t.Run(at, func(t *testing.T) {
			if _, is := files[at]; is != want {
				t.Errorf("it is there: %t", is)
			}
		})
	}
	if code := files[site+"__pycache__/below.cpython-311.pyc"]; len(code) < 16 || code[4:8] != "\x01\x00\x00\x00" {
		t.Errorf("its bytecode is not one with an unchecked hash: %.16q", code)
	}
	want := []string{"PATH=/opt/venv/bin:/usr/local/bin:/usr/bin", "LANG=C.UTF-8", "VIRTUAL_ENV=/opt/venv"}
	if d := cmp.Diff(want, config.Config.Env); d != "" || config.Config.User != "65532:65532" {
		t.Errorf("its user is %s, its variables are\n%s", config.Config.User, d)
	}

	t.Run("again it is there", func(t *testing.T) {
		s.asked.Store(0)
		*said = nil
		again, err := m.Make(t.Context(), request)
		if err != nil || again.Reference != made.Reference || !again.Known || len(*said) > 0 {
			t.Errorf("it is %+v, and said %q: %v", again, *said, err)
		}
		if n := s.asked.Load(); n > 2 {
			t.Errorf("the registry was asked %d times", n)
		}
	})
	t.Run("on another machine it is the same", func(t *testing.T) {
		other, _ := maker(t, m.Environ[2][len("PIP_INDEX_URL="):])
		again, err := other.Make(t.Context(), request)
		if err != nil || again.Reference != made.Reference {
			t.Errorf("it is %+v: %v", again, err)
		}
	})
	t.Run("another version is another image", func(t *testing.T) {
		request.Packages.Constraints = "below==2.0\n"
		other, err := m.Make(t.Context(), request)
		if err != nil || other.Reference == made.Reference {
			t.Errorf("it is %+v: %v", other, err)
		}
	})
}

func TestWhatARegistrySaysIsSaid(t *testing.T) {
	s := newStore(t)
	address := packages(t)
	request := Request{
		Packages: resolve.Input{Requirements: "below\n", Arch: "amd64"},
		Base:     s.has(t, debian),
		To:       registryAt(t, s.host+"/team/env"),
	}
	for _, c := range []struct {
		name, want string
		status     int
		body       string
	}{
		{"no login", "does not know you", http.StatusUnauthorized, `{"errors":[{"code":"UNAUTHORIZED"}]}`},
		{
			"no right", "does not let you: team is not yours", http.StatusForbidden,
			`{"errors":[{"code":"DENIED","message":"team is not yours"}]}`,
		},
		{"busy", "is busy", http.StatusTooManyRequests, `{}`},
		{"broken", "has a failure of its own: 500", http.StatusInternalServerError, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			fails := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			s.answer.Store(&fails)
			m, _ := maker(t, address)
			_, err := m.Make(t.Context(), request)
			is, ok := errors.AsType[*usererror.Error](err)
			if !ok || is.Code != usererror.CodeRegistry || !strings.Contains(is.Text, c.want) || is.Hint == "" {
				t.Errorf("got %v", err)
			}
			s.answer.Store(nil)
			if _, err := m.Make(t.Context(), request); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestABaseWithoutWhatIsNeededIsRefused(t *testing.T) {
	s := newStore(t)
	for _, c := range []struct {
		name, want string
		files      map[string]string
	}{
		{"another Python", "has no Python 3.11", map[string]string{"usr/bin/python3.12": ""}},
		{"musl", "its C library is musl", map[string]string{"lib/ld-musl-x86_64.so.1": "", "usr/bin/python3.11": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, said := maker(t, "http://127.0.0.1:1")
			_, err := m.Make(t.Context(), Request{
				Packages: resolve.Input{Requirements: "below", Arch: "amd64"},
				Base:     s.has(t, c.files), To: registryAt(t, s.host+"/env"),
			})
			is, ok := errors.AsType[*usererror.Error](err)
			if !ok || !strings.Contains(is.Text, c.want) || len(*said) != 1 { // that it looks into it
				t.Errorf("got %v", err)
			}
		})
	}
}

// What nobody has used for long is not kept, and what is used is.
func TestWhatIsKeptGoesWhenItIsOld(t *testing.T) {
	s := newStore(t)
	m, _ := maker(t, packages(t))
	request := Request{
		Packages: resolve.Input{Requirements: "below\n", Arch: "amd64"},
		Base:     s.has(t, debian), To: registryAt(t, s.host+"/env"),
	}
	if _, err := m.Make(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	count := func(folder string) int {
		entries, err := os.ReadDir(filepath.Join(m.Cache, folder))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := count("layers")
	old := time.Now().Add(-2 * unused)
	entries, err := filepath.Glob(filepath.Join(m.Cache, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Chtimes(e, old, old); err != nil {
			t.Fatal(err)
		}
	}
	request.Packages.Constraints = "below==1.0\n"
	if _, err := m.Make(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	// The frame is the same, and what is new is that of the other version.
	if after := count("layers"); after != before || count("wheels") != 1 {
		t.Errorf("%d files of layers, and were %d; %d wheels", after, before, count("wheels"))
	}
}
