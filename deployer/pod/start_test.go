package pod_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/test/venv"
)

// container has the folders of a pod's container and what it is to execute.
type container struct {
	t     *testing.T
	dir   string
	start pod.Start
	path  string // PATH
}

// newContainer makes a container for a program that is called p, in two parts, laid out as Kubernetes lays out a
// volume: what is visible are links into a folder of the current version.
func newContainer(t *testing.T, p pod.Program, program string) *container {
	t.Helper()
	c := &container{t: t, dir: t.TempDir(), path: filepath.Dir(venv.Python(t)) + ":/usr/bin:/bin"}
	packed := compress(t, program)
	digest := sha256.Sum256(packed)
	c.start = pod.Start{
		Program: p, Parts: filepath.Join(c.dir, "parts"), To: filepath.Join(c.dir, "to"),
		Digests: map[string]string{runtime.GOARCH: hex.EncodeToString(digest[:])},
		Message: filepath.Join(c.dir, "message"), Args: []string{"--in", "a folder"},
	}
	version := filepath.Join(c.start.Parts, "..2026_11_29")
	for _, folder := range []string{version, c.start.To} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c.link(filepath.Base(version), "..data")
	for i, part := range [][]byte{packed[:20], packed[20:]} {
		name := c.part(i)
		c.write(filepath.Join("parts", "..data", name), part)
		c.link(filepath.Join("..data", name), name)
	}
	return c
}

func compress(t *testing.T, program string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(program)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// part is the name of part i of the program.
func (c *container) part(i int) string { return pod.BinaryPart(c.start.Program, runtime.GOARCH, i) }

func (c *container) link(to, name string) {
	c.t.Helper()
	if err := os.Symlink(to, filepath.Join(c.start.Parts, name)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *container) write(name string, data []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), data, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// run executes the container's command; it gives exit code, output and termination message.
func (c *container) run() (code int, out, message string) {
	c.t.Helper()
	command := c.start.Command()
	cmd := exec.CommandContext(c.t.Context(), command[0], command[1:]...)
	cmd.Env, cmd.Dir = []string{"PATH=" + c.path, "HOME=/nonexistent"}, c.dir
	text, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		c.t.Fatal(err)
	}
	said, err := os.ReadFile(c.start.Message)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text), string(said)
}

// printsArguments stands for a program of ours.
const printsArguments = "#!/bin/sh\necho $# \"$@\"\nexit 7\n"

func TestAContainerBecomesItsProgram(t *testing.T) {
	t.Parallel()
	python := venv.Python(t)
	for _, c := range []struct {
		name   string
		change func(c *container)
		python string
	}{
		{"by the Python of its PATH", func(*container) {}, filepath.Join(filepath.Dir(python), "python3")},
		{
			"by one that is named, without a shell and a PATH",
			func(c *container) { c.start.Python, c.path = python, "" },
			python,
		},
		{"past a module in its folder", func(c *container) {
			c.write("zlib.py", []byte("1 / 0\n"))
			c.write("os.py", []byte("1 / 0\n"))
		}, filepath.Join(filepath.Dir(python), "python3")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newContainer(t, pod.Trial, printsArguments)
			c.change(p)
			code, out, message := p.run()
			if want := "4 --python " + c.python + " --in a folder\n"; code != 7 || out != want || message != "" {
				t.Errorf("exit code %d, %q, want %q; message %q", code, out, want, message)
			}
		})
	}
}

// The monitor executes no Python, and has no such flag.
func TestTheMonitorGetsNoInterpreter(t *testing.T) {
	t.Parallel()
	p := newContainer(t, pod.Monitor, printsArguments)
	code, out, message := p.run()
	if code != 7 || out != "2 --in a folder\n" || message != "" {
		t.Errorf("exit code %d, %q; message %q", code, out, message)
	}
}

func TestAContainerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	fake := func(c *container, name, script string) {
		c.path = filepath.Join(c.dir, "bin")
		if err := os.Mkdir(c.path, 0o700); err != nil {
			c.t.Fatal(err)
		}
		c.write(filepath.Join("bin", name), []byte(script))
		if err := os.Chmod(filepath.Join(c.path, name), 0o700); err != nil {
			c.t.Fatal(err)
		}
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	for _, c := range []struct {
		name   string
		change func(c *container)
		code   int
		text   string // PROGRAM is its name
	}{
		{"no Python", func(c *container) { c.path = "/nowhere" }, 44, pod.NoPython},
		{
			"an old Python",
			func(c *container) {
				fake(c, "python3", "#!/bin/sh\ncode=$3\nshift 3\nexec "+venv.Python(t)+
					" -S -c \"import sys\nsys.version_info = (3, 9)\n$code\" \"$@\"\n")
			},
			44, "the image has Python 3.9, and MetaML needs 3.10 or newer",
		},
		{
			"a node of another architecture",
			func(c *container) { c.start.Digests = map[string]string{other: "00"} },
			44, "the node is " + runtime.GOARCH + ", and the pod is for " + other,
		},
		{
			"a part is missing", func(c *container) {
				if err := os.Remove(filepath.Join(c.start.Parts, c.part(1))); err != nil {
					t.Fatal(err)
				}
			},
			43, "PROGRAM did not come whole: 20 bytes of it are in ",
		},
		{
			"nothing can be unpacked", func(c *container) { c.start.To = filepath.Join(c.dir, "nowhere") },
			43, "PROGRAM cannot be unpacked: [Errno 2] No such file or directory: ",
		},
		{
			"it is no program", func(c *container) {
				packed := compress(t, "no program")
				digest := sha256.Sum256(packed)
				c.start.Digests[runtime.GOARCH] = hex.EncodeToString(digest[:])
				c.write(filepath.Join("parts", c.part(0)), packed[:4])
				c.write(filepath.Join("parts", c.part(1)), packed[4:])
			},
			44, "PROGRAM cannot be executed: [Errno 8] Exec format error",
		},
	} {
		for _, program := range []pod.Program{pod.Trial, pod.Server, pod.Monitor} {
			t.Run(string(program)+" "+c.name, func(t *testing.T) {
				t.Parallel()
				p := newContainer(t, program, printsArguments)
				c.change(p)
				code, out, message := p.run()
				want := strings.ReplaceAll("PROGRAM: "+c.text, "PROGRAM", string(program))
				if code != c.code || !strings.HasPrefix(message, want) || out != message {
					t.Errorf("exit code %d, message %q, output %q", code, message, out)
				}
			})
		}
	}
}

// Kubernetes replaces $(NAME) and $$ in a command (documentation, "Define Dependent Environment Variables").
func TestKubernetesLeavesTheCommandAsItIs(t *testing.T) {
	for _, word := range (pod.Start{Program: pod.Trial, Digests: map[string]string{"amd64": "00"}}).Command() {
		if strings.Contains(word, "$(") || strings.Contains(word, "$$") {
			t.Errorf("Kubernetes would change %q", word)
		}
	}
}
