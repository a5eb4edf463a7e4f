package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/metaml/metaml/deployer/folder"
)

// maxSocket is the length of the longest path that a socket may have on every system we know, without the closing zero.
const maxSocket = 103

// socketFolder makes the private folder of a server's sockets: in $XDG_RUNTIME_DIR, else in the folder for temporary files, the
// first that can be written to and has a path short enough for the sockets in it.
func socketFolder(server folder.Run, name string) (string, error) {
	uid := strconv.Itoa(os.Getuid())
	var tried []string
	for _, base := range []string{
		filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "metaml"), filepath.Join(os.TempDir(), "metaml-"+uid), filepath.Join("/tmp", "metaml-"+uid),
	} {
		dir := filepath.Join(base, serverMark(server, name))
		const longest = "/00000-0000-0000000"
		if !filepath.IsAbs(base) {
			continue
		}
		if len(dir)+len(longest) > maxSocket {
			tried = append(tried, base+" (path too long for a socket)")
			continue
		}
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = errors.Join(private(base), private(dir))
		}
		if err == nil {
			return dir, nil
		}
		tried = append(tried, fmt.Sprintf("%s (%v)", base, err))
	}
	return "", fmt.Errorf("no folder for the sockets of %s; tried %s: set XDG_RUNTIME_DIR or TMPDIR to a short path", name, strings.Join(tried, ", "))
}

// private makes sure that a folder is ours alone: in /tmp anybody may have made it before us.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("%s is not a folder of this user's", dir)
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // G302: of a folder, for nobody else
}

// SweepServer kills what monitors of the server before this one left behind, and returns when nothing is left of it.
func SweepServer(ctx context.Context, procs *Processes, server folder.Run, name string) error {
	if err := procs.sweep(ctx, serverMark(server, name)); err != nil {
		return err
	}
	return RemoveSockets(server, name)
}

// RemoveSockets removes the folder of a server's sockets. No process of the server may be left.
func RemoveSockets(server folder.Run, name string) error {
	dir, err := socketFolder(server, name)
	if err != nil {
		return nil //nolint:nilerr // then there are none
	}
	return os.RemoveAll(dir)
}
