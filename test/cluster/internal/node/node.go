//go:build linux

// Package node is a whole Kubernetes on one node, inside a sandbox: etcd, the API server, the controllers, the
// scheduler, a kubelet with containerd, and kube-proxy, with a registry and BuildKit beside them. [Run] starts a
// sandbox from outside; in there [Inside] starts the servers, in about three seconds, and a command, and answers
// requests of package inside to kill servers and to start them again. It may import the packages beside it and the
// standard library.
package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/metaml/metaml/test/cluster/internal/inside"
	"github.com/metaml/metaml/test/cluster/internal/parts"
	"github.com/metaml/metaml/test/cluster/internal/sandbox"
)

// job is what the inside gets.
type job struct {
	Parts parts.Parts
	// Simulated is the number of nodes that KWOK plays.
	Simulated int
	Command   []string
	// Unpack is a folder that is to be filled with the images as containerd has them; nothing else is done then.
	Unpack string
}

// The whole start may take so long on a busy machine; at rest it is three seconds.
const startLimit = 2 * time.Minute

// Run runs a command in a new cluster of these parts, with this process's streams, and gives its exit code. Nothing of
// the cluster is left then but its logs, in the folder log of the cache.
func Run(ctx context.Context, from parts.Parts, simulated int, command []string) (int, error) {
	for _, folder := range sandbox.Left(filepath.Join(from.Cache, "run-*")) {
		if err := sandbox.Clean(folder, ""); err != nil {
			return 0, fmt.Errorf("remove what a killed cluster left: %w", err)
		}
	}
	return inSandbox(ctx, job{Parts: from, Simulated: simulated, Command: command})
}

func inSandbox(ctx context.Context, what job) (int, error) {
	given, err := json.Marshal(what)
	if err != nil {
		return 0, err
	}
	cache := what.Parts.Cache
	folder, err := os.MkdirTemp(cache, "run-")
	if err != nil {
		return 0, fmt.Errorf("make the cluster's folder: %w", err)
	}
	return sandbox.Run(ctx, sandbox.Box{Folder: folder, Log: filepath.Join(cache, "log"), Inside: given})
}

// Inside is what runs in the sandbox: it starts everything and runs the command.
func Inside(ctx context.Context, folder string, given json.RawMessage) int {
	var job job
	if err := json.Unmarshal(given, &job); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: read what to run: %v\n", err)
		return 1
	}
	code, err := start(ctx, folder, job)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		return 1
	}
	return code
}

func start(ctx context.Context, folder string, job job) (int, error) {
	began := time.Now()
	group := sandbox.Group(folder)
	if err := sandbox.MakeGroups(group); err != nil {
		return 0, err
	}
	if err := seedImages(filepath.Join(folder, "lib/containerd"), job.Parts.Unpacked); err != nil {
		return 0, fmt.Errorf("let containerd have the images: %w", err)
	}
	if err := hideHost(folder); err != nil {
		return 0, err
	}
	if err := os.Setenv("PATH", job.Parts.Bins+":"+os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return 0, err
	}
	here := inside.Cluster{Folder: inside.Folder}
	users, err := writeConfiguration(here, group)
	if err != nil {
		return 0, fmt.Errorf("write the servers' configuration: %w", err)
	}
	limited, stop := context.WithTimeout(ctx, startLimit)
	defer stop()
	if err := network(limited); err != nil {
		return 0, err
	}
	supervisor := newSupervisor(servers(here, users.admin, job.Parts))
	if job.Unpack != "" {
		return 0, unpack(limited, supervisor, job, filepath.Join(folder, "lib/containerd"))
	}
	if err := bringUp(limited, supervisor, job.Parts.Images, users.admin); err != nil {
		return 0, err
	}
	closeControl, err := control(ctx, here.Socket(), supervisor)
	if err != nil {
		return 0, err
	}
	defer closeControl()
	if job.Simulated > 0 {
		if err := here.Simulate(limited, job.Simulated); err != nil {
			return 0, err
		}
	}
	fmt.Fprintf(os.Stderr, "cluster: ready after %.1f s\n", time.Since(began).Seconds())
	code, err := command(ctx, here, job.Command)
	for _, text := range supervisor.unexpected() {
		fmt.Fprintf(os.Stderr, "cluster: %s\n", text)
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "cluster: the servers' logs are in %s\n", filepath.Join(job.Parts.Cache, "log"))
	}
	return code, err
}

// bringUp starts the servers in an order in which none has to wait and try again, and waits until a pod can run.
func bringUp(ctx context.Context, supervisor *supervisor, images parts.Images, admin user) error {
	for _, name := range []string{"etcd", "registry", "containerd", "buildkitd", "kube-apiserver"} {
		if err := supervisor.launch(name); err != nil {
			return err
		}
	}
	if err := supervisor.await(ctx, "registry"); err != nil {
		return err
	}
	if err := serveImages(ctx, images); err != nil {
		return err
	}
	for _, name := range []string{"containerd", "kube-apiserver"} {
		if err := supervisor.await(ctx, name); err != nil {
			return err
		}
	}
	rest := []string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"}
	for _, name := range rest {
		if err := supervisor.launch(name); err != nil {
			return err
		}
	}
	for _, name := range append(rest, "buildkitd") {
		if err := supervisor.await(ctx, name); err != nil {
			return err
		}
	}
	// A pod needs the account that a controller makes in each namespace.
	return until(ctx, "the cluster is ready for pods", func(ctx context.Context) error {
		return admin.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

// command runs what the user wants to have run.
func command(ctx context.Context, here inside.Cluster, args []string) (int, error) {
	process := exec.Command(args[0], args[1:]...) //nolint:noctx // it gets SIGTERM, and ends with the namespaces
	process.Env = append(os.Environ(), "KUBECONFIG="+here.Kubeconfig(inside.Admin), inside.Variable+"="+here.Folder,
		"KUBECACHEDIR="+filepath.Join(here.Folder, "kubectl")) // kubectl leaves nothing in the home folder
	process.Stdin, process.Stdout, process.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := process.Start(); err != nil {
		return 0, fmt.Errorf("start %q in the cluster: %w", strings.Join(args, " "), err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	over := ctx.Done()
	for {
		select {
		case err := <-ended:
			if _, is := errors.AsType[*exec.ExitError](err); is {
				err = nil
			}
			if status, is := process.ProcessState.Sys().(syscall.WaitStatus); is && status.Signaled() {
				return 128 + int(status.Signal()), err
			}
			return process.ProcessState.ExitCode(), err
		case <-over:
			_ = process.Process.Signal(syscall.SIGTERM) // it may have ended
			over = nil
		}
	}
}

// until tries something again and again until it works.
func until(ctx context.Context, what string, try func(context.Context) error) error {
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, errors.Join(context.Cause(ctx), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
