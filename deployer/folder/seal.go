package folder

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
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

// A run folder names programs that MetaML starts: its Python, its code, its environment. Each run.json that we write is sealed with
// a key of this user's, so that a folder which somebody else made, or which was copied under another name, is told from one of ours:
// it can be looked at, and nothing of it is executed before the user asks for that.

// sealKey is the file of the key. It lies beside the folder of runs, so that no copy of a run takes it along.
func (r Run) sealKey() string {
	return filepath.Join(filepath.Dir(filepath.Dir(string(r))), "seal.key")
}

// sealFile holds a line for each run.json that the folder has had: a server's changes with its revisions.
func (r Run) sealFile() string { return r.join("seal") }

// keySize is the length of the key, in bytes.
const keySize = 32

// WriteSpec replaces run.json and seals it. r lies directly in the folder of runs.
func (r Run) WriteSpec(spec run.Spec) error {
	data, err := json.MarshalIndent(spec, "", " ")
	if err != nil {
		return fmt.Errorf("write %q: %w", r.Spec(), err)
	}
	data = append(data, '\n')
	if err := r.seal(data); err != nil {
		return err
	}
	return Replace(r.Spec(), data)
}

// Adopt seals run.json as it is: the user asked for a run that was made elsewhere to go on here.
func (r Run) Adopt() error {
	data, err := os.ReadFile(r.Spec())
	if err != nil {
		return fmt.Errorf("read the run's description: %w", err)
	}
	if r.sealed(data) {
		return nil
	}
	return r.seal(data)
}

// Sealed reports whether this user made the folder's run.json, under this name, with this data folder.
func (r Run) Sealed() bool {
	data, err := os.ReadFile(r.Spec())
	return err == nil && r.sealed(data)
}

func (r Run) sealed(spec []byte) bool {
	key, err := readKey(r.sealKey())
	if err != nil {
		return false
	}
	lines, err := os.ReadFile(r.sealFile())
	if err != nil {
		return false
	}
	want := mark(key, spec)
	for line := range bytes.Lines(lines) {
		if hmac.Equal(bytes.TrimRight(line, "\n"), want) {
			return true
		}
	}
	return false
}

// seal adds the line for a run.json that is about to be written.
func (r Run) seal(spec []byte) error {
	key, err := readKey(r.sealKey())
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(r.sealKey())
	}
	if err != nil {
		return fmt.Errorf("read the key that marks runs as this user's: %w", err)
	}
	file, err := OpenOwn(r.sealFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return fmt.Errorf("mark the run as this user's: %w", err)
	}
	_, err = file.Write(append(mark(key, spec), '\n'))
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("mark the run as this user's: %w", err)
	}
	return nil
}

func mark(key, spec []byte) []byte {
	sum := hmac.New(sha256.New, key)
	sum.Write(spec)
	return hex.AppendEncode(nil, sum.Sum(nil))
}

func readKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err == nil && len(key) != keySize {
		err = fmt.Errorf("%q has %d bytes instead of %d; without that file a new one is made, and the runs that are here count as copied", path, len(key), keySize)
	}
	return key, err
}

// makeKey makes the key, whole or not at all; of two processes that make it at once, both get the first one's.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // it never fails: crypto/rand
	file, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(key)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readKey(path)
}

// OpenOwn opens a file of a run folder that we write, 0600. A link there is refused: in a folder that came from elsewhere it could lead
// to any file of the user's.
func OpenOwn(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag|syscall.O_NOFOLLOW, 0o600)
}
