//go:build linux

package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// The cluster's addresses. All of them are inside.
const (
	nodeName = "node"
	nodeIP   = "10.250.0.1"
	pods     = "10.244.0.0/16"
	nodePods = "10.244.0.0/24"
	services = "10.96.0.0/16"
	// firstService is the API server's address as pods know it.
	firstService = "10.96.0.1"
	// nameServer is slirp4netns's: it asks the ones of the machine.
	nameServer = "10.0.2.3"
)

// Folders below /var/lib that servers write to. They are in the run's folder.
var libs = []string{"etcd", "containerd", "kubelet", "cni", "buildkit", "registry"}

// hideHost puts the run's own folders where servers write without being asked: /run, /var/log and /var/lib.
func hideHost(folder string) error {
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount an own /run: %w", err)
	}
	made := []string{"/run/lock", "/run/host-lib"}
	// The command inside may keep sockets where the user's session has them.
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); strings.HasPrefix(runtime, "/run/") {
		made = append(made, runtime)
	}
	for _, path := range made {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
	}
	if err := bind("/var/lib", "/run/host-lib"); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount an own /var/lib: %w", err)
	}
	items, err := os.ReadDir("/run/host-lib")
	if err != nil {
		return err
	}
	for _, item := range items {
		// What is neither file nor folder, such as a link, is of no use to a server.
		if from := filepath.Join("/run/host-lib", item.Name()); item.IsDir() || item.Type().IsRegular() {
			if err := bind(from, filepath.Join("/var/lib", item.Name())); err != nil {
				return err
			}
		}
	}
	for _, name := range libs {
		own := filepath.Join(folder, "lib", name)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		if err := bind(own, filepath.Join("/var/lib", name)); err != nil {
			return err
		}
	}
	if err := bind(filepath.Join(folder, "log"), "/var/log"); err != nil {
		return err
	}
	const resolver = "/run/resolv.conf"
	if err := os.WriteFile(resolver, []byte("nameserver "+nameServer+"\n"), 0o644); err != nil {
		return err
	}
	// Where it is a link, it may point to a file of /run, which is hidden now.
	target, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		target, err = os.Readlink("/etc/resolv.conf")
		if err != nil {
			return fmt.Errorf("find the machine's resolv.conf: %w", err)
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join("/etc", target)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
	}
	return bind(resolver, target)
}

// bind shows a file or folder at another path as well, which is made if it is not there.
func bind(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else if file, failed := os.OpenFile(to, os.O_CREATE, 0o600); failed == nil {
		file.Close()
	} else {
		err = failed
	}
	if err != nil {
		return err
	}
	if err := syscall.Mount(from, to, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s at %s: %w", from, to, err)
	}
	return nil
}

// network sets up the node's interfaces, and waits for the one to the outside.
func network(ctx context.Context) error {
	for _, line := range []string{
		"link set lo up",
		// The node needs an address that is not the loopback's, else the API server cannot ask the kubelet for logs.
		"link add node0 type bridge",
		"addr add " + nodeIP + "/32 dev node0",
		"link set node0 up",
		// Nothing that is meant for a service or a pod ever leaves the machine, also before kube-proxy runs.
		"route add blackhole " + services,
		"route add blackhole " + pods,
	} {
		command := exec.CommandContext(ctx, "ip", strings.Fields(line)...)
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("let packets through to pods: %w", err)
	}
	return until(ctx, "the network to the outside is there", func(context.Context) error {
		outside, err := net.InterfaceByName("tap0")
		if err != nil {
			return err
		}
		addresses, err := outside.Addrs()
		if err == nil && len(addresses) == 0 {
			err = fmt.Errorf("tap0 has no address yet")
		}
		return err
	})
}
