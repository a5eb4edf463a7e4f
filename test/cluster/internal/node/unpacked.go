//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/metaml/metaml/test/cluster/internal/parts"
)

// Where containerd keeps what its databases name, below its folder.
const (
	contentFolder   = "io.containerd.content.v1.content/blobs/"
	snapshotsFolder = "io.containerd.snapshotter.v1.overlayfs/snapshots/"
	// ingestFolder is for downloads that are not complete.
	ingestFolder = "io.containerd.content.v1.content/ingest"
)

// Unpack pulls the images once with containerd, in a sandbox with a registry, and puts its folder into another one.
func Unpack(ctx context.Context, from parts.Parts, folder string) error {
	code, err := inSandbox(ctx, job{Parts: from, Unpack: folder})
	if err == nil && code != 0 {
		err = errors.New("containerd could not pull them")
	}
	return err
}

// unpack is the inside of Unpack. Root is containerd's folder as it is named outside.
func unpack(ctx context.Context, supervisor *supervisor, job job, root string) error {
	for _, name := range []string{"registry", "containerd"} {
		if err := supervisor.launch(name); err != nil {
			return err
		}
		if err := supervisor.await(ctx, name); err != nil {
			return err
		}
	}
	if err := serveImages(ctx, job.Parts.Images); err != nil {
		return err
	}
	all, err := job.Parts.Images.List()
	if err != nil {
		return err
	}
	for _, one := range all {
		pull := exec.CommandContext(ctx, "ctr", "--namespace=k8s.io", "images", "pull", "--plain-http",
			registryAddress+"/"+one.Name)
		if out, err := pull.CombinedOutput(); err != nil {
			return fmt.Errorf("pull %s: %w\n%s", one.Name, err, out)
		}
	}
	// It writes its databases when it ends.
	if err := supervisor.signal("containerd", syscall.SIGTERM); err != nil {
		return err
	}
	return os.Rename(root, filepath.Join(job.Unpack, "containerd"))
}

// seedImages lets a new folder of containerd have the unpacked images without copying them: the content of snapshots
// is shown there, content that was downloaded gets a second name, and only the databases are copied.
func seedImages(root, unpacked string) error {
	if unpacked == "" {
		return nil
	}
	from := filepath.Join(unpacked, "containerd")
	return filepath.WalkDir(from, func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(root, name)
		switch {
		case strings.HasPrefix(name, snapshotsFolder):
			if err := bind(path, to); err != nil {
				return err
			}
			// All clusters share it: whoever removes the image here does not remove it there.
			if err := syscall.Mount("", to, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				return fmt.Errorf("show %s for reading: %w", to, err)
			}
			return fs.SkipDir
		case item.IsDir():
			return os.MkdirAll(to, 0o711)
		case strings.HasPrefix(name, contentFolder):
			return os.Link(path, to)
		case strings.HasPrefix(name, ingestFolder) || !item.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o600)
	})
}
