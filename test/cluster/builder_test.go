//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/metaml/metaml/deployer/image"
	"github.com/metaml/metaml/deployer/image/builder"
	"github.com/metaml/metaml/deployer/image/publish"
	registries "github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/cluster/internal/inside"
	"github.com/metaml/metaml/test/index"
)

// buildkit is the address of the cluster's builder.
const buildkit = "unix:///run/buildkit/buildkitd.sock"

// workshop makes images on a machine that has made none before.
type workshop struct {
	t       *testing.T
	maker   *image.Maker
	request image.Request
}

func newWorkshop(t *testing.T, repository, requirements string, variables ...string) *workshop {
	t.Helper()
	registries := &registries.Client{}
	to, err := publish.NewRegistry(registries, registry+"/"+repository)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	environ := append(os.Environ(), "HOME="+home, "UV_CACHE_DIR="+filepath.Join(home, "uv"))
	uv, err := exec.LookPath(filepath.Join(filepath.Dir(python(t)), "uv"))
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.CommandContext(t.Context(), python(t), "-c",
		"import platform; print(platform.python_version(), end='')").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &workshop{
		t: t,
		maker: &image.Maker{
			Cache: filepath.Join(home, "images"), Registries: registries, UV: uv,
			Environ: append(environ, variables...), Python: python(t), PythonVersion: string(version),
		},
		request: image.Request{
			Packages: resolve.Input{Requirements: requirements, Arch: "amd64"}, Base: inside.BarePython, To: to,
		},
	}
}

// builtBy has a builder make the images.
func (w *workshop) builtBy(address string, variables ...string) *workshop {
	w.t.Helper()
	at, err := builder.Find(address, variables)
	if err != nil {
		w.t.Fatal(err)
	}
	w.request.Builder = &builder.Builder{
		Program: filepath.Join(filepath.Dir(binary(w.t)), "metaml-build"), Environ: w.maker.Environ, Address: at,
	}
	return w
}

// makes makes the image.
func (w *workshop) makes() *image.Made {
	w.t.Helper()
	made, err := w.maker.Make(w.t.Context(), w.request)
	if err != nil {
		if f, is := errors.AsType[*builder.Failure](err); is {
			w.t.Log(f.Log)
		}
		w.t.Fatal(err)
	}
	return made
}

// refused is why there is no image.
func (w *workshop) refused() *usererror.Error {
	w.t.Helper()
	made, err := w.maker.Make(w.t.Context(), w.request)
	is, ok := errors.AsType[*usererror.Error](err)
	if !ok {
		w.t.Fatalf("got %+v, %v", made, err)
	}
	return is
}

// entry is a file of an image.
type entry struct {
	mode  int64
	owner int
	link  string
	text  string
}

// picture is an image of the registry.
func picture(t *testing.T, reference string) v1.Image {
	t.Helper()
	at, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	found, err := remote.Image(at)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// entries are the files that an image has beside its base, by path, folders included. The base is one layer.
func entries(t *testing.T, reference string) map[string]entry {
	t.Helper()
	layers, err := picture(t, reference).Layers()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]entry{}
	for _, layer := range layers[1:] {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		for in := tar.NewReader(content); ; {
			header, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			if header.ModTime.Unix() > 0 {
				t.Errorf("%s has the time %s", header.Name, header.ModTime)
			}
			at := strings.Trim(header.Name, "/")
			all[at] = entry{header.Mode & 0o7777, header.Uid, header.Linkname, string(text)}
		}
	}
	return all
}

// Made here or by a builder, an environment has the same files.
func TestBothWaysGiveTheSameFiles(t *testing.T) {
	t.Parallel()
	const wanted = "numpy==2.4.6\nrequests\n"
	here := newWorkshop(t, "both/here", wanted).makes()
	built := newWorkshop(t, "both/built", wanted).builtBy(buildkit).makes()
	if slices.ContainsFunc(built.Wheels, func(w resolve.Wheel) bool {
		return !slices.Contains(here.Wheels, w)
	}) {
		t.Errorf("the packages are\n%v\nand\n%v", here.Wheels, built.Wheels)
	}
	a, b := entries(t, here.Reference), entries(t, built.Reference)
	for at := range a {
		if _, is := b[at]; !is {
			t.Errorf("%s is made here alone", at)
		}
	}
	for at, is := range b {
		switch was, there := a[at]; {
		case allowed(at):
		case strings.HasSuffix(at, ".pyc") && len(was.text) > 16 && len(is.text) > 16:
			// What lies behind the source's digest depends on the full version of Python, here and there.
			if was.text[:16] != is.text[:16] || was.mode != is.mode {
				t.Errorf("%s is of another source, or is checked against it", at)
			}
		case !there:
			t.Errorf("%s is made by the builder alone", at)
		case was != is:
			t.Errorf("%s differs: mode %o and %o, owner %d and %d, link %q and %q, %d and %d bytes", at, was.mode,
				is.mode, was.owner, is.owner, was.link, is.link, len(was.text), len(is.text))
		}
	}
	config := func(reference string) v1.Config {
		file, err := picture(t, reference).ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		return file.Config
	}
	if c, d := fmt.Sprint(config(here.Reference)), fmt.Sprint(config(built.Reference)); c != d {
		t.Errorf("the configuration is\n%s\nand\n%s", c, d)
	}
}

// A builder that can send no images, as Docker Engine's without containerd, gives its files, and what differs from the
// base becomes a layer here. The builder is the cluster's, with that answer in its place.
func TestABuilderThatSendsNoImages(t *testing.T) {
	t.Parallel()
	const wanted = "requests\n"
	with := func(repository string) *workshop {
		w := newWorkshop(t, repository, wanted).builtBy(buildkit)
		w.request.System, w.request.After = []string{"zlib1g-dev"}, [][]string{{"rm", "/etc/debian_version"}}
		return w
	}
	sent := with("tree/sent").makes()
	other := with("tree/read")
	program := filepath.Join(t.TempDir(), "metaml-build")
	script := `#!/bin/sh
IFS= read -r line
case $line in
*'"tree":'*) ;;
*) printf '%s\n' '{"failed":{"message":"exporter \"image\" could not be found"}}'; exit;;
esac
exec 4<&0
{ printf '%s\n' "$line"; cat <&4; } | ` + other.request.Builder.Program + ` &
exec >&- 4<&-
wait
`
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	other.request.Builder.Program = program
	read := other.makes()
	a, b := entries(t, sent.Reference), entries(t, read.Reference)
	if removed := b["etc/.wh.debian_version"]; removed.mode == 0 || len(b) < 100 {
		t.Errorf("a file that was removed is there, or there are only %d", len(b))
	}
	for at, is := range a {
		if is.text+is.link != "" && b[at] != is { // folders that did not change are in one of them
			t.Errorf("%s is %d bytes, and was %d", at, len(b[at].text), len(is.text))
		}
	}
	for at, is := range b {
		if is.text+is.link != "" && a[at] != is {
			t.Errorf("%s is in one of them alone", at)
		}
	}
}

// allowed says of a file that both ways may differ there: uv names itself, notes what was asked for, and starts
// programs in another way; RECORD has the digests of these.
func allowed(at string) bool {
	return strings.Contains(at, ".dist-info/") && slices.Contains([]string{"INSTALLER", "REQUESTED", "RECORD"},
		path.Base(at)) || strings.HasPrefix(at, "opt/venv/bin/")
}

// source is a package that is built from C, and needs a compiler and zlib.
func source(t *testing.T) index.File {
	t.Helper()
	return index.Source(t, "crc", "1.0", map[string]string{
		"pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
		"crc.c":          "#include <zlib.h>\nlong crc(void *t, int n) { return crc32(0, t, n); }\n",
		"crc.py": "import ctypes, os\n_c = ctypes.CDLL(os.path.dirname(__file__) + '/libcrc.so')\n" +
			"_c.crc.restype = ctypes.c_long\ndef crc(text): return _c.crc(text, len(text))\n",
		"backend.py": `import shutil, subprocess, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    subprocess.run([shutil.which("tcc") or "gcc", "-shared", "-fPIC", "-o", "libcrc.so", "crc.c", "-lz"], check=True)
    name = "crc-1.0-py3-none-linux_x86_64.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        for file in ("crc.py", "libcrc.so"):
            wheel.write(file)
        wheel.writestr("crc-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: crc\nVersion: 1.0\n")
        tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-linux_x86_64\n"
        wheel.writestr("crc-1.0.dist-info/WHEEL", tag)
        wheel.writestr("crc-1.0.dist-info/RECORD", "")
    return name
`,
	})
}

// A package that has no wheel, and what it needs of the system, are built; a pod computes with it. Two builders make
// the same image. What is missing is said, and nothing that is secret is in the registry.
func TestASourceDistributionIsBuilt(t *testing.T) {
	const login, password = "reader", "planted-a51b"
	address := guarded(t, index.Serve(t, source(t)), login, password)
	variables := []string{"UV_DEFAULT_INDEX=" + strings.Replace(address, "://", "://"+login+":"+password+"@", 1)}
	space := namespace(t)
	with := func(packages ...string) *workshop {
		w := newWorkshop(t, space+"/built", "crc\n", variables...).builtBy(buildkit)
		w.request.System = packages
		return w
	}
	t.Run("without a builder it says so", func(t *testing.T) {
		w := newWorkshop(t, space+"/here", "crc\n", variables...)
		is := w.refused()
		if is.Code != usererror.CodeResolve || !strings.Contains(is.Text, "crc") ||
			!strings.Contains(is.Hint, "--builder") {
			t.Errorf("got %v", is)
		}
		w.request.System = []string{"gcc"}
		if is := w.refused(); is.Code != usererror.CodeBuilder {
			t.Errorf("got %v", is)
		}
	})
	t.Run("without a compiler it says so", func(t *testing.T) {
		if is := with().refused(); !strings.Contains(is.Text, "gcc is missing") || !strings.Contains(is.Hint, "--apt") {
			t.Errorf("got %v", is)
		}
	})
	t.Run("no such package of the system", func(t *testing.T) {
		if is := with("libnothing-dev").refused(); !strings.Contains(is.Text, "--apt libnothing-dev") {
			t.Errorf("got %v", is)
		}
	})
	needed := []string{"tcc", "libc6-dev", "zlib1g-dev"} // the smallest compiler that there is
	first := with(needed...)
	first.request.After = [][]string{{"python", "-c", "import crc; open('/opt/crc', 'w').write(str(crc.crc(b'x')))"}}
	made := first.makes()
	t.Run("a pod computes with it", func(t *testing.T) {
		p := newPerson(t, inside.Researcher, space)
		p.mayRun(space, inside.Researcher)
		run := p.submits("import crc\n\ndef fit():\n    print('it is', crc.crc(b'x'), open('/opt/crc').read())\n",
			"--image", made.Reference)
		p.must("attach", run)
		if out := p.must("logs", run+":0"); !strings.Contains(out, "it is 2363233923 2363233923") {
			t.Errorf("it says %s", out)
		}
	})
	t.Run("another builder, on another machine, makes the same", func(t *testing.T) {
		address, keys := anotherBuilder(t)
		if _, err := with(needed...).builtBy(address).request.Builder.Probe(t.Context()); err == nil ||
			!strings.Contains(err.Error(), address) {
			t.Errorf("without keys it says %v", err)
		}
		other := with(needed...).builtBy(address, "BUILDKIT_TLS_DIR="+keys)
		other.request.After = first.request.After
		if again := other.makes(); again.Reference != made.Reference {
			t.Errorf("it is %s, and was %s", again.Reference, made.Reference)
		}
	})
	t.Run("no secret is in the registry", func(t *testing.T) {
		file, err := picture(t, made.Reference).RawConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(file)+string(made.Manifest), password) {
			t.Error("the password of the index is in what describes the image")
		}
		for at, is := range entries(t, made.Reference) {
			if strings.HasPrefix(at, "run/metaml") || strings.HasPrefix(at, "tmp/") {
				t.Errorf("%s is left in the image", at)
			}
			if strings.Contains(is.text, password) {
				t.Errorf("the password of the index is in %s", at)
			}
		}
	})
}

// guarded is an index that wants a login.
func guarded(t *testing.T, address, login, password string) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	to.Path = ""
	server := httptest.NewServer(behindLogin(to.String(), login, password))
	t.Cleanup(server.Close)
	return server.URL + "/simple"
}

// behindLogin is what is at an address, for those who have a login.
func behindLogin(address, login, password string) http.Handler {
	to, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	behind := httputil.NewSingleHostReverseProxy(to)
	behind.ErrorLog = log.New(io.Discard, "", 0) // who hangs up in the middle is no news
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, given, _ := r.BasicAuth(); user != login || given != password {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		behind.ServeHTTP(w, r)
	})
}

// anotherBuilder is one that has built nothing yet, and listens as one on another machine does. keys is the folder of
// those who may ask it.
func anotherBuilder(t *testing.T) (address, keys string) {
	t.Helper()
	keys = t.TempDir()
	pki := filepath.Join(here(t).Folder, "pki")
	for from, to := range map[string]string{"ca.crt": "ca.pem", "kueue.crt": "cert.pem", "kueue.key": "key.pem"} {
		data, err := os.ReadFile(filepath.Join(pki, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(keys, to), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// Where overlays can be.
	folder, err := os.MkdirTemp("/var/lib/buildkit", "another-") //nolint:usetesting // which t.TempDir may not be
	if err != nil {
		t.Fatal(err)
	}
	const port = "127.0.0.1:12440"
	log := &bytes.Buffer{}
	args := []string{
		"--root=" + filepath.Join(folder, "root"), "--addr=tcp://" + port, "--oci-worker=true",
		"--containerd-worker=false", "--oci-worker-net=host", "--tlscacert=" + filepath.Join(keys, "ca.pem"),
		"--tlscert=" + filepath.Join(keys, "cert.pem"), "--tlskey=" + filepath.Join(keys, "key.pem"),
	}
	server := exec.Command("buildkitd", args...)
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
		_ = os.RemoveAll(folder)
	})
	eventually(t, "another builder listens", func(ctx context.Context) (bool, error) {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", port)
		if err != nil {
			return false, err
		}
		return true, connection.Close()
	})
	return "tcp://" + port, keys
}

// A builder that is killed while it executes something is said to be gone; nothing of the image has a name, and the
// same again goes well when the builder is back.
func TestABuilderIsKilled(t *testing.T) {
	w := newWorkshop(t, "killed/environment", "idna\n").builtBy(buildkit)
	w.request.After = [][]string{{"python", "-c", "import time; time.sleep(8)"}}
	killed := false
	w.maker.Step = func(s image.Step) {
		if strings.Contains(s.Text, "time.sleep") && !killed {
			killed = true
			if err := here(t).Kill(t.Context(), "buildkitd"); err != nil {
				t.Error(err)
			}
		}
	}
	is := w.refused()
	if !killed || is.Code != usererror.CodeBuilder || !strings.Contains(is.Text, "does not answer") {
		t.Errorf("got %v", is)
	}
	if tags, err := remote.List(w.repository()); err == nil {
		t.Errorf("it has the tags %q", tags)
	}
	if is := w.refused(); is.Code != usererror.CodeBuilder || !strings.Contains(is.Text, buildkit) {
		t.Errorf("while it is gone: %v", is)
	}
	if err := here(t).Start(t.Context(), "buildkitd"); err != nil {
		t.Fatal(err)
	}
	w.makes()
	if tags, err := remote.List(w.repository()); err != nil || len(tags) != 1 {
		t.Errorf("it has the tags %q, %v", tags, err)
	}
}

func (w *workshop) repository() name.Repository {
	return w.request.To.(*publish.Registry).Repository()
}

// Who gives a build up ends what the builder does.
func TestABuildIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, "given-up/environment", "idna\n").builtBy(buildkit)
	w.request.After = [][]string{{"python", "-c", "import time; time.sleep(600)  # given up"}}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	nobody := errors.New("nobody wants it any more")
	w.maker.Step = func(s image.Step) {
		if strings.Contains(s.Text, "time.sleep") {
			cancel(nobody)
		}
	}
	began := time.Now()
	if made, err := w.maker.Make(ctx, w.request); !errors.Is(err, nobody) {
		t.Errorf("got %+v, %v", made, err)
	}
	eventually(t, "nothing of it runs", func(ctx context.Context) (bool, error) {
		out, err := exec.CommandContext(ctx, "pgrep", "-f", "sleep.600.  # given up").Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
			return true, nil
		}
		return len(out) == 0, err
	})
	t.Logf("after %s", time.Since(began))
}

// Where there is no registry to send it to, the builder hands the image over, and nothing is left in between.
func TestABuilderHandsAnImageOver(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w := newWorkshop(t, "handed-over/environment", "idna\n").builtBy(buildkit)
	sent := w.makes()
	w.maker.Cache = t.TempDir() // which knows nothing of it
	w.request.To = &publish.Layout{Folder: filepath.Join(t.TempDir(), "image")}
	made := w.makes()
	if made.Digest != sent.Digest || !w.request.To.Has(t.Context(), made.Digest) {
		t.Errorf("it is %s in a folder, and %s in a registry", made.Digest, sent.Digest)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
