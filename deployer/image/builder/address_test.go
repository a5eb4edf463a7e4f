package builder

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/internal/usererror"
)

func TestWhichBuilderIsMeant(t *testing.T) {
	keys := t.TempDir()
	for _, name := range []string{"ca.pem", "tls.crt", "key.pem"} {
		if err := os.WriteFile(filepath.Join(keys, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, named string
		environ     []string
		want        Address
	}{
		{"none", "", nil, Address{}},
		{"a socket", "unix:///run/b.sock", nil, Address{URL: "unix:///run/b.sock"}},
		{"that of other programs", "", []string{"BUILDKIT_HOST=kube-pod://b-0"}, Address{URL: "kube-pod://b-0"}},
		{
			"the one that is named before it", "ssh://me@there",
			[]string{"BUILDKIT_HOST=kube-pod://b-0"},
			Address{URL: "ssh://me@there"},
		},
		{
			"with certificates", "tcp://there:1234",
			[]string{"BUILDKIT_TLS_DIR=" + keys, "BUILDKIT_TLS_SERVER_NAME=b"},
			Address{
				URL: "tcp://there:1234", Authority: filepath.Join(keys, "ca.pem"),
				Certificate: filepath.Join(keys, "tls.crt"), Key: filepath.Join(keys, "key.pem"), ServerName: "b",
			},
		},
		{"Docker's", "docker://", nil, Address{URL: "docker:///var/run/docker.sock"}},
		{"Docker's elsewhere", "docker://", []string{"DOCKER_HOST=unix:///my.sock"}, Address{URL: "docker:///my.sock"}},
		{
			"Docker's on another machine", "docker://",
			[]string{"DOCKER_HOST=tcp://there:2376", "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=/keys"},
			Address{
				URL: "docker://there:2376", Authority: "/keys/ca.pem", Certificate: "/keys/cert.pem",
				Key: "/keys/key.pem",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := Find(c.named, c.environ); err != nil || got != c.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	for _, c := range []struct{ name, named, variable string }{
		{"no scheme", "/run/b.sock", ""},
		{"no such scheme", "http://there", ""},
		{"a socket without a path", "unix://b.sock", ""},
		{"no port", "tcp://there", ""},
		{"no container", "docker-container://", ""},
		{"Docker by ssh", "docker://", "DOCKER_HOST=ssh://there"},
		{"no certificates", "tcp://there:1", "BUILDKIT_TLS_DIR=" + t.TempDir()},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Find(c.named, []string{c.variable})
			is, ok := errors.AsType[*usererror.Error](err)
			if !ok || is.Code != usererror.CodeOption || is.Hint == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhyABuilderGaveNothing(t *testing.T) {
	b := &Builder{Address: Address{URL: "unix:///b.sock"}}
	for _, c := range []struct {
		name    string
		failure Failure
		code    usererror.Code
		want    string
	}{
		{
			"nobody there",
			Failure{Message: `rpc error: code = Unavailable desc = "connection refused"`, Unreachable: true},
			usererror.CodeBuilder, "builder unix:///b.sock does not answer: connection refused",
		},
		{
			"no such package of the system",
			Failure{Step: StepSystem, Log: "Reading package lists...\nE: Unable to locate package libyaaml-dev\n"},
			usererror.CodeOption, "--apt libyaaml-dev: ",
		},
		{
			"no compiler",
			Failure{Log: "building 'x' extension\nerror: command 'gcc' failed: No such file or directory\n"},
			usererror.CodeResolve, "and gcc is missing there",
		},
		{
			"no compiler of another name",
			Failure{Step: StepInstall, Log: "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory"},
			usererror.CodeResolve, "x86_64-linux-gnu-gcc is missing",
		},
		{
			"a program that Python does not find",
			Failure{Log: "FileNotFoundError: [Errno 2] No such file or directory: 'gcc'\n"},
			usererror.CodeResolve, "and gcc is missing there",
		},
		{
			"no header",
			Failure{Step: StepInstall, Log: "x.c:1:10: fatal error: yaml.h: No such file or directory"},
			usererror.CodeResolve, "the file yaml.h is missing",
		},
		{
			"no room",
			Failure{Step: StepInstall, Log: "OSError: [Errno 28] No space left on device"},
			usererror.CodeDiskFull, "disk is full",
		},
		{
			"no network",
			Failure{Step: StepSystem, Log: "W: Temporary failure resolving 'mirror.example'"},
			usererror.CodeIndex, "does not reach the network",
		},
		{
			"what nobody knows",
			Failure{Step: StepAfter + "fetch data", Log: "one\ntwo\n", Message: "exit code: 1"},
			usererror.CodeBuilder, "cannot execute fetch data: two",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			is, ok := errors.AsType[*usererror.Error](b.explain(&c.failure))
			if !ok || is.Code != c.code || !strings.Contains(is.Text, c.want) {
				t.Errorf("got %s: %v", is.Code, is)
			}
		})
	}
}

// A program that says something else than answers is a fault, and one that ends early is.
func TestAnswersAreReadToTheEnd(t *testing.T) {
	var steps []Step
	note := func(s Step) { steps = append(steps, s) }
	last, err := answers(strings.NewReader(
		`{"step":{"name":"a","seconds":1.5}}`+"\n"+`{"built":{"digest":"sha256:1","lock":"YQ=="}}`+"\n"), note)
	if err != nil || last.Built == nil || string(last.Built.Lock) != "a" || len(steps) != 1 || steps[0].Name != "a" {
		t.Errorf("got %+v, %+v, %v", last, steps, err)
	}
	if _, err := answers(strings.NewReader("panic: oh\n"), note); err == nil {
		t.Error("it takes what is no answer")
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(`{"step":{"name":"a"}}` + "\n")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = answers(strings.NewReader(text), func(Step) {}) // it must not panic
	})
}

func TestABuilderThatSendsNoImagesIsKnown(t *testing.T) {
	for message, want := range map[string]bool{
		`exporter "image" could not be found`: true, "no space left on device": false,
	} {
		t.Run(message, func(t *testing.T) {
			b := &Builder{Address: Address{URL: "docker:///var/run/docker.sock"}}
			if got := SendsNone(b.explain(&Failure{Message: message})); got != want {
				t.Errorf("it is %t", got)
			}
		})
	}
}
