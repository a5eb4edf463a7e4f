package image

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"debug/elf"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/index"
)

// versions are the packages of an image, with their versions.
func versions(made *Made) (all []string) {
	for _, w := range made.Wheels {
		all = append(all, w.Name+" "+w.Version)
	}
	return all
}

// What was found first for a lock is found again, whenever the same lock is taken.
func TestTheSameLockGetsTheSamePackagesLater(t *testing.T) {
	files := []index.File{
		index.Wheel(t, "top", "1.0", "py3-none-any", nil, "rest"), index.Wheel(t, "rest", "1.0", "py3-none-any", nil),
	}
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		index.Handler(files...).ServeHTTP(w, r)
	}))
	defer server.Close()
	s := newStore(t)
	m, _ := maker(t, server.URL+"/simple")
	request := Request{
		Packages: resolve.Input{
			Requirements: "top==1.0\n", Arch: "amd64", Newest: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		},
		Base: s.has(t, debian), To: registryAt(t, s.host+"/env"),
	}
	if _, err := m.Make(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	later := index.Wheel(t, "rest", "2.0", "py3-none-any", nil)
	later.Uploaded = "2026-06-01T00:00:00Z"
	files = append(files, later)
	asked.Store(0)
	request.Packages.Newest = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	request.To = registryAt(t, s.host+"/other") // to which nothing was sent yet
	made, err := m.Make(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"rest 1.0", "top 1.0"}, versions(made)); d != "" || asked.Load() > 0 {
		t.Errorf("the index was asked %d times, for\n%s", asked.Load(), d)
	}

	t.Run("unless they are gone", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(m.Cache, "wheels")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(m.Cache, "layers")); err != nil {
			t.Fatal(err)
		}
		files = slices.Delete(files, 1, 2)
		request.To = registryAt(t, s.host+"/third")
		made, err := m.Make(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"rest 2.0", "top 1.0"}, versions(made)); d != "" {
			t.Error(d)
		}
	})
}

func TestAFileWithoutWhatTheProgramImportsIsRefused(t *testing.T) {
	s := newStore(t)
	m, _ := maker(t, packages(t))
	request := Request{
		Packages: resolve.Input{Requirements: "below==1.0\n", Arch: "amd64"}, Base: s.has(t, debian),
		To: registryAt(t, s.host+"/env"), Needs: map[string]string{"below": "Below"},
	}
	if _, err := m.Make(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	request.Needs["top"] = "top" // now that the image is known
	_, err := m.Make(t.Context(), request)
	is, ok := errors.AsType[*usererror.Error](err)
	if !ok || is.Code != usererror.CodeRequirements || !strings.Contains(is.Text, "no package that brings top") {
		t.Errorf("got %v", err)
	}
}

func TestABaseForAnotherPlatformIsRefused(t *testing.T) {
	s := newStore(t)
	m, _ := maker(t, "http://127.0.0.1:1")
	_, err := m.Make(t.Context(), Request{
		Packages: resolve.Input{Requirements: "below", Arch: "arm64"}, Base: s.has(t, debian),
		To: registryAt(t, s.host+"/env"),
	})
	is, ok := errors.AsType[*usererror.Error](err)
	if !ok || !strings.Contains(is.Text, "is for linux/amd64, and the image is made for linux/arm64") {
		t.Errorf("got %v", err)
	}
}

func TestLayersAreCompressedByZstdWhereItIsAskedFor(t *testing.T) {
	s := newStore(t)
	m, _ := maker(t, packages(t))
	request := Request{
		Packages: resolve.Input{Requirements: "top\n", Arch: "amd64"}, Base: s.has(t, debian),
		To: registryAt(t, s.host+"/env"),
	}
	gzipped, err := m.Make(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	m.Zstd = true
	made, err := m.Make(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(made.Manifest), string(types.OCILayerZStd)); n != len(made.Layers) {
		t.Errorf("of %d layers %d are compressed by zstd: %s", len(made.Layers), n, made.Manifest)
	}
	for i := range made.Layers {
		if made.Layers[i].DiffID != gzipped.Layers[i].DiffID || made.Layers[i].Digest == gzipped.Layers[i].Digest {
			t.Errorf("layer %d is %+v, and by gzip %+v", i, made.Layers[i], gzipped.Layers[i])
		}
	}
	was, _ := tree(t, gzipped.Reference)
	is, _ := tree(t, made.Reference)
	if d := cmp.Diff(was, is); d != "" {
		t.Error(d)
	}
}

func TestTheBaseComesFromAMirror(t *testing.T) {
	s := newStore(t)
	m, _ := maker(t, packages(t))
	base, err := name.ParseReference(s.has(t, debian))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := remote.Image(base)
	if err != nil {
		t.Fatal(err)
	}
	mirrored, err := name.ParseReference(s.host + "/hub/python:3.11-slim")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(mirrored, picture); err != nil {
		t.Fatal(err)
	}
	made, err := m.Make(t.Context(), Request{
		Packages: resolve.Input{Requirements: "below\n", Arch: "amd64"}, Mirror: s.host + "/hub",
		To: registryAt(t, s.host+"/env"),
	})
	if err != nil || !strings.HasPrefix(made.Base, s.host+"/hub/python@sha256:") {
		t.Errorf("got %+v, %v", made, err)
	}
}

// secret is a password that must be nowhere afterwards.
const secret = "hunter2-planted"

// certified makes a certificate authority, and a certificate of it for this machine.
func certified(t *testing.T) (root []byte, leaf tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	at := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if root, err = x509.CreateCertificate(rand.Reader, at, at, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "index"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, of, at, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return root, tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// locked is an index under a certificate authority of its own, for those who know the password.
func locked(t *testing.T, files ...index.File) (server *httptest.Server, authority string) {
	t.Helper()
	all := index.Handler(files...)
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != secret {
			w.Header().Set("WWW-Authenticate", `Basic realm="index"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		all.ServeHTTP(w, r)
	}))
	root, certificate := certified(t)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	authority = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root})
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return server, authority
}

func TestAPrivateIndexIsReachedAndItsPasswordIsNowhere(t *testing.T) {
	server, authority := locked(t, index.Wheel(t, "x", "1.0", "py3-none-any", map[string]string{"x.py": "x = 1\n"}))
	host := strings.TrimPrefix(server.URL, "https://")
	address := "https://me:" + secret + "@" + host + "/simple"
	for _, c := range []struct {
		name      string
		variables []string
		files     map[string]string // in the home
		input     resolve.Input
	}{
		{
			"a variable of pip",
			[]string{"PIP_INDEX_URL=" + address, "PIP_CERT=" + authority},
			nil,
			resolve.Input{Requirements: "x\n"},
		},
		{
			"variables of uv with a name",
			[]string{
				"UV_DEFAULT_INDEX=team=https://" + host + "/simple", "UV_INDEX_TEAM_USERNAME=me",
				"UV_INDEX_TEAM_PASSWORD=" + secret, "SSL_CERT_FILE=" + authority,
			},
			nil,
			resolve.Input{Requirements: "x\n"},
		},
		{
			"a pip.conf",
			[]string{"PIP_CONFIG_FILE="},
			map[string]string{".config/pip/pip.conf": "[global]\nindex-url = " + address +
				"\ncert = " + authority + "\n"},
			resolve.Input{Requirements: "x\n"},
		},
		{
			"a netrc",
			[]string{"PIP_INDEX_URL=https://" + host + "/simple", "REQUESTS_CA_BUNDLE=" + authority},
			map[string]string{".netrc": "machine 127.0.0.1 login me password " + secret + "\n"},
			resolve.Input{Requirements: "x\n"},
		},
		{
			"a requirements.txt",
			[]string{"PIP_CERT=" + authority, "TOKEN=" + secret},
			nil,
			resolve.Input{Requirements: "--index-url https://me:${TOKEN}@" + host + "/simple\nx\n"},
		},
		{
			"an address of a file", []string{"PIP_CERT=" + authority}, nil, resolve.Input{
				Requirements: "x @ https://me:" + secret + "@" + host + "/files/x-1.0-py3-none-any.whl\n",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			m, said := maker(t, "http://127.0.0.1:1/simple")
			home := strings.TrimPrefix(m.Environ[0], "HOME=")
			for at, text := range c.files {
				if err := os.MkdirAll(filepath.Join(home, filepath.Dir(at)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(home, at), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m.Environ = slices.DeleteFunc(m.Environ, func(v string) bool {
				return strings.HasPrefix(v, "PIP_INDEX_URL=") // not the one that is not there
			})
			m.Environ = append(m.Environ, c.variables...)
			c.input.Arch = "amd64"
			made, err := m.Make(t.Context(), Request{
				Packages: c.input, Base: s.has(t, debian), To: registryAt(t, s.host+"/env"),
			})
			if err != nil {
				if strings.Contains(err.Error(), secret) {
					t.Error("the password is in the error")
				}
				t.Fatal(err)
			}
			files, config := tree(t, made.Reference)
			files["config"] = strings.Join(config.Config.Env, "\n") + string(made.Config) + string(made.Manifest)
			files["said"] = strings.Join(*said, "\n") + made.Key
			for at, text := range files {
				if strings.Contains(text, secret) {
					t.Errorf("the password is in %s", at)
				}
			}
			if err := fs.WalkDir(os.DirFS(m.Cache), ".", func(at string, is fs.DirEntry, err error) error {
				if err != nil || is.IsDir() {
					return err
				}
				data, err := os.ReadFile(filepath.Join(m.Cache, at))
				if bytes.Contains(data, []byte(secret)) {
					t.Errorf("the password is in %s", at)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAnIndexUnderAnUnknownAuthorityIsNotReached(t *testing.T) {
	server, _ := locked(t)
	s := newStore(t)
	m, _ := maker(t, strings.Replace(server.URL, "://", "://me:"+secret+"@", 1)+"/simple")
	_, err := m.Make(t.Context(), Request{
		Packages: resolve.Input{Requirements: "x\n", Arch: "amd64"}, Base: s.has(t, debian),
		To: registryAt(t, s.host+"/env"),
	})
	is, ok := errors.AsType[*usererror.Error](err)
	if !ok || is.Code != usererror.CodeIndex || !strings.Contains(is.Hint, "SSL_CERT_FILE") ||
		strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
}

// Whatever an index does wrong is said in a sentence, and the same again succeeds when it no longer does.
func TestWhatAnIndexDoesWrongIsSaidAndOverWhenItIs(t *testing.T) {
	wheel := index.Wheel(t, "x", "1.0", "py3-none-any", map[string]string{"x.py": strings.Repeat("x = 1\n", 1<<12)})
	for _, c := range []struct {
		name, want string
		code       usererror.Code
		answer     http.HandlerFunc // to what is asked, until it is over
		only       string           // what it answers; "" is all
	}{
		{
			"it is down", "the package index does not answer", usererror.CodeIndex,
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "",
		},
		{
			"it wants a login", "does not let you: 401 Unauthorized", usererror.CodeIndex,
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "",
		},
		{
			"it refuses", "does not let you: 403 Forbidden", usererror.CodeIndex,
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "",
		},
		{
			"it has nothing", "x was not found", usererror.CodeResolve,
			func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "",
		},
		{
			"it closes in the middle of a wheel",
			"cannot load x-1.0-py3-none-any.whl from 127.0.0.1", usererror.CodeIndex,
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write(wheel.Data[:100])
				panic(http.ErrAbortHandler)
			}, "/files/",
		},
		{
			"it gives another file", "gives another file as x-1.0-py3-none-any.whl", usererror.CodeIndex,
			func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("other")) }, "/files/",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			over := atomic.Bool{}
			right := index.Handler(wheel)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				// What uv reads of a wheel is its metadata alone.
				wrong := c.only == "" || strings.HasPrefix(r.URL.Path, c.only) &&
					!strings.HasPrefix(r.UserAgent(), "uv/")
				if wrong && !over.Load() {
					c.answer(w, r)
					return
				}
				right.ServeHTTP(w, r)
			}))
			defer server.Close()
			s := newStore(t)
			m, _ := maker(t, server.URL+"/simple")
			m.Environ = append(m.Environ, "UV_HTTP_RETRIES=0")
			request := Request{
				Packages: resolve.Input{Requirements: "x\n", Arch: "amd64"}, Base: s.has(t, debian),
				To: registryAt(t, s.host+"/env"),
			}
			_, err := m.Make(t.Context(), request)
			is, ok := errors.AsType[*usererror.Error](err)
			if !ok || is.Code != c.code || !strings.Contains(is.Text, c.want) || is.Hint == "" {
				t.Errorf("got %v", err)
			}
			if errors.Is(err, context.Canceled) {
				t.Error("it was given up")
			}
			over.Store(true)
			if _, err := m.Make(t.Context(), request); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// What an image for another machine has is for that machine, though nothing of it was executed.
func TestPackagesAreThoseOfThePlatform(t *testing.T) {
	code := func(machine elf.Machine) string { // a shared library: the head of one
		var b bytes.Buffer
		header := elf.Header64{
			Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:  uint16(elf.ET_DYN), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64,
		}
		if err := binary.Write(&b, binary.LittleEndian, header); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	wheel := func(tag string, machine elf.Machine) index.File {
		return index.Wheel(t, "fast", "1.0", tag, map[string]string{
			"fast/core.so": code(machine), "fast/__init__.py": "",
		})
	}
	address := index.Serve(t, wheel("cp311-cp311-manylinux_2_17_x86_64", elf.EM_X86_64),
		wheel("cp311-cp311-manylinux_2_17_aarch64", elf.EM_AARCH64))
	s := newStore(t)
	m, _ := maker(t, address)
	for arch, want := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			made, err := m.Make(t.Context(), Request{
				Packages: resolve.Input{Requirements: "fast==1.0\n", Arch: arch}, Base: s.hasFor(t, arch, debian),
				To: registryAt(t, s.host+"/"+arch),
			})
			if err != nil {
				t.Fatal(err)
			}
			files, _ := tree(t, made.Reference)
			found := 0
			for at, text := range files {
				if !strings.HasSuffix(at, ".so") {
					continue
				}
				found++
				is, err := elf.NewFile(strings.NewReader(text))
				if err != nil || is.Machine != want {
					t.Errorf("%s is for %v, %v", at, is, err)
				}
			}
			if found != 1 {
				t.Errorf("it has %d libraries", found)
			}
		})
	}
}

// A builder finds the versions that would be found here, where it can be said here.
func TestABuilderFindsNothingNewer(t *testing.T) {
	newer := index.Wheel(t, "rest", "2.0", "py3-none-any", nil)
	newer.Uploaded = "2026-06-01T00:00:00Z"
	address := index.Serve(t, index.Wheel(t, "top", "1.0", "py3-none-any", nil, "rest"), newer,
		index.Wheel(t, "rest", "1.0", "py3-none-any", nil), index.Source(t, "source", "1.0", nil))
	for _, c := range []struct {
		name, requirements, constraints string
	}{
		{"wheels", "top\n", "rest==1.0\ntop==1.0\n"},
		{"a source distribution", "source\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := maker(t, address)
			in, err := m.forBuilder(t.Context(), m.completed(Request{Packages: resolve.Input{
				Requirements: c.requirements, Arch: "amd64", Newest: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
			}}))
			if err != nil || in.Requirements != c.requirements || in.Constraints != c.constraints {
				t.Errorf("it is %+v, %v", in, err)
			}
		})
	}
}

// A list with a source distribution is kept to where somebody builds it.
func TestABuilderGetsTheFilesOfAList(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	list := strings.ReplaceAll(`lock-version = "1.0"
created-by = "hand"
[[packages]]
name = "a"
version = "1"
sdist = {url = "https://index.example/a-1.tar.gz", hashes = {sha256 = "SUM"}}
[[packages]]
name = "b"
version = "1"
wheels = [{url = "https://index.example/b-1-py3-none-any.whl", hashes = {sha256 = "SUM"}}]
`, "SUM", sum)
	m, _ := maker(t, "http://127.0.0.1:1")
	r := m.completed(Request{Packages: resolve.Input{Pylock: list, Arch: "amd64"}})
	in, err := m.forBuilder(t.Context(), r)
	want := "b @ https://index.example/b-1-py3-none-any.whl#sha256=" + sum +
		"\na @ https://index.example/a-1.tar.gz#sha256=" + sum + "\n"
	if err != nil || in.Requirements != want || in.Pylock != "" {
		t.Errorf("it is %+v, %v", in, err)
	}
	if _, err := m.resolve(t.Context(), r); err == nil || !strings.Contains(err.Error(), "has no wheel for the image") {
		t.Errorf("without one it is %v", err)
	}
}
