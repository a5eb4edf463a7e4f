package ship

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/internal/usererror"
)

// Programs are those that containers execute.
var Programs = []pod.Program{pod.Trial, pod.Server, pod.Monitor}

// Architectures are those that each of them is there for, as Go and Kubernetes call them.
var Architectures = []string{"amd64", "arm64"}

// Installed is the folder below an environment's prefix in which a wheel has them, for every architecture.
const Installed = "lib/metaml"

// Binary is a program for one architecture of Linux.
type Binary struct {
	Arch   string
	Digest string // sha256 of Data, in hex
	Data   []byte // compressed by gzip
}

// Find reads a program for an architecture. It lies beside the program that runs here, or where a wheel puts it
// ([Installed]).
func Find(p pod.Program, arch string) (Binary, error) {
	self, err := os.Executable()
	if err != nil {
		return Binary{}, fmt.Errorf("find where MetaML is installed: %w", err)
	}
	folders := []string{filepath.Dir(self)}
	if real, err := filepath.EvalSymlinks(self); err == nil && filepath.Dir(real) != folders[0] {
		folders = append(folders, filepath.Dir(real))
	}
	return find(folders, p, arch)
}

func find(folders []string, p pod.Program, arch string) (Binary, error) {
	var tried []string
	for _, folder := range folders {
		for _, f := range []string{folder, filepath.Join(filepath.Dir(folder), filepath.FromSlash(Installed))} {
			data, err := os.ReadFile(filepath.Join(f, pod.BinaryName(p, arch)))
			if errors.Is(err, fs.ErrNotExist) {
				tried = append(tried, f)
				continue
			}
			if err != nil {
				return Binary{}, fmt.Errorf("read the program %s for pods: %w", p, err)
			}
			digest := sha256.Sum256(data)
			return Binary{Arch: arch, Digest: hex.EncodeToString(digest[:]), Data: data}, nil
		}
	}
	return Binary{}, usererror.New(usererror.CodeAgent, "%s is not installed: looked in %s", pod.BinaryName(p, arch),
		strings.Join(tried, " and ")).With("Install MetaML again; it brings %s, which pods execute.", p)
}
