// Command image measures how images are made: an edit of the code to its pushed digest, and an environment of numpy,
// scipy and scikit-learn. Beside it stands what people do by hand: crane append, and uv in a BuildKit. `make bench`
// runs it; docs/internals/images.md has the goals and figures.
//
//	go run ./test/bench/image [-registry HOST -base IMAGE]
//
// Without a registry one is served on the loopback, with a base that has no content. BuildKit is measured where
// BUILDKIT_HOST names one, buildctl is on the PATH and the base has a Python with pip.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/image"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/publish"
	registries "github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/deployer/image/resolve"
)

func main() {
	host := flag.String("registry", "", "a registry; without it one of our own")
	base := flag.String("base", "", "an image with a Python")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *host, *base); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// bench is what is measured with.
type bench struct {
	out          io.Writer
	host, base   string
	asked        *atomic.Int32 // requests; nil where somebody else serves
	folder       string        // that goes afterwards
	python, full string        // the interpreter, and its version
	wheels       string        // a cache that has the wheels
}

func run(ctx context.Context, out io.Writer, host, base string) (err error) {
	b := &bench{out: out, host: host, base: base, python: os.Getenv("METAML_TEST_PYTHON")}
	if b.folder, err = os.MkdirTemp("", "metaml-bench-image-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.folder) }()
	const asks = "import platform; print(platform.python_version())"
	version, err := exec.CommandContext(ctx, b.python, "-c", asks).Output()
	if err != nil {
		return fmt.Errorf("METAML_TEST_PYTHON names no Python: %w", err)
	}
	b.full = strings.TrimSpace(string(version))
	if host == "" {
		end, err := b.serve()
		if err != nil {
			return err
		}
		defer end()
	}
	if err := b.edits(ctx); err != nil {
		return err
	}
	if err := b.commands(ctx); err != nil {
		return err
	}
	return b.environments(ctx)
}

// serve starts a registry with a base image.
func (b *bench) serve() (end func(), err error) {
	b.asked = &atomic.Int32{}
	inner := registry.New(registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		inner.ServeHTTP(w, r)
	}))
	b.host = strings.TrimPrefix(server.URL, "http://")
	b.base = b.host + "/python:3"
	minor := strings.Join(strings.Split(b.full, ".")[:2], ".")
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err = errors.Join(w.WriteHeader(&tar.Header{Name: "usr/local/bin/python" + minor, Mode: 0o755}), w.Close())
	if err != nil {
		return nil, err
	}
	picture, err := mutate.AppendLayers(empty.Image, static.NewLayer(archive.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		return nil, err
	}
	if picture, err = mutate.ConfigFile(picture, &v1.ConfigFile{
		OS: "linux", Architecture: "amd64", RootFS: must(picture.ConfigFile()).RootFS,
	}); err != nil {
		return nil, err
	}
	at, err := name.ParseReference(b.base)
	if err != nil {
		return nil, err
	}
	return server.Close, remote.Write(at, picture)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// maker is a machine with a cache; the wheels of another one may be there.
func (b *bench) maker(wheels bool) (*image.Maker, error) {
	cache, err := os.MkdirTemp(b.folder, "cache-")
	if err != nil {
		return nil, err
	}
	if wheels {
		for _, kind := range []string{"wheels", "bytecode"} {
			if err := os.CopyFS(filepath.Join(cache, kind), os.DirFS(filepath.Join(b.wheels, kind))); err != nil {
				return nil, err
			}
		}
	}
	return &image.Maker{
		Cache: cache, Registries: &registries.Client{Folder: filepath.Join(cache, "registries")},
		Environ: os.Environ(), Python: b.python, PythonVersion: b.full,
	}, nil
}

func (b *bench) request(m *image.Maker, repository, requirements string, program []layer.File) (image.Request, error) {
	to, err := publish.NewRegistry(m.Registries, b.host+"/"+repository)
	return image.Request{
		Packages: resolve.Input{Requirements: requirements, Arch: "amd64"}, Base: b.base, To: to, Program: program,
	}, err
}

func program(n int) []layer.File {
	text := strings.Repeat("# a line of a program as people write it\n", 50) + fmt.Sprintf("x = %d\n", n)
	return []layer.File{
		{Path: "opt/metaml/program/code/main.py", Mode: 0o644, Content: layer.Bytes(text)},
		{Path: "opt/metaml/program/map.json", Mode: 0o644, Content: layer.Bytes("{}")},
	}
}

// edits measures an edit of the code in a process that goes on, beside what crane append does with the same library.
func (b *bench) edits(ctx context.Context) error {
	m, err := b.maker(false)
	if err != nil {
		return err
	}
	request, err := b.request(m, "edits", "threadpoolctl==3.5.0\n", program(0))
	if err != nil {
		return err
	}
	first, err := m.Make(ctx, request)
	if err != nil {
		return err
	}
	var ours, theirs, same []float64
	var edited, unchanged int32
	for n := range 100 {
		request.Program = program(n + 1)
		took, asked, err := b.measure(func() error { _, err := m.Make(ctx, request); return err })
		if err != nil {
			return err
		}
		ours, edited = append(ours, took), asked
		if took, asked, err = b.measure(func() error { _, err := m.Make(ctx, request); return err }); err != nil {
			return err
		}
		same, unchanged = append(same, took), asked
		took, _, err = b.measure(func() error { return appended(ctx, first.Reference, program(-n)) })
		if err != nil {
			return err
		}
		theirs = append(theirs, took)
	}
	b.table("an edit of the code to its pushed digest, in one process", ours, "crane append", theirs,
		fmt.Sprintf("<= 5 ms; %d requests", edited))
	b.table("the same code again", same, "", nil, fmt.Sprintf("at most 2 requests to the repository; %d, and one is "+
		"to that of the base", unchanged))
	return nil
}

// commands measures an edit of a script as a command, from its start to its end, beside crane where there is one.
func (b *bench) commands(ctx context.Context) error {
	script, archive := filepath.Join(b.folder, "sweep.py"), filepath.Join(b.folder, "layer.tar.gz")
	repository := b.host + "/commands"
	crane, noCrane := exec.LookPath("crane")
	var ours, theirs []float64
	for n := range 22 {
		text := fmt.Sprintf("import threadpoolctl\nimport metaml\n\n@metaml.Train()\ndef fit():\n    return %d\n", n)
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			return err
		}
		took, err := b.command(ctx, filepath.Join("bin", "metaml"), "build", script, "--repository", repository,
			"--base", b.base, "--python", b.python, "--platform", "linux/amd64")
		if err != nil {
			return err
		}
		if n < 2 { // the environment is made, and what interpreters answer is kept once all is two seconds old
			time.Sleep(2 * time.Second) //nolint:forbidigo // as above
			continue
		}
		ours = append(ours, took)
		if noCrane != nil {
			continue
		}
		var data bytes.Buffer
		if _, err := layer.Write(ctx, &data, program(n)); err != nil {
			return err
		}
		if err := os.WriteFile(archive, data.Bytes(), 0o600); err != nil {
			return err
		}
		if took, err = b.command(ctx, crane, "append", "--insecure", "--base", b.base, "--new_layer", archive,
			"--new_tag", b.host+"/crane:1"); err != nil {
			return err
		}
		theirs = append(theirs, took)
	}
	b.table("the same as a command: metaml build", ours, "crane append, with a layer that is there", theirs, "<= 25 ms")
	return nil
}

// command gives the milliseconds of a command that touches nothing of the person who measures.
func (b *bench) command(ctx context.Context, name string, args ...string) (float64, error) {
	run := exec.CommandContext(ctx, name, args...)
	run.Env = append(os.Environ(), "HOME="+b.folder, "XDG_CACHE_HOME="+filepath.Join(b.folder, "cache"),
		"XDG_DATA_HOME="+filepath.Join(b.folder, "data"), "KUBECONFIG="+filepath.Join(b.folder, "none"))
	took, _, err := b.measure(func() error {
		if out, err := run.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, out)
		}
		return nil
	})
	return took, err
}

// appended does what crane append does: it reads the image, and writes it with one layer more.
func appended(ctx context.Context, reference string, files []layer.File) error {
	at, err := name.ParseReference(reference)
	if err != nil {
		return err
	}
	below, err := remote.Image(at, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	var data bytes.Buffer
	if _, err := layer.Write(ctx, &data, files); err != nil {
		return err
	}
	picture, err := mutate.AppendLayers(below, static.NewLayer(data.Bytes(), types.OCILayer))
	if err != nil {
		return err
	}
	return remote.Write(at.Context().Tag("appended"), picture, remote.WithContext(ctx))
}

// measure gives milliseconds, and how many requests the registry got.
func (b *bench) measure(does func() error) (took float64, asked int32, err error) {
	if b.asked != nil {
		b.asked.Store(0)
	}
	began := time.Now()
	err = does()
	took = float64(time.Since(began)) / float64(time.Millisecond)
	if b.asked != nil {
		asked = b.asked.Load()
	}
	return took, asked, err
}

func (b *bench) table(what string, ours []float64, peer string, theirs []float64, goal string) {
	fmt.Fprintf(b.out, "  %s\n    MetaML %s\n", what, row(ours))
	if len(theirs) > 0 {
		fmt.Fprintf(b.out, "    %s %s   MetaML is %.2f ×\n", peer, row(theirs), median(ours)/median(theirs))
	}
	fmt.Fprintf(b.out, "    goal: %s\n", goal)
}

func row(values []float64) string {
	return fmt.Sprintf("%.1f ms (%.1f – %.1f, %d runs)", median(values), slices.Min(values), slices.Max(values),
		len(values))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

const (
	sklearn = "numpy==2.3.5\nscipy==1.16.3\nscikit-learn==1.7.2\n"
	// With these one wheel is another. A lock of a session says all versions; in the other uv looks for one.
	changed = sklearn + "joblib==1.4.2\nthreadpoolctl==3.6.0\n"
	open    = sklearn + "joblib==1.4.2\n"
)

// environments measures environments: from nothing, with the wheels here, with one that has changed, and unchanged.
func (b *bench) environments(ctx context.Context) error {
	var nothing, warm, loaded, here, without, again, builder []float64
	var asked int32
	for n := range 5 {
		m, err := b.maker(false)
		if err != nil {
			return err
		}
		makes := func(m *image.Maker, requirements string, into *[]float64) error {
			request, err := b.request(m, fmt.Sprintf("environments-%d-%p", n, into), requirements, nil)
			if err != nil {
				return err
			}
			took, requests, err := b.measure(func() error { _, err := m.Make(ctx, request); return err })
			*into, asked = append(*into, took), requests
			return err
		}
		if err := makes(m, sklearn, &nothing); err != nil {
			return err
		}
		if err := b.byHand(ctx, n, &builder); err != nil {
			return err
		}
		b.wheels = m.Cache
		if m, err = b.maker(true); err != nil {
			return err
		}
		// before is a machine on which only the environment of before was made, and that has the wheels.
		before := func() error {
			return errors.Join(os.RemoveAll(filepath.Join(m.Cache, "layers")),
				os.RemoveAll(filepath.Join(m.Cache, "resolved")), makes(m, sklearn, new([]float64)))
		}
		if err := errors.Join(
			makes(m, sklearn, &warm), makes(m, changed, &loaded),
			before(), makes(m, changed, &here),
			before(), makes(m, open, &without), makes(m, open, &again),
		); err != nil {
			return err
		}
	}
	b.table("an environment of numpy, scipy and scikit-learn, from nothing", nothing, "uv in a BuildKit, by hand",
		builder, "<= 0.8 ×")
	b.table("the same, with the wheels on this machine", warm, "", nil, "<= 1,000 ms")
	b.table("one wheel has changed, which is on this machine", here, "", nil, "<= 300 ms")
	b.table("the same, where not all versions are said", without, "", nil, "<= 300 ms")
	b.table("one wheel has changed, which is loaded and compiled", loaded, "", nil, "none")
	b.table("nothing has changed", again, "", nil, fmt.Sprintf("at most 2 requests; %d", asked))
	return nil
}

// byHand has a BuildKit make the environment with uv, with nothing in its cache.
func (b *bench) byHand(ctx context.Context, n int, into *[]float64) error {
	if b.asked != nil || os.Getenv("BUILDKIT_HOST") == "" {
		return nil
	}
	if _, err := exec.LookPath("buildctl"); err != nil {
		return nil //nolint:nilerr // it is no peer here
	}
	dir, err := os.MkdirTemp(b.folder, "context-")
	if err != nil {
		return err
	}
	uv, err := exec.LookPath("uv")
	if err != nil {
		uv = filepath.Join(filepath.Dir(b.python), "uv")
	}
	program, err := os.ReadFile(uv)
	if err != nil {
		return err
	}
	dockerfile := fmt.Sprintf("FROM %s\nCOPY uv /uv\nRUN --mount=type=secret,id=ca,target=/ca.pem --mount=type=tmpfs,"+
		"target=/cache UV_CACHE_DIR=/cache SSL_CERT_FILE=/ca.pem /uv venv /opt/venv && UV_CACHE_DIR=/cache "+
		"SSL_CERT_FILE=/ca.pem /uv pip install --python /opt/venv/bin/python --compile-bytecode %s && echo %d\n",
		b.base, strings.Join(strings.Fields(sklearn), " "), n)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "uv"), program, 0o700), //nolint:gosec // it is executed
		os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600)); err != nil {
		return err
	}
	args := []string{
		"build", "--frontend", "dockerfile.v0", "--no-cache", "--local", "context=" + dir,
		"--local", "dockerfile=" + dir,
		"--output", fmt.Sprintf("type=image,name=%s/by-hand-%d:1,push=true,registry.insecure=true", b.host, n),
	}
	if ca := os.Getenv("SSL_CERT_FILE"); ca != "" {
		args = append(args, "--secret", "id=ca,src="+ca)
	}
	took, _, err := b.measure(func() error {
		//nolint:gosec // the arguments are ours
		if out, err := exec.CommandContext(ctx, "buildctl", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("buildctl: %w\n%s", err, out)
		}
		return nil
	})
	*into = append(*into, took)
	return err
}
