// Package resolve turns requirements into the wheels that an image for another platform gets, by uv: nothing of that
// platform is executed, and nothing is built. The list it gives is a lock file of PEP 751 (pylock.toml), which names
// each wheel by its address and its digest.
//
// [Resolver] is the door. It may import what everybody may.
package resolve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/internal/environ"
	"github.com/metaml/metaml/internal/usererror"
)

// Input is what is resolved.
type Input struct {
	Requirements string // a requirements.txt: what must be there
	Constraints  string // another: which versions, where something is there
	Python       string // "3.11"
	Arch         string // of Linux, as Go calls it: "amd64"
	// Newest leaves out what the index got later, where it tells when. The zero time is no limit.
	Newest time.Time
}

// Resolver asks uv.
type Resolver struct {
	UV      string   // path of the program
	Environ []string // of the session, as os.Environ gives it: indexes, proxies and certificates that people use there
}

// platforms are those for which wheels are taken, as uv calls them: what Debian 10 and its contemporaries can load
// (PEP 600).
var platforms = map[string]string{"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}

// Resolve gives the wheels. It asks the package indexes that the environment names.
func (r *Resolver) Resolve(ctx context.Context, in Input) (*Locked, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "metaml-resolve-")
	if err != nil {
		return nil, fmt.Errorf("resolve packages: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	for name, text := range in.Files() {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("resolve packages: %w", err)
		}
	}
	command := exec.CommandContext(ctx, r.UV, in.Arguments(false)...)
	command.Dir, command.Env = folder, Environment(r.Environ)
	var failed bytes.Buffer
	command.Stderr = &failed
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, r.explain(err, failed.String())
	}
	text, err := os.ReadFile(filepath.Join(folder, LockName))
	if err != nil {
		return nil, fmt.Errorf("resolve packages: %w", err)
	}
	locked, err := Parse(text, in.Python)
	if err == nil && len(locked.Sources) > 0 {
		return nil, withoutWheel(nil, locked.Sources[0].Name+" "+locked.Sources[0].Version)
	}
	return locked, err
}

// The files that uv reads and writes.
const (
	requirementsName = "requirements.txt"
	constraintsName  = "constraints.txt"
	// LockName is the file that uv writes.
	LockName = "pylock.toml"
)

// Check refuses what nothing can be resolved for.
func (in Input) Check() error {
	if platforms[in.Arch] == "" {
		return usererror.New(usererror.CodeResolve,
			"no packages can be found for linux/%s, only for amd64 and arm64", in.Arch)
	}
	return nil
}

// Files are those that uv reads, by their names in the folder in which it is executed.
func (in Input) Files() map[string]string {
	return map[string]string{requirementsName: in.Requirements, constraintsName: in.Constraints}
}

// Arguments are those of uv. Where it is executed on the platform itself it may build what has no wheel: some packages
// say only then what they require.
func (in Input) Arguments(mayBuild bool) []string {
	args := []string{
		"pip", "compile", requirementsName, "--constraints", constraintsName, "--python-version", in.Python,
		"--python-platform", platforms[in.Arch], "--format", "pylock.toml", "--output-file", LockName,
		"--no-header", "--no-progress", "--quiet", "--color", "never",
	}
	if !mayBuild {
		args = append(args, "--no-build")
	}
	if !in.Newest.IsZero() {
		args = append(args, "--exclude-newer", in.Newest.UTC().Format(time.RFC3339))
	}
	return args
}

// withoutWheel refuses a package that would have to be built.
func withoutWheel(cause error, which string) error {
	return usererror.Wrap(cause, usererror.CodeResolve, "a package has no wheel for the image: "+which,
		"Name a BuildKit that builds it, --builder ADDRESS, or an image that has it, --image IMAGE.")
}

// Environment is what uv gets: it reads no variables of pip, which people may have set in its place.
func Environment(of []string) []string {
	env := slices.Clone(of)
	for _, pair := range [][2]string{
		{"PIP_INDEX_URL", "UV_DEFAULT_INDEX"},
		{"PIP_EXTRA_INDEX_URL", "UV_INDEX"},
		{"PIP_FIND_LINKS", "UV_FIND_LINKS"},
		{"PIP_CERT", "SSL_CERT_FILE"},
		{"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}, // the first that there is
	} {
		if is := environ.Get(env, pair[0]); is != "" && environ.Get(env, pair[1]) == "" {
			env = append(env, pair[1]+"="+is)
		}
	}
	return env
}

// explain puts into words why uv gave nothing. It writes "error: …" and below it lines of "cause: …".
func (r *Resolver) explain(err error, stderr string) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return usererror.Wrap(err, usererror.CodeUV, fmt.Sprintf("uv is not at %s", r.UV), "")
	}
	var says []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		for _, prefix := range []string{"error: ", "cause: "} {
			if text, is := strings.CutPrefix(line, prefix); is {
				says = append(says, strings.TrimSuffix(text, "."))
			}
		}
	}
	if len(says) == 0 {
		return fmt.Errorf("resolve packages with %s: %w: %s", r.UV, err, strings.TrimSpace(stderr))
	}
	last := says[len(says)-1]
	// "Because A, we can conclude that B": A is what people can change.
	reason, _, _ := strings.Cut(strings.TrimPrefix(last, "Because "), ", we can conclude")
	switch {
	case strings.Contains(last, "no usable wheels"), strings.Contains(last, "no wheels with a matching"):
		return withoutWheel(err, reason)
	case strings.Contains(stderr, "No solution found"):
		return usererror.Wrap(err, usererror.CodeResolve, "the packages cannot be had together: "+reason,
			"Install versions that can, and run the cell again; or name an image: --image IMAGE.")
	case strings.Contains(stderr, "Failed to fetch"), strings.Contains(stderr, "Request failed"):
		at := says[0]
		for _, one := range says {
			if address, is := strings.CutPrefix(one, "Failed to fetch: "); is {
				at = address
			}
		}
		return usererror.Wrap(
			err,
			usererror.CodeIndex,
			fmt.Sprintf("the package index does not answer: %s: %s", at, last),
			"Check the network, or name an image that has the packages: --image IMAGE.",
		)
	}
	return usererror.Wrap(err, usererror.CodeResolve, "uv cannot resolve the packages: "+strings.Join(says, ": "), "")
}
