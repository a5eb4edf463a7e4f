// Package resolve turns requirements into the wheels that an image for another platform gets, by uv: nothing of that
// platform is executed, and nothing is built. The list it gives is a lock file of PEP 751 (pylock.toml), which names
// each wheel by its address and its digest.
//
// [Resolver] is the door. It may import what everybody may.
package resolve

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/internal/distribution"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Input is what is resolved: requirements, or a list that was resolved before.
type Input struct {
	Requirements string // a requirements.txt: what must be there
	Constraints  string // another: which versions, where something is there
	Pylock       string // pylock.toml for any platform, in place of the requirements
	UVLock       string // uv.lock, in place of the requirements
	Project      string // pyproject.toml that belongs to it
	// Hashes are the only files that may be taken, "sha256:…" by the name of the package; nil allows all.
	Hashes map[string][]string

	// Sources says that packages of a list that was resolved before may be source distributions: somebody builds them.
	Sources bool

	Python      string // "3.11"
	Interpreter string // path of one of this version; it is asked for its version alone. Pylock and UVLock need one
	Arch        string // of Linux, as Go calls it: "amd64"
	// Newest leaves out what the index got later, where it tells when. The zero time is no limit.
	Newest time.Time
}

// Resolver asks uv.
type Resolver struct {
	UV string // path of the program
	// Environ is the environment that uv gets: indexes, proxies and certificates (see deployer/image/indexes).
	Environ []string
}

// platforms are those for which wheels are taken, as uv calls them: what Debian 10 and its contemporaries can load
// (PEP 600).
var platforms = map[string]string{"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}

// Resolve gives the wheels. It asks the package indexes that the environment names; for a list that was resolved before
// it asks none.
func (r *Resolver) Resolve(ctx context.Context, in Input) (*Locked, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "metaml-resolve-")
	if err != nil {
		return nil, fmt.Errorf("resolve packages: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if in.Pylock != "" || in.UVLock != "" {
		return r.choose(ctx, folder, in)
	}
	return r.compile(ctx, folder, in)
}

// compile has uv resolve requirements for the platform.
func (r *Resolver) compile(ctx context.Context, folder string, in Input) (*Locked, error) {
	for name, text := range in.Files() {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("resolve packages: %w", err)
		}
	}
	undated, said, err := r.bounded(ctx, folder, in)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(folder, LockName))
	if err != nil {
		return nil, fmt.Errorf("resolve packages: %w", err)
	}
	locked, err := parse(text, in, nil)
	if err != nil {
		return nil, err
	}
	locked.Notes = append(yanked(said), undated...)
	return locked, locked.whole(in)
}

// bounded asks uv for what is not newer than the input allows. Of packages of which the index does not tell when it got
// them the newest are taken, which the notes say.
func (r *Resolver) bounded(
	ctx context.Context, folder string, in Input,
) (notes []string, said string, err error) {
	args := in.Arguments(false)
	if in.Interpreter != "" {
		// Else uv looks for one on the PATH: it asks a shim of pyenv anew in each folder, which takes 0.2 s.
		args = append(args, "--python", in.Interpreter)
	}
	if in.Newest.IsZero() {
		said, err = r.ask(ctx, folder, args...)
		return nil, said, err
	}
	bound := slices.Concat(args, []string{"--exclude-newer", in.Newest.UTC().Format(time.RFC3339)})
	var open []string // packages without a bound
	for {
		said, err = r.ask(ctx, folder, bound...)
		before := len(open)
		if err == nil {
			break
		}
		if strings.Contains(said, "unexpected argument") || strings.Contains(said, "invalid value") {
			// It is too old to know the options.
			said, err = r.ask(ctx, folder, args...)
			return []string{"this uv cannot leave out versions newer than the session's: the newest of packages " +
				"that the session does not have were taken"}, said, err
		}
		for _, name := range withoutTime(said, in) {
			if !slices.Contains(open, name) {
				open = append(open, name)
				bound = append(bound, "--exclude-newer-package", name+"=false")
			}
		}
		if len(open) == before {
			return nil, said, err
		}
	}
	// Which version of those that are pinned is taken is not open, whenever the index got it.
	open = slices.DeleteFunc(open, func(name string) bool { return pinned(in, name) })
	if len(open) > 0 {
		slices.Sort(open)
		notes = []string{fmt.Sprintf("the package index does not say since when it has %s: the newest were taken",
			prose.List(open))}
	}
	return notes, said, nil
}

var (
	// undatedFile is a file of which an index does not tell when it got it.
	undatedFile = regexp.MustCompile("`([A-Za-z0-9._]+)-[^`]*` is missing an upload date")
	// tooNew is a package of which all files that could be taken were left out.
	tooNew = regexp.MustCompile("`([A-Za-z0-9._-]+)` was filtered by `exclude-newer`")
	// yankedFile is a version that was taken back.
	yankedFile = regexp.MustCompile("`([A-Za-z0-9._-]+)==([^`]+)` is yanked(?: \\(reason: \"(.*)\"\\))?")
)

// withoutTime gives the packages to which no bound can be applied: those without times, and those in the very version
// that the session has, which an index got later that fetches from another.
func withoutTime(said string, in Input) (names []string) {
	for _, m := range undatedFile.FindAllStringSubmatch(said, -1) {
		names = append(names, distribution.Normalize(m[1]))
	}
	for _, m := range tooNew.FindAllStringSubmatch(said, -1) {
		if name := distribution.Normalize(m[1]); pinned(in, name) {
			names = append(names, name)
		}
	}
	return names
}

// pinned reports whether one version of a package is asked for.
func pinned(in Input, name string) bool {
	for line := range strings.Lines(in.Requirements + "\n" + in.Constraints) {
		is, _, exact := strings.Cut(line, "==")
		if exact && distribution.Normalize(strings.TrimSpace(is)) == name {
			return true
		}
	}
	return false
}

// yanked gives a note for each version that was taken back, and is taken nevertheless: somebody asks for that one.
func yanked(said string) (notes []string) {
	for _, m := range yankedFile.FindAllStringSubmatch(said, -1) {
		note := fmt.Sprintf("%s %s is yanked, and taken because this version is asked for", m[1], m[2])
		if m[3] != "" {
			note += ": " + m[3]
		}
		notes = append(notes, note)
	}
	return notes
}

// ask starts uv in a folder and gives what it says.
func (r *Resolver) ask(ctx context.Context, folder string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, r.UV, args...)
	command.Dir, command.Env = folder, r.Environ
	var said bytes.Buffer
	command.Stderr = &said
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return said.String(), r.explain(err, said.String())
	}
	return said.String(), nil
}

// choose takes what an environment on the platform has of a list for any.
func (r *Resolver) choose(ctx context.Context, folder string, in Input) (*Locked, error) {
	list := filepath.Join(folder, LockName)
	text := []byte(in.Pylock)
	if in.UVLock != "" {
		for name, text := range map[string]string{"uv.lock": in.UVLock, "pyproject.toml": in.Project} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				return nil, fmt.Errorf("resolve packages: %w", err)
			}
		}
		if _, err := r.ask(ctx, folder, "export", "--frozen", "--format", LockName, "--output-file", list,
			"--no-dev", "--no-emit-workspace", "--no-header", "--quiet", "--color", "never", "--offline",
			"--python", in.Interpreter); err != nil {
			return nil, err
		}
		var err error
		if text, err = os.ReadFile(list); err != nil {
			return nil, fmt.Errorf("resolve packages: %w", err)
		}
	} else if err := os.WriteFile(list, text, 0o600); err != nil {
		return nil, fmt.Errorf("resolve packages: %w", err)
	}
	args := []string{"pip", "sync", LockName, "--dry-run", "--offline"}
	if !in.Sources {
		args = append(args, "--no-build")
	}
	said, err := r.ask(ctx, folder, append(args,
		"--target", filepath.Join(folder, "nothing"), "--python", in.Interpreter, "--python-version", in.Python,
		"--python-platform", platforms[in.Arch], "--no-progress", "--color", "never")...)
	if err != nil {
		return nil, err
	}
	wanted := map[string]string{}
	for line := range strings.Lines(said) {
		if name, version, is := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "+ "), "=="); is &&
			strings.HasPrefix(strings.TrimSpace(line), "+ ") {
			version, _, _ = strings.Cut(version, " ")
			wanted[distribution.Normalize(name)] = version
		} else if name, _, is := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "+ "), " @ "); is {
			wanted[distribution.Normalize(name)] = ""
		}
	}
	locked, err := parse(text, in, func(name, version string) bool {
		is, wants := wanted[distribution.Normalize(name)]
		return wants && (is == "" || version == "" || is == version)
	})
	if err != nil {
		return nil, err
	}
	return locked, locked.whole(in)
}

// whole refuses a list in which a package has no wheel.
func (l *Locked) whole(in Input) error {
	if len(l.Sources) == 0 || in.Sources {
		return nil
	}
	return withoutWheel(nil, fmt.Sprintf("%s %s, for Python %s on linux/%s", l.Sources[0].Name, l.Sources[0].Version,
		in.Python, in.Arch))
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
		"--no-header", "--no-progress", "--color", "never",
	}
	if !mayBuild {
		args = append(args, "--no-build")
	}
	return args
}

// withoutWheel refuses a package that would have to be built.
func withoutWheel(cause error, which string) error {
	return usererror.Wrap(cause, usererror.CodeResolve, "a package has no wheel for the image: "+which,
		"Name a BuildKit that builds it, --builder ADDRESS, or an image that has it, --image IMAGE.")
}

// explain puts into words why uv gave nothing.
func (r *Resolver) explain(err error, stderr string) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return usererror.Wrap(err, usererror.CodeUV, fmt.Sprintf("uv is not at %s", r.UV), "")
	}
	return Explain(err, stderr)
}

// Explain puts into words what uv has written: "error: …" and below it lines of "cause: …".
func Explain(err error, stderr string) error {
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
		return fmt.Errorf("resolve packages with uv: %w: %s", err, strings.TrimSpace(stderr))
	}
	last := says[len(says)-1]
	// "Because A, we can conclude that B": A is what people can change.
	reason, _, _ := strings.Cut(strings.TrimPrefix(last, "Because "), ", we can conclude")
	if m := refusing.FindStringSubmatch(stderr); m != nil {
		return usererror.Wrap(err, usererror.CodeIndex, fmt.Sprintf("package index %s does not let you: %s",
			m[1], cmp.Or(m[2], m[3])), "Put the login into ~/.netrc or into the index's address, and check that.")
	}
	switch {
	case strings.Contains(stderr, "no usable wheels"), strings.Contains(stderr, "no wheels with a matching"),
		strings.Contains(last, "no binary distribution"):
		return withoutWheel(err, reason)
	case strings.Contains(last, "Python requirement"):
		return usererror.Wrap(err, usererror.CodeRequirements, "the file of requirements is for another Python: "+last,
			"Lock it for the Python of this session.")
	case strings.Contains(stderr, "No solution found"):
		hint := "Install versions that can, and run the cell again; or name an image: --image IMAGE."
		if strings.Contains(reason, "not found in") {
			hint = "Check the name; --index URL names a package index that has it; or name an image: --image IMAGE."
		}
		return usererror.Wrap(err, usererror.CodeResolve, "the packages cannot be had together: "+reason, hint)
	case strings.Contains(stderr, "No space left on device"):
		return usererror.Wrap(err, usererror.CodeDiskFull, "uv cannot resolve the packages: the disk is full",
			"Make room, and run it again.")
	case strings.Contains(stderr, "Failed to fetch"), strings.Contains(stderr, "Request failed"):
		at := says[0]
		for _, one := range says {
			if address, is := strings.CutPrefix(one, "Failed to fetch: "); is {
				at = strings.Trim(address, "`")
			}
		}
		hint := "Check the network, or name an image that has the packages: --image IMAGE."
		if strings.Contains(last, "peer certificate") {
			hint = "Name the certificate authority of the index: cert in pip.conf, or the variable SSL_CERT_FILE."
		}
		return usererror.Wrap(
			err,
			usererror.CodeIndex,
			fmt.Sprintf("the package index does not answer: %s: %s", at, last),
			hint,
		)
	}
	return usererror.Wrap(err, usererror.CodeResolve, "uv cannot resolve the packages: "+strings.Join(says, ": "), "")
}

// refusing is what uv hints at where an index refuses: its address, and the status.
var refusing = regexp.MustCompile(`An index(?: URL)? \((\S+)\) (?:could not be queried due to .*\((40\d [A-Za-z]+)\)|` +
	`returned a (40\d [A-Za-z]+) error)`)
