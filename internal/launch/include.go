package launch

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/internal/usererror"
)

// maxIncluded bounds what --include takes along, in bytes, before it is compressed.
const maxIncluded = 128 << 20

// include copies what --include names into a program folder, and gives the digest of each file. It is a mistake to name
// what is not there, not below the working directory, or neither a file nor a folder.
func (s *Submission) include(to string) (map[string]string, error) {
	if !s.Settings.Honours("include") {
		return nil, nil
	}
	paths := s.Settings.Include()
	if len(paths) == 0 {
		return nil, nil
	}
	from := cmp.Or(s.doc.Cwd, s.launcher.Dir)
	root, err := os.OpenRoot(from)
	if err != nil {
		return nil, fmt.Errorf("--include: %w", err)
	}
	defer func() { _ = root.Close() }()
	c := copied{from: root, to: filepath.Join(to, folder.IncludeName), digests: map[string]string{}}
	for _, name := range paths {
		_, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usererror.New(
				usererror.CodeFile,
				"--include %s: there is no such file or folder in %s",
				name,
				from,
			)
		}
		if err == nil {
			err = fs.WalkDir(root.FS(), name, c.add)
		}
		if _, mistake := errors.AsType[*usererror.Error](err); err != nil && !mistake {
			err = usererror.Wrap(err, usererror.CodeFile, fmt.Sprintf("--include %s: %v", name, err), "")
		}
		if err != nil {
			return nil, err
		}
	}
	return c.digests, nil
}

// copied is what was copied so far.
type copied struct {
	from    *os.Root
	to      string
	size    int64
	digests map[string]string
}

// add copies a file, or makes a folder.
func (c *copied) add(name string, d fs.DirEntry, err error) error {
	to := filepath.Join(c.to, filepath.FromSlash(name))
	switch {
	case err != nil:
		return err
	case d.IsDir():
		return os.MkdirAll(to, 0o700)
	case !d.Type().IsRegular():
		return usererror.New(usererror.CodeFile, "--include takes files and folders, and %s is neither", name).
			With("A link is not followed: copy what it points to, or read it from a volume: --mount pvc:NAME:PATH.")
	}
	if c.digests[name] != "" {
		return nil // it is named twice
	}
	file, err := c.from.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	copied, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(copied, digest), io.LimitReader(file, maxIncluded-c.size+1))
	if err = errors.Join(err, copied.Close()); err != nil {
		return err
	}
	if c.size += n; c.size > maxIncluded {
		return usererror.New(usererror.CodeTooLarge, "--include takes at most %d MiB, and with %s it is more",
			maxIncluded>>20, name).
			With("Put the data on a volume of the cluster and read it from there: --mount pvc:NAME:PATH.")
	}
	c.digests[name] = hex.EncodeToString(digest.Sum(nil))
	return nil
}
