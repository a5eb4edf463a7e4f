package solve

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/client/llb"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/metaml/metaml/deployer/image/builder"
)

// Folders that what is executed sees, and that are in no layer.
const (
	tools   = "/run/metaml"         // programs of ours
	uv      = "/run/metaml-uv"      // uv
	work    = "/run/metaml-work"    // what is resolved, and its result
	cache   = "/run/metaml-cache"   // uv's, which stays on the builder
	secrets = "/run/metaml-secrets" //nolint:gosec // a folder: files that variables name
	home    = "/run/metaml-home"    // of who executes, empty each time
)

//go:embed system.py
var systemProgram string

//go:embed install.py
var installProgram string

// localUV is the name under which the folder with uv is sent to the builder.
const localUV = "uv"

// graph is what an environment is made of.
type graph struct {
	b        *builder.Build
	platform ocispec.Platform
	env      []string // of the new image
	tools    llb.State
}

func newGraph(b *builder.Build) (*graph, error) {
	var config ocispec.Image
	if err := json.Unmarshal(b.Config, &config); err != nil {
		return nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	return &graph{
		b: b, platform: ocispec.Platform{OS: "linux", Architecture: b.Arch}, env: config.Config.Env,
		tools: llb.Scratch().File(
			llb.Mkfile("/system.py", 0o644, []byte(systemProgram)).
				Mkfile("/install.py", 0o644, []byte(installProgram)).
				Mkfile("/compile.py", 0o644, []byte(b.Compile)), llb.WithCustomName(quiet)),
	}, nil
}

// quiet is the name of what is done in no time, and not shown.
const quiet = "[internal] metaml"

// framed is the base, with packages of the system and the frame of the environment.
func (g *graph) framed() llb.State {
	root := llb.Image(g.b.Base, llb.Platform(g.platform), llb.WithCustomName(builder.StepBase))
	if len(g.b.System) > 0 {
		args := append([]string{g.b.Python, "-I", tools + "/system.py"}, g.b.System...)
		root = g.run(root, builder.StepSystem, args,
			llb.AddEnv("DEBIAN_FRONTEND", "noninteractive"),
			// What apt and dpkg leave beside packages differs each time.
			scratch("/var/lib/apt/lists"), scratch("/var/cache/apt"), scratch("/var/log"),
			scratch("/var/cache/ldconfig"), scratch("/var/cache/debconf"),
		).Root()
	}
	action := llb.Mkdir(g.b.Prefix, 0o755, llb.WithParents(true), epoch)
	for _, f := range g.b.Frame {
		if f.Folder {
			action = action.Mkdir(f.Path, fs.FileMode(f.Mode), llb.WithParents(true), epoch,
				llb.WithUIDGID(f.Owner, f.Owner))
			continue
		}
		action = action.Mkdir(path.Dir(f.Path), 0o755, llb.WithParents(true), epoch)
		if f.Link != "" {
			continue // install.py makes it
		}
		action = action.Mkfile(f.Path, fs.FileMode(f.Mode), f.Text, epoch, llb.WithUIDGID(f.Owner, f.Owner))
	}
	return root.File(action, llb.WithCustomName(builder.StepFrame))
}

// epoch is when all was made.
var epoch = llb.WithCreatedTime(time.Unix(0, 0))

func scratch(at string) llb.RunOption { return llb.AddMount(at, llb.Scratch(), llb.Tmpfs()) }

// resolved is a folder with the lock file, for arguments of uv beside those that are always there.
func (g *graph) resolved(more []string) llb.State {
	var action *llb.FileAction
	for _, name := range slices.Sorted(maps.Keys(g.b.Files)) {
		text := []byte(g.b.Files[name])
		if action == nil {
			action = llb.Mkfile("/"+name, 0o644, text, epoch)
			continue
		}
		action = action.Mkfile("/"+name, 0o644, text, epoch)
	}
	files := llb.Scratch().File(action, llb.WithCustomName(quiet))
	args := slices.Concat([]string{g.uv()}, g.b.Resolve, more)
	return g.run(g.framed(), builder.StepResolve, args, g.packaging(), llb.Dir(work),
		llb.AddEnv("VIRTUAL_ENV", "")).AddMount(work, files) // there is none yet
}

// environment is the new image, of what a lock file says.
func (g *graph) environment(lock []byte) llb.State {
	files := llb.Scratch().File(llb.Mkfile("/"+g.b.Lock, 0o644, lock, epoch), llb.WithCustomName(quiet))
	links := [][2]string{}
	for _, f := range g.b.Frame {
		if f.Link != "" {
			links = append(links, [2]string{f.Path, f.Link})
		}
	}
	text, _ := json.Marshal(links) // of strings
	args := []string{
		g.b.Python, "-I", tools + "/install.py", string(text), g.b.Packages, g.uv(), "pip", "sync", "--python",
		g.b.Prefix + "/bin/python", "--no-progress", "--color", "never", "--preview-features", "pylock",
		work + "/" + g.b.Lock,
	}
	root := g.run(g.framed(), builder.StepInstall, args, g.packaging(),
		llb.AddMount(work, files, llb.Readonly), llb.AddEnv("PYTHONHASHSEED", "0")).Root()
	for _, command := range g.b.After {
		root = g.run(root, builder.StepAfter+strings.Join(command, " "), command,
			llb.AddEnv("PYTHONDONTWRITEBYTECODE", "1")).Root()
	}
	return root
}

// run executes a command in an image, with the variables of the new one.
func (g *graph) run(root llb.State, name string, args []string, options ...llb.RunOption) llb.ExecState {
	state := llb.NewState(root.Output()).Platform(g.platform)
	for _, v := range g.env {
		key, value, _ := strings.Cut(v, "=")
		state = state.AddEnv(key, value)
	}
	all := []llb.RunOption{
		llb.Args(args), llb.WithCustomName(name), llb.AddEnv("HOME", home), scratch(home), scratch("/tmp"),
		llb.AddMount(tools, g.tools, llb.Readonly),
	}
	for _, key := range slices.Sorted(maps.Keys(g.b.Variables)) {
		all = append(all, llb.AddSecret(key, llb.SecretID(key), llb.SecretAsEnv(true)))
	}
	for _, key := range slices.Sorted(maps.Keys(g.b.Secrets)) {
		file := secrets + "/" + key
		all = append(all, llb.AddSecret(file, llb.SecretID(key), llb.SecretFileOpt(0, 0, 0o444)), llb.AddEnv(key, file))
	}
	if g.b.NoCache {
		all = append(all, llb.IgnoreCache)
	}
	return state.Run(append(all, options...)...)
}

func (g *graph) uv() string { return uv + "/" + filepath.Base(g.b.UV) }

// packaging is what uv needs.
func (g *graph) packaging() llb.RunOption {
	return runOptions{
		llb.AddMount(uv, llb.Local(localUV, llb.IncludePatterns([]string{filepath.Base(g.b.UV)}),
			llb.SharedKeyHint("metaml-uv"), llb.WithCustomName(builder.StepUV)), llb.Readonly),
		llb.AddMount(cache, llb.Scratch(), llb.AsPersistentCacheDir("metaml-uv-"+g.b.Arch, llb.CacheMountShared)),
		llb.AddEnv("UV_CACHE_DIR", cache), llb.AddEnv("UV_LINK_MODE", "copy"),
		llb.AddEnv("UV_PYTHON_DOWNLOADS", "never"), llb.AddEnv("UV_PYTHON", g.b.Python),
		// Compilers and archivers that write times take this one; archives cannot have an earlier one.
		llb.AddEnv("SOURCE_DATE_EPOCH", "315532800"),
	}
}

// runOptions are several as one.
type runOptions []llb.RunOption

// SetRunOption sets all of them.
func (all runOptions) SetRunOption(to *llb.ExecInfo) {
	for _, one := range all {
		one.SetRunOption(to)
	}
}
