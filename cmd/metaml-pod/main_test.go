package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/test/packed"
	"github.com/metaml/metaml/test/venv"
)

// TestMain makes this test binary the program.
func TestMain(m *testing.M) {
	if os.Getenv("METAML_TEST_POD") != "" {
		os.Exit(mainCode(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// container is a pod's container as the process sees it, without the container.
type container struct {
	t           *testing.T
	dir         string
	annotations string
	python      string // as it is named; "" is that of the PATH
	environ     []string
	out         bytes.Buffer
	errs        bytes.Buffer
	log         io.Writer // also gets what comes onto standard error, while it comes; nil is none
	flags       []string  // further ones
}

// newContainer makes the container of a run of trials whose program is source.
func newContainer(t *testing.T, source string, trials int) *container {
	t.Helper()
	c := &container{t: t, dir: t.TempDir(), environ: []string{pod.IndexVariable + "=0"}}
	c.annotations = filepath.Join(c.dir, "annotations")
	c.write("annotations", nil)
	spec, err := json.Marshal(run.Spec{
		V:           1,
		ID:          "id",
		Name:        "fit-1",
		Series:      "fit",
		Kind:        run.Train,
		Entry:       "fit",
		Completions: trials,
		Parallelism: 4,
		Retries:     3,
		Python:      "/not/here",
		Cwd:         "/nor/here",
		Seed:        new(int64(7)),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.write(filepath.Join("in", pod.SpecName), spec)
	var table strings.Builder
	for i := range trials {
		table.WriteString(`{"x": ` + string(rune('0'+i)) + "}\n")
	}
	c.write(filepath.Join("in", pod.RequiresName), []byte("{}"))
	c.write(filepath.Join("in", pod.TableName), []byte(table.String()))
	c.write(filepath.Join("in", pod.ProgramName), packed.Files(t, map[string]string{"code/main.py": source}))
	return c
}

func (c *container) write(name string, data []byte) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// start starts the program.
func (c *container) start() *exec.Cmd {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	c.t.Cleanup(cancel)
	args := []string{
		"--in", filepath.Join(c.dir, "in"), "--dir", filepath.Join(c.dir, "run"), "--message",
		filepath.Join(c.dir, "message"), "--annotations", c.annotations, "--python", c.python,
	}
	cmd := exec.CommandContext(ctx, os.Args[0], append(args, c.flags...)...)
	cmd.Env = append([]string{
		"METAML_TEST_POD=1", "HOME=" + c.dir, "PATH=" + filepath.Dir(venv.Python(c.t)) + ":/usr/bin:/bin",
	}, c.environ...)
	cmd.Stdout, cmd.Stderr = &c.out, &c.errs
	if c.log != nil {
		cmd.Stderr = io.MultiWriter(&c.errs, c.log)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd
}

// wait gives the exit code and the termination message.
func (c *container) wait(cmd *exec.Cmd) (int, pod.Message) {
	c.t.Helper()
	err := cmd.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		c.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(c.dir, "message"))
	if err != nil {
		c.t.Fatalf("%v; standard error: %s", err, c.errs.String())
	}
	m, ok := pod.Decode(string(text))
	if !ok {
		c.t.Fatalf("the termination message is %q", text)
	}
	return cmd.ProcessState.ExitCode(), m
}

// waitForFile waits until the trial has made a file.
func (c *container) waitForFile(name string) {
	c.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if _, err := os.Stat(filepath.Join(c.dir, name)); err == nil {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	c.t.Fatalf("there is no %s; standard error: %s", name, c.errs.String())
}

func TestAPodRunsItsTrial(t *testing.T) {
	t.Parallel()
	c := newContainer(t, `
import os, sys
import metaml
print("loaded")
def fit(x):
    print("x is", x, "attempt", metaml.attempt())
    print("to standard error", file=sys.stderr)
    metaml.report(1, loss=x)
    (metaml.output() / "model").write_text("kept")
    return {"accuracy": x / 2}
`, 3)
	c.environ = []string{pod.IndexVariable + "=2", pod.FailuresVariable + "=1", pod.IgnoredVariable + "=1"}
	code, m := c.wait(c.start())
	if code != 0 || m.State != run.Succeeded || m.Trial != 2 || m.Attempt != 3 {
		t.Errorf("exit code %d, %+v; standard error: %s", code, m, c.errs.String())
	}
	if m.Metrics["accuracy"] != 1 || m.Metrics["loss"] != 2 {
		t.Errorf("metrics %v", m.Metrics)
	}
	if seed := (&run.Spec{Seed: new(int64(7))}).TrialSeed(2); m.Seed == nil || *m.Seed != seed {
		t.Errorf("the seed is %v, and not that of trial 2 anywhere, %d", m.Seed, seed)
	}
	if c.out.String() != "x is 2 attempt 3\n" || !strings.Contains(c.errs.String(), "to standard error\n") {
		t.Errorf("it printed %q and %q", c.out.String(), c.errs.String())
	}
	lock := folder.Run(filepath.Join(c.dir, "run")).PackageLock()
	if _, err := os.Lstat(lock); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its end waited for a list of packages that goes with the pod (%v)", err)
	}
}

func TestWhatGoesWithTheProgramIsWhereItWas(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"code/main.py": `
def fit(x):
    with open("data/x.csv") as f:
        print(f.read())
    with open("data/new", "w") as f:
        f.write("1")
`,
		"include/data/x.csv": "1,2",
	}
	for name, in := range map[string]func(c *container){
		"an object of the cluster": func(c *container) {
			c.write(filepath.Join("in", pod.ProgramName), packed.Files(t, files))
		},
		"the image": func(c *container) {
			c.write(filepath.Join("in", pod.ProgramName), packed.Files(t, nil))
			for name, text := range files {
				c.write(filepath.Join("image", name), []byte(text))
			}
			c.flags = []string{"--program", filepath.Join(c.dir, "image")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newContainer(t, "", 1)
			in(c)
			if code, m := c.wait(c.start()); code != 0 || c.out.String() != "1,2\n" {
				t.Errorf("exit code %d, %+v; it printed %q", code, m, c.out.String())
			}
		})
	}
}

// reports gives what a pod reported in its log, and what else is on its standard error.
func (c *container) reports() (metrics run.Metrics, rest string) {
	metrics = run.Metrics{}
	for line := range strings.Lines(c.errs.String()) {
		if e, ok := pod.ParseLine([]byte(line)); ok {
			maps.Copy(metrics, e.Metrics)
		} else {
			rest += line
		}
	}
	return metrics, rest
}

func TestAPodReportsInItsLog(t *testing.T) {
	t.Parallel()
	c := newContainer(t, `
import sys
import metaml
def fit(x):
    for i in range(200):
        metaml.report(i, loss=i)
        print(i, "%", sep="", end="\r", file=sys.stderr)
    print(file=sys.stderr)
    return {f"metric {i}": i for i in range(1000)}
`, 1)
	code, m := c.wait(c.start())
	metrics, rest := c.reports()
	if code != 0 || m.Metrics != nil || !m.Cut {
		t.Errorf("exit code %d, %+v", code, m)
	}
	if len(metrics) != 1001 || metrics["loss"] != 199 || metrics["metric 999"] != 999 {
		t.Errorf("%d metrics: %v", len(metrics), metrics)
	}
	if !strings.HasPrefix(rest, "0%\r1%\r") || !strings.HasSuffix(rest, "199%\r\n") {
		t.Errorf("beside its reports it printed %q", rest)
	}
}

func TestAPodNotesOtherVersionsOfPackages(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprint("strict ", strict), func(t *testing.T) {
			t.Parallel()
			c := newContainer(t, "def fit(x):\n    return x\n", 1)
			c.write(filepath.Join("in", pod.RequiresName), fmt.Appendf(nil,
				`{"packages": {"numpy": "0.1", "not-pip": "1"}, "modules": {"pip": "not-pip"}, "strict": %v}`, strict))
			code, m := c.wait(c.start())
			events, _ := lines(&c.errs)
			said := m.Text
			if len(events) > 0 {
				said = events[0].Text
			}
			want := map[bool]int{false: pod.ExitSucceeded, true: pod.ExitProgram}[strict]
			if code != want ||
				!strings.HasPrefix(said, "the image has another package in place of not-pip 1 and nump") {
				t.Errorf("exit code %d, %q; standard error: %s", code, said, c.errs.String())
			}
		})
	}
}

// digestOfOne is what the session says of the number 1 (jupyter-ext/python/metaml/_values/described.py).
const digestOfOne = "15d9d95be958dfcf278f926f"

// A value that came out otherwise than in the session is noted, and neither of the two is in the log.
func TestValuesAreComparedWithoutBeingSaid(t *testing.T) {
	t.Parallel()
	masked, err := ship.Masked([]byte(`{"v": 2, "values": {
		"token": {"type": "str", "digest": "0", "repr": "'of the session'", "visits": 32,
			"left_out": {"place": "cell 3, line 2", "statement": "token = 'of the session'"}},
		"same": {"type": "int", "digest": "`+digestOfOne+`", "repr": "1", "visits": 32}}}`), "key")
	if err != nil {
		t.Fatal(err)
	}
	c := newContainer(t, "", 1)
	c.write(filepath.Join("in", pod.ProgramName), packed.Files(t, map[string]string{
		"code/main.py": "import os\ntoken = 'of the pod'\nsame = 1\n" +
			"def fit(x):\n    print(os.environ.get('" + pod.ExpectedKeyVariable + "'))\n",
		"expected.json": string(masked),
	}))
	c.environ = append(c.environ, pod.ExpectedKeyVariable+"=key")
	code, _ := c.wait(c.start())
	events, _ := lines(bytes.NewBuffer(c.errs.Bytes()))
	const want = "`token` is another text here than in the notebook: cell 3, line 2 was left out"
	if code != 0 || len(events) != 1 || events[0].Text != want {
		t.Errorf("exit code %d, %+v", code, events)
	}
	if log := c.errs.String() + c.out.String(); strings.Contains(log, "of the") || c.out.String() != "None\n" {
		t.Errorf("the log is %q", log)
	}
}

// With --strict the same value ends the pod before the function is called, so that no other pod starts.
func TestStrictEndsAPodWhereAValueDiffers(t *testing.T) {
	t.Parallel()
	masked, err := ship.Masked([]byte(`{"v": 2, "values": {"x": {"type": "int", "digest": "0", "visits": 32}}}`), "key")
	if err != nil {
		t.Fatal(err)
	}
	c := newContainer(t, "", 1)
	path := filepath.Join(c.dir, "in", pod.SpecName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var spec run.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	spec.Strict = true
	if text, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	c.write(filepath.Join("in", pod.SpecName), text)
	c.write(filepath.Join("in", pod.ProgramName), packed.Files(t, map[string]string{
		"code/main.py": "x = 1\ndef fit(x):\n    print('called')\n", "expected.json": string(masked),
	}))
	c.environ = append(c.environ, pod.ExpectedKeyVariable+"=key")
	code, m := c.wait(c.start())
	const want = "`x` is another number here than in the notebook: something beside the cells"
	if code != pod.ExitProgram || m.Reason != run.ReasonDiffers || m.Error == nil ||
		!strings.HasPrefix(m.Error.Text, want) || strings.Contains(c.out.String(), "called") {
		t.Errorf("exit code %d, %+v, %q", code, m, c.out.String())
	}
}

func TestHowAPodEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, source string
		code         int
		state        run.Phase
		reason       run.Reason
		text         string // of the error, or of the message
	}{
		{"its code raises", "def fit(x):\n    raise ValueError('no')\n", 42, run.Failed, run.ReasonException, "no"},
		{"its code ends it", "def fit(x):\n    raise SystemExit(5)\n", 42, run.Failed, run.ReasonExit, "5"},
		{"the top level raises", "1 / 0\n", 44, run.Failed, run.ReasonProgram, "division by zero"},
		{
			"something kills it", "import os\ndef fit(x):\n    os.kill(os.getpid(), 9)\n",
			137, run.Failed, run.ReasonSignal,
			"ended by signal 9 (killed)",
		},
		{"a package is missing", "import nowhere\n", 44, run.Failed, run.ReasonProgram, "No module named 'nowhere'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newContainer(t, c.source, 2)
			code, m := p.wait(p.start())
			text := m.Text
			if m.Error != nil {
				text = m.Error.Text
			}
			if code != c.code || m.State != c.state || m.Reason != c.reason || text != c.text {
				t.Errorf("exit code %d, %+v, %q; standard error: %s", code, m, text, p.errs.String())
			}
		})
	}
}

const saves = `
import os, time
def fit(x):
    try:
        open(os.environ["HOME"] + "/started", "w").close()
        while True:
            time.sleep(0.01)
    finally:
        open(os.environ["HOME"] + "/asked", "w").close()
        time.sleep(0.2)
        open(os.environ["HOME"] + "/saved", "w").close()
`

func TestATrialSavesBeforeItsPodEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(c *container, cmd *exec.Cmd) error
		code int
	}{
		{
			"it is evicted", func(_ *container, cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) },
			pod.ExitEvicted,
		},
		{"a stop is requested", func(c *container, _ *exec.Cmd) error {
			c.write("annotations", []byte("a=\"b\"\n"+pod.StopAnnotation+"=\"\"\n"))
			return nil
		}, pod.ExitStopped},
		{"the run's stop names it", func(c *container, _ *exec.Cmd) error {
			c.write(filepath.Join("in", pod.StopName), []byte(`{"trials": [0]}`))
			return nil
		}, pod.ExitStopped},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newContainer(t, saves, 2)
			cmd := p.start()
			p.waitForFile("started")
			if err := c.end(p, cmd); err != nil {
				t.Fatal(err)
			}
			code, m := p.wait(cmd)
			if code != c.code || m.State != run.Stopped {
				t.Errorf("exit code %d, %+v", code, m)
			}
			p.waitForFile("saved")
		})
	}
}

func TestATrialThatIsToEndAtOnceGetsNoTime(t *testing.T) {
	t.Parallel()
	c := newContainer(t, strings.Replace(saves, "0.2", "60", 1), 2)
	cmd := c.start()
	c.waitForFile("started")
	c.write("annotations", []byte(pod.StopAnnotation+"=\"\"\n"))
	c.waitForFile("asked")
	c.write("annotations", []byte(pod.StopAnnotation+"=\"now\"\n"))
	if code, m := c.wait(cmd); code != pod.ExitStopped || m.State != run.Stopped {
		t.Errorf("exit code %d, %+v", code, m)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "saved")); err == nil {
		t.Error("it got the time to save")
	}
}

func TestNoFunctionBeginsAfterAStopWasAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, text string }{
		{"by the annotation", "annotations", pod.StopAnnotation + "=\"\"\n"},
		{"of the run", filepath.Join("in", pod.StopName), `{"all": true, "round": 2}`},
		{"of the trial", filepath.Join("in", pod.StopName), `{"trials": [5, 1]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newContainer(t, saves, 2)
			p.environ = []string{pod.IndexVariable + "=1", pod.RoundVariable + "=2"}
			p.write(c.file, []byte(c.text))
			code, m := p.wait(p.start())
			if code != pod.ExitStopped || m.State != run.Stopped || m.Trial != 1 || m.Text != errStopped.Error() {
				t.Errorf("exit code %d, %+v", code, m)
			}
			if _, err := os.Stat(filepath.Join(p.dir, "started")); err == nil {
				t.Error("the function began")
			}
		})
	}
}

func TestAPodOfAResumedRunGoesOn(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "import metaml\ndef fit(x):\n    print(x, metaml.attempt())\n", 3)
	c.environ = []string{pod.IndexVariable + "=0", pod.RoundVariable + "=2"}
	c.write(filepath.Join("in", pod.RowsName), []byte(`[{"trial": 2, "attempts": 3}]`))
	c.write(filepath.Join("in", pod.StopName), []byte(`{"all": true, "round": 1}`))
	code, m := c.wait(c.start())
	if code != 0 || m.Trial != 2 || m.Attempt != 4 || c.out.String() != "2 4\n" {
		t.Errorf("exit code %d, %+v, %q; standard error: %s", code, m, c.out.String(), c.errs.String())
	}
}

// A volume of Kubernetes shows files as links into a folder of their current version.
func TestAProgramComesInParts(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "def fit(x):\n    print('ran')\n", 1)
	in := filepath.Join(c.dir, "in")
	whole, err := os.ReadFile(filepath.Join(in, pod.ProgramName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(in, pod.ProgramName)); err != nil {
		t.Fatal(err)
	}
	for i, part := range [][]byte{whole[:10], whole[10:50], whole[50:]} {
		name := pod.ProgramPart(i)
		c.write(filepath.Join("in", "..data", name), part)
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(in, name)); err != nil {
			t.Fatal(err)
		}
	}
	if code, m := c.wait(c.start()); code != 0 || c.out.String() != "ran\n" {
		t.Errorf("exit code %d, %+v; standard error: %s", code, m, c.errs.String())
	}
}

func TestAPodThatCannotRunSaysWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(c *container)
		code   int
		text   string
	}{
		{
			"the image has no Python", func(c *container) { c.environ = append(c.environ, "PATH=/nowhere") }, 44,
			"the image has no Python: neither python3 nor python is on its PATH",
		},
		{
			"an index of another run", func(c *container) { c.environ = []string{pod.IndexVariable + "=9"} }, 44,
			`JOB_COMPLETION_INDEX is "9", and the run has trials 0 to 1`,
		},
		{
			"a program that is cut off",
			func(c *container) {
				whole := packed.Files(c.t, map[string]string{"code/main.py": strings.Repeat("x = 1\n", 9000)})
				c.write(filepath.Join("in", pod.ProgramName), whole[:len(whole)/2])
			}, 44, "of the program: unexpected EOF",
		},
		{
			"a named Python that is missing", func(c *container) { c.python = "/opt/python" }, 44,
			`the image has no Python "/opt/python", which --image-python names`,
		},
		{
			"rows of another run",
			func(c *container) { c.write(filepath.Join("in", pod.RowsName), []byte(`[{"trial": 7}]`)) }, 44,
			"row 0 of rows.json is trial 7, and the run has trials 0 to 1",
		},
		{
			"a damaged stop", func(c *container) { c.write(filepath.Join("in", pod.StopName), []byte("{")) }, 44,
			"read stop.json: unexpected end of JSON input",
		},
		{
			"an image without a package",
			func(c *container) {
				c.write(filepath.Join("in", pod.RequiresName),
					[]byte(`{"packages": {"no-such-thing": "1.2", "numpy": "0.1"}}`))
			}, 44, "the image lacks no-such-thing 1.2",
		},
		{
			"an image with another Python",
			func(c *container) { c.write(filepath.Join("in", pod.RequiresName), []byte(`{"python": "3.1"}`)) }, 44,
			" in place of 3.1",
		},
		{
			"a Python that is none", func(c *container) { c.python = "/bin/false" }, 44,
			`the image's Python "/bin/false" cannot be used: `,
		},
		{"an input that is missing", func(c *container) {
			if err := os.Remove(filepath.Join(c.dir, "in", pod.SpecName)); err != nil {
				c.t.Fatal(err)
			}
		}, 43, "read what is to run: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newContainer(t, "def fit(x):\n    pass\n", 2)
			c.change(p)
			code, m := p.wait(p.start())
			if code != c.code || !strings.Contains(m.Text, c.text) {
				t.Errorf("exit code %d, %q", code, m.Text)
			}
		})
	}
}
