package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/internal/atomicfile"
)

// maxSocket is the length of the longest path that a socket may have on every system we know, without the closing zero.
const maxSocket = 103

// socketFolder makes the private folder of a server's sockets: in $XDG_RUNTIME_DIR, else in the folder for temporary
// files, the first that can be written to and has a path short enough for the sockets in it. Its name follows from the
// server's, so that the next monitor finds it. Where somebody else has taken the names in the folder for temporary
// files, it gets a name by chance, which is kept in the server's folder.
func socketFolder(server folder.Run, name string) (string, error) {
	mark := serverMark(server, name)
	if kept := keptSockets(server); kept != "" {
		return kept, nil
	}
	uid := strconv.Itoa(os.Getuid())
	temporary := temporaryFolders()
	bases := []string{filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "metaml")}
	for _, dir := range temporary {
		bases = append(bases, filepath.Join(dir, "metaml-"+uid))
	}
	var tried []string
	for _, base := range bases {
		dir := filepath.Join(base, mark)
		if !filepath.IsAbs(base) {
			continue
		}
		err := fits(dir)
		if err == nil {
			// The outer one first: through a link of somebody else's, the inner one would be made anywhere.
			err = makePrivate(base)
		}
		if err == nil {
			err = makePrivate(dir)
		}
		if err == nil {
			return dir, nil
		}
		tried = append(tried, fmt.Sprintf("%s (%v)", base, err))
	}
	for _, base := range temporary {
		dir, err := os.MkdirTemp(base, chanceName)
		if err == nil {
			if err = errors.Join(fits(dir), atomicfile.Write(server.SocketsFile(), []byte(dir), 0o600)); err == nil {
				return dir, nil
			}
			_ = os.Remove(dir)
		}
		tried = append(tried, fmt.Sprintf("%s (%v)", base, err))
	}
	return "", fmt.Errorf("no folder for the sockets of %s; tried %s: set XDG_RUNTIME_DIR or TMPDIR to a short path",
		name, strings.Join(tried, ", "))
}

// chanceName is the beginning of a folder's name that is made by chance.
const chanceName = "metaml-sockets-"

// temporaryFolders are the folders for temporary files; TMPDIR may have a path that is too long for a socket.
func temporaryFolders() []string {
	return slices.Compact([]string{filepath.Clean(os.TempDir()), "/tmp"})
}

// fits reports an error if the sockets in dir would have paths that are too long.
func fits(dir string) error {
	const longest = "/00000-0000-0000000"
	if len(dir)+len(longest) > maxSocket {
		return errors.New("path too long for a socket")
	}
	return nil
}

// keptSockets is the folder whose name was made by chance, or "". What the file names may be removed with all that is
// in it, so only what was made here is believed.
func keptSockets(server folder.Run) string {
	data, err := os.ReadFile(server.SocketsFile())
	dir := string(data)
	if err != nil || !slices.Contains(temporaryFolders(), filepath.Dir(dir)) ||
		!strings.HasPrefix(filepath.Base(dir), chanceName) || private(dir) != nil {
		return ""
	}
	return dir
}

// makePrivate makes a folder that is ours alone, if it is not there. Its parent is made as well where it is missing.
func makePrivate(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return private(dir)
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
	return errors.Join(os.RemoveAll(dir), os.RemoveAll(server.SocketsFile()))
}
