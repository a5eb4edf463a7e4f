package parts

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is a Go module in test/cluster/modules. Its own program and its tools (`tool` lines of go.mod) are built.
// Kubernetes, etcd and BuildKit want different versions of the same dependencies, so each has a go.mod of its own.
type module struct {
	name string
	// own says that the module's root is a program, tools that go.mod names programs of others.
	own, tools bool
	// versioned is a dependency whose version is stamped into the programs, as Kubernetes' servers want it.
	versioned string
	// also are names under which the module's own program is called.
	also []string
	// extra makes other files beside the programs.
	extra func(ctx context.Context, sources, folder string) error
}

var modules = []module{
	{name: "pause", own: true},
	{name: "etcd", own: true},
	{
		name: "kubernetes", own: true, tools: true, versioned: "k8s.io/kubernetes",
		also: []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"},
	},
	{name: "tools", tools: true, extra: stages},
	{name: "kueue", own: true, extra: kueueKinds},
	{name: "metrics", tools: true},
	{name: "gateway", extra: gatewayKinds},
}

// modulesVersion changes when the code below makes other files from the same modules.
const modulesVersion = "1"

// module builds the programs of a module and gives their folder.
func (m maker) module(ctx context.Context, sources string, one module) (string, error) {
	key, err := contentKey([]string{sources}, modulesVersion)
	if err != nil {
		return "", err
	}
	return m.once(one.name, key, func(folder string) error {
		flags := "-s -w"
		if one.versioned != "" {
			version, err := goCommand(ctx, sources, "list", "-m", "-f", "{{.Version}}", one.versioned)
			if err != nil {
				return err
			}
			flags += stamp(version)
		}
		for _, build := range []struct {
			wanted bool
			target string
		}{{one.own, "."}, {one.tools, "tool"}} {
			if !build.wanted {
				continue
			}
			_, err := goCommand(ctx, sources, "build", "-trimpath", "-buildvcs=false", "-ldflags="+flags,
				"-o", folder+"/", build.target)
			if err != nil {
				return err
			}
		}
		for _, name := range one.also {
			if err := os.Symlink(one.name, filepath.Join(folder, name)); err != nil {
				return err
			}
		}
		if one.extra == nil {
			return nil
		}
		return one.extra(ctx, sources, folder)
	})
}

// stamp are the linker's flags that make Kubernetes know its version: without one, the kubelet and clients refuse.
func stamp(version string) string {
	const at = " -X k8s.io/component-base/version."
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return at + "gitVersion=" + version + at + "gitMajor=" + major + at + "gitMinor=" + minor
}

// stages writes what simulated nodes and pods do, as KWOK's module has it: nodes are ready at once, and a pod of a Job
// runs and succeeds at once.
func stages(ctx context.Context, sources, folder string) error {
	module, err := goCommand(ctx, sources, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
	if err != nil {
		return err
	}
	var all []string
	for _, kind := range []string{"node/fast", "node/heartbeat-with-lease", "pod/fast"} {
		// Without kustomization.yaml.
		files, err := filepath.Glob(filepath.Join(module, "kustomize/stage", kind, "[^k]*.yaml"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("no stages of %s in %s", kind, module)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			all = append(all, string(text))
		}
	}
	return os.WriteFile(filepath.Join(folder, "stages.yaml"), []byte(strings.Join(all, "\n---\n")), 0o600)
}

// kueueKinds writes the kinds of objects that Kueue brings, as its module has them.
func kueueKinds(ctx context.Context, sources, folder string) error {
	return kinds(ctx, sources, "sigs.k8s.io/kueue", "config/components/crd/bases/*.yaml",
		filepath.Join(folder, "kueue.yaml"))
}

// gatewayKinds writes the kinds of objects of the Gateway API as its module has them.
func gatewayKinds(ctx context.Context, sources, folder string) error {
	return kinds(ctx, sources, "sigs.k8s.io/gateway-api",
		"config/crd/standard/gateway.networking.k8s.io_[gh]*.yaml", filepath.Join(folder, "gateway.yaml"))
}

// kinds writes the kinds of objects that files of a module have into one file.
func kinds(ctx context.Context, sources, of, pattern, to string) error {
	if _, err := goCommand(ctx, sources, "mod", "download", of); err != nil {
		return err
	}
	module, err := goCommand(ctx, sources, "list", "-m", "-f", "{{.Dir}}", of)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(module, pattern))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no kinds of objects in %s", module)
	}
	var all []byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		all = append(append(all, text...), "\n---\n"...)
	}
	return os.WriteFile(to, all, 0o600)
}

// goCommand runs go in a module's folder and gives its output without the last line end.
func goCommand(ctx context.Context, folder string, args ...string) (string, error) {
	var out, failed bytes.Buffer
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = folder
	// Flags of the caller, such as -race or -mod, are not meant for the servers.
	command.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	command.Stdout, command.Stderr = &out, &failed
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", args[0], folder, err, tail(failed.Bytes(), 4000))
	}
	return strings.TrimRight(out.String(), "\n"), nil
}

// tail is the end of a text, at most so many bytes.
func tail(text []byte, size int) []byte {
	return bytes.TrimSpace(text[max(0, len(text)-size):])
}
