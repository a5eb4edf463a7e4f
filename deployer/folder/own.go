package folder

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/metaml/metaml/deployer/run"
)

// claim is what is kept of a run outside its folder, so that a folder that was copied here, with all that lies in it,
// is distinguished from one that was made here.
type claim struct {
	ID    string `json:"id"`    // as in run.json
	Inode uint64 `json:"inode"` // of the folder
}

// NewID makes the identity of a new run.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// claimFile is beside the run folders.
func (r Run) claimFile() string {
	return filepath.Join(filepath.Dir(string(r)), ".own", filepath.Base(string(r)))
}

// Claim notes that the run with this identity is made here. It comes before the folder has its name: at is where it
// lies until then.
func (r Run) Claim(id, at string) error {
	inode, err := inodeOf(at)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.claimFile()), 0o700); err != nil {
		return fmt.Errorf("note that the run is made here: %w", err)
	}
	return ReplaceJSON(r.claimFile(), claim{ID: id, Inode: inode})
}

// Disclaim forgets that the run was made here. It is called when the run is deleted.
func (r Run) Disclaim() { _ = os.Remove(r.claimFile()) }

// Own says why nothing that lies in the folder may be executed by this user, in words that follow "the folder of the
// run"; "" if it may: this user made the run on this machine, and nobody else could write into its folder.
func (r Run) Own(spec *run.Spec) string {
	info, err := os.Lstat(string(r))
	if err != nil {
		return "is gone"
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.IsDir():
		return "is no folder"
	case int(stat.Uid) != os.Geteuid():
		return "belongs to another user"
	case info.Mode().Perm()&0o022 != 0:
		return "can be written by other users"
	}
	data, err := os.ReadFile(r.claimFile())
	var mine claim
	if errors.Is(err, fs.ErrNotExist) || err == nil && json.Unmarshal(data, &mine) != nil {
		return "was not made here: it was copied, or by an older MetaML"
	}
	if err != nil {
		return "cannot be distinguished from a copied one"
	}
	if mine.ID == "" || mine.ID != spec.ID || mine.Inode != stat.Ino {
		return "was not made here: it was copied"
	}
	return ""
}

func inodeOf(path string) (uint64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("look at %q: the system gives no inode", path)
	}
	return stat.Ino, nil
}

// OpenOwn opens a file of a run folder that we write, 0600. A link there is refused: in a folder that came from
// elsewhere it could lead to any file of the user's.
func OpenOwn(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag|syscall.O_NOFOLLOW, 0o600)
}
