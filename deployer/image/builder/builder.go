// Package builder has a BuildKit make an environment in which something must be executed: source distributions,
// packages of the system, commands. BuildKit's client doubles the time in which metaml starts, so it is in a program of
// its own, metaml-build, which this package runs: a request goes to its standard input, and its standard output has
// lines of progress and at last a result.
//
// [Builder] is the door; [Find] says which builder people mean. The program is in deployer/image/builder/solve. It may
// import what everybody may.
package builder

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/metaml/metaml/internal/usererror"
)

// Builder is a BuildKit, and the program that speaks to it.
type Builder struct {
	Program string   // path of metaml-build
	Environ []string // of the session: where registries' logins are, how a cluster or a machine is reached
	Address Address
}

// Request is one line on the program's standard input. Whoever closes that gives the build up.
type Request struct {
	Address Address `json:"address"`
	Probe   bool    `json:"probe,omitempty"` // only say what builder it is
	Build   *Build  `json:"build,omitempty"`
}

// Build says what an environment is made of. Nothing of it is a secret but what is named so.
type Build struct {
	Arch       string          `json:"arch"`        // of Linux, as Go calls it
	Base       string          `json:"base"`        // image by digest, "registry.example/python@sha256:…"
	BaseConfig json.RawMessage `json:"base_config"` // its configuration as the registry has it
	Config     json.RawMessage `json:"config"`      // that of the new image, without its layers
	Python     string          `json:"python"`      // of the base: "/usr/local/bin/python3.11"
	Prefix     string          `json:"prefix"`      // where the environment is: "/opt/venv"
	Packages   string          `json:"packages"`    // and its packages: "/opt/venv/lib/python3.11/site-packages"
	Frame      []File          `json:"frame"`       // of the environment, beside its packages
	System     []string        `json:"system,omitempty"`
	After      [][]string      `json:"after,omitempty"` // commands that are executed at last
	// UV is a file of this machine, the program uv for the architecture.
	UV string `json:"uv"`
	// Resolve are uv's arguments that turn Files into Lock, both in the folder in which it is executed.
	Resolve []string `json:"resolve"`
	// Bound are arguments more, which leave out what is too new. Where uv fails with them it is asked without: some
	// indexes do not tell since when they have a file.
	Bound   []string          `json:"bound,omitempty"`
	Files   map[string]string `json:"files"`
	Lock    string            `json:"lock"`
	Compile string            `json:"compile"` // the program that compiles sources
	// Variables are those by which packages are found and loaded. Some have passwords: all are treated as secrets.
	Variables map[string]string `json:"variables,omitempty"`
	// Secrets are files that variables name, by the name of the variable.
	Secrets map[string][]byte `json:"secrets,omitempty"`
	Target  string            `json:"target,omitempty"`   // repository that gets the image
	Folder  string            `json:"folder,omitempty"`   // of this machine that gets it in its place, as an OCI layout
	Tree    string            `json:"tree,omitempty"`     // file that gets all files of the image in its place (tar)
	Plain   bool              `json:"plain,omitempty"`    // the repository is reached by http
	Zstd    bool              `json:"zstd,omitempty"`     // layers are compressed so, else by gzip
	NoCache bool              `json:"no_cache,omitempty"` // what was executed before is executed again
}

// File is one of the frame.
type File struct {
	Path   string `json:"path"` // with a slash before it
	Mode   int64  `json:"mode"`
	Link   string `json:"link,omitempty"`
	Folder bool   `json:"folder,omitempty"`
	Owner  int    `json:"owner,omitempty"`
	Text   []byte `json:"text,omitempty"`
}

// Answer is one line of the program's standard output: one of its fields.
type Answer struct {
	Step   *Step    `json:"step,omitempty"`
	Probe  *Probed  `json:"probe,omitempty"`
	Built  *Built   `json:"built,omitempty"`
	Failed *Failure `json:"failed,omitempty"`
}

// Step is how far something is that a builder does.
type Step struct {
	Name    string  `json:"name"`            // "load the base image"
	Done    int64   `json:"done,omitempty"`  // bytes
	All     int64   `json:"all,omitempty"`   // bytes; 0 is unknown
	Seconds float64 `json:"seconds"`         // since it began
	Ended   bool    `json:"ended,omitempty"` // it is over
}

// Elapsed is how long a step has taken so far.
func (s Step) Elapsed() time.Duration { return time.Duration(s.Seconds * float64(time.Second)) }

// Probed is what a builder says of itself.
type Probed struct {
	Version   string   `json:"version"`
	Platforms []string `json:"platforms"` // "linux/amd64"
}

// Built is an image.
type Built struct {
	Digest string `json:"digest"` // of its manifest, "sha256:…"
	Lock   []byte `json:"lock"`   // which packages it has
}

// Failure is why a build gave nothing.
type Failure struct {
	Step    string `json:"step,omitempty"` // in which something that was executed failed
	Message string `json:"message"`        // what the builder said
	Log     string `json:"log,omitempty"`  // the end of what the step wrote
	// Unreachable says that the builder did not answer, or no longer.
	Unreachable bool `json:"unreachable,omitempty"`
}

// The steps, as people read them.
const (
	StepBase    = "load the base image"
	StepSystem  = "install packages of the system"
	StepFrame   = "make the environment"
	StepUV      = "load uv"
	StepResolve = "resolve packages"
	StepInstall = "install packages"
	StepAfter   = "execute " // and a command
	StepPush    = "send the image"
)

// patience is how long the program may take to end when nobody wants its answer any more.
const patience = 10 * time.Second

// Probe asks the builder what it is.
func (b *Builder) Probe(ctx context.Context) (*Probed, error) {
	last, err := b.run(ctx, Request{Address: b.Address, Probe: true}, func(Step) {})
	if err != nil {
		return nil, err
	}
	if last.Probe == nil {
		return nil, errors.New("the program metaml-build did not say what builder it found")
	}
	return last.Probe, nil
}

// Build makes an image, which is in the repository then, without a tag. step is called as it goes on, never twice at
// the same time.
func (b *Builder) Build(ctx context.Context, build Build, step func(Step)) (*Built, error) {
	last, err := b.run(ctx, Request{Address: b.Address, Build: &build}, step)
	if err != nil {
		return nil, err
	}
	if last.Built == nil {
		return nil, errors.New("the program metaml-build did not say what it made")
	}
	return last.Built, nil
}

// run runs the program, and gives its last line.
func (b *Builder) run(ctx context.Context, request Request, step func(Step)) (*Answer, error) {
	line, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("ask for an image: %w", err)
	}
	command := exec.CommandContext(ctx, b.Program)
	command.Env = b.Environ
	var failed bytes.Buffer
	command.Stderr = &failed
	in, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start metaml-build: %w", err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start metaml-build: %w", err)
	}
	// It ends what it began when its input is closed.
	command.Cancel, command.WaitDelay = in.Close, patience
	if err := command.Start(); err != nil {
		return nil, usererror.Wrap(err, usererror.CodeAgent, fmt.Sprintf("%s cannot be executed: %v", b.Program,
			usererror.SystemReason(err)), "Install MetaML again: its programs belong into one folder.")
	}
	_, _ = in.Write(append(line, '\n')) // where nobody reads, it has ended, and its last words say why
	last, readErr := answers(out, step)
	closeErr := in.Close() // whoever was cancelled has closed it
	waitErr := command.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if last != nil && last.Failed != nil {
		return nil, b.explain(last.Failed)
	}
	if err := errors.Join(readErr, waitErr); err != nil || last == nil {
		return nil, fmt.Errorf("have metaml-build make an image: %w: %s",
			errors.Join(err, closeErr), strings.TrimSpace(failed.String()))
	}
	return last, nil
}

// maxLine of what the program writes, in bytes; a lock file is the largest.
const maxLine = 16 << 20

// answers reads lines up to the end, and gives the last that is no progress.
func answers(from io.Reader, step func(Step)) (last *Answer, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var answer Answer
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			return nil, fmt.Errorf("read what it says: %w", err)
		}
		if answer.Step != nil {
			step(*answer.Step)
			continue
		}
		last = &answer
	}
	return last, lines.Err()
}
