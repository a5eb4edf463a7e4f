package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Images is a folder with finished images: their layers, configurations and manifests in blobs/sha256, by digest, and
// index.json, which names manifests.
type Images struct{ Folder string }

// Names of the images, as the cluster's registry has them.
const (
	// PythonImage is Debian's Python 3.11 with what requirements/image.txt names.
	PythonImage = "python:3.11"
	// BareImage is the same Python without packages.
	BareImage = "python:3.11-bare"
	// PauseImage is what the kubelet starts in each pod.
	PauseImage = "pause:1"
)

// debian is the release whose Python is 3.11, and its packages are what a small Python image has.
const (
	debian         = "bookworm"
	debianPackages = "python3,ca-certificates"
	// packagesFolder is where Debian's Python looks for packages that are not Debian's.
	packagesFolder = "usr/local/lib/python3.11/dist-packages"
	// imagesVersion changes when the code below makes other images from the same files.
	imagesVersion = "1"
)

// Media types of the OCI image specification, version 1.1.
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	// Nothing is compressed: all of it stays on this machine, where unpacking takes longer than copying.
	layerType = "application/vnd.oci.image.layer.v1.tar"
)

// Entry is one image: its manifest's digest and size, as an image index has it, and its name.
type Entry struct {
	Name      string `json:"name"`
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// Blob is the path of the content with a digest.
func (i Images) Blob(digest string) string {
	return filepath.Join(i.Folder, "blobs", "sha256", digest[len("sha256:"):])
}

// Blobs is the folder of all content, by digest.
func (i Images) Blobs() string { return filepath.Join(i.Folder, "blobs") }

// List gives every image.
func (i Images) List() ([]Entry, error) {
	text, err := os.ReadFile(filepath.Join(i.Folder, "index.json"))
	if err != nil {
		return nil, fmt.Errorf("read the list of images: %w", err)
	}
	var all []Entry
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read the list of images: %w", err)
	}
	return all, nil
}

// images makes the images: Debian's Python by debootstrap, packages by pip with the hashes of the requirements.
func (m maker) images(ctx context.Context, requirements, pause string) (Images, error) {
	key, err := contentKey([]string{requirements, pause}, debian, debianPackages, imagesVersion)
	if err != nil {
		return Images{}, err
	}
	folder, err := m.once("images", key, func(folder string) error {
		if err := os.MkdirAll(filepath.Join(folder, "blobs", "sha256"), 0o755); err != nil {
			return err
		}
		root := filepath.Join(folder, "root")
		// Files of the image belong to root and have their modes from whoever installs them, so nothing is left of it.
		defer os.RemoveAll(root)
		return writeImages(ctx, Images{folder}, root, requirements, pause)
	})
	return Images{folder}, err
}

// unpacked lets containerd pull the images once: that takes ten seconds, which no pod of a test should wait.
func (m maker) unpacked(ctx context.Context, made Parts, unpack Unpack) (string, error) {
	version, err := exec.CommandContext(ctx, "containerd", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask containerd for its version: %w", err)
	}
	key, err := contentKey([]string{filepath.Join(made.Images.Folder, "index.json")}, string(version))
	if err != nil {
		return "", err
	}
	return m.once("unpacked", key, func(folder string) error { return unpack(ctx, made, folder) })
}

func writeImages(ctx context.Context, images Images, root, requirements, pause string) error {
	if err := system(ctx, root); err != nil {
		return err
	}
	base, err := images.layer(func(w io.Writer) error { return writeTar(w, root, ".") })
	if err != nil {
		return err
	}
	if err := packages(ctx, root, requirements); err != nil {
		return err
	}
	installed, err := images.layer(func(w io.Writer) error { return writeTar(w, root, packagesFolder) })
	if err != nil {
		return err
	}
	holder, err := images.layer(func(w io.Writer) error {
		return writeTar(w, filepath.Dir(pause), filepath.Base(pause))
	})
	if err != nil {
		return err
	}
	var all []Entry
	for _, one := range []struct {
		name   string
		layers []blob
		config map[string]any
	}{
		{BareImage, []blob{base}, pythonConfig()},
		{PythonImage, []blob{base, installed}, pythonConfig()},
		{PauseImage, []blob{holder}, map[string]any{"Entrypoint": []string{"/" + filepath.Base(pause)}}},
	} {
		entry, err := images.manifest(one.name, one.config, one.layers)
		if err != nil {
			return err
		}
		all = append(all, entry)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(images.Folder, "index.json"), text, 0o600)
}

func pythonConfig() map[string]any {
	return map[string]any{
		"Env": []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"},
		"Cmd": []string{"python3"},
	}
}

// system installs Debian's Python into the folder root.
func system(ctx context.Context, root string) error {
	// In namespaces of its own: what debootstrap mounts and starts ends with it, also when it is killed.
	err := isolated(ctx, "debootstrap", "--variant=minbase", "--include="+debianPackages, debian, root)
	if err != nil {
		return err
	}
	// What no program reads: it would be a third of the image.
	for _, pattern := range []string{
		"usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*",
		"var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*", "debootstrap",
	} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return os.Symlink("python3", filepath.Join(root, "usr/bin/python"))
}

// packages installs what the requirements name into the folder root.
func packages(ctx context.Context, root, requirements string) error {
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	// Debian's own pip is not always there, and the one of an environment is.
	venv := filepath.Join(filepath.Dir(root), "venv")
	defer os.RemoveAll(venv)
	if err := run(ctx, python, "-m", "venv", venv); err != nil {
		return err
	}
	args := []string{
		"-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--only-binary=:all:",
		"--require-hashes", "--no-compile", "--python-version=3.11", "--implementation=cp",
		"--target=" + filepath.Join(root, packagesFolder), "--requirement=" + requirements,
	}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	for _, glibc := range []string{"manylinux_2_28_", "manylinux_2_27_", "manylinux2014_", "manylinux_2_17_"} {
		args = append(args, "--platform="+glibc+machine)
	}
	if err := run(ctx, filepath.Join(venv, "bin/python"), args...); err != nil {
		return err
	}
	// A pod's file system is read-only, so each of its starts would compile what it imports.
	return isolated(ctx, "chroot", root, "/usr/bin/python3", "-m", "compileall", "-q", "/"+packagesFolder)
}

// isolated runs a program in mount and process namespaces that end with it, and with this process.
func isolated(ctx context.Context, name string, args ...string) error {
	return run(ctx, "unshare", append([]string{
		"--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "--", name,
	}, args...)...)
}

func run(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, tail(out, 4000))
	}
	return nil
}

// blob is content in the folder of images, by its digest.
type blob struct {
	digest string
	size   int64
}

// layer keeps as a blob what write writes.
func (i Images) layer(write func(io.Writer) error) (blob, error) {
	file, err := os.CreateTemp(i.Folder, "layer-")
	if err != nil {
		return blob{}, err
	}
	defer file.Close()
	sum := sha256.New()
	if err := write(io.MultiWriter(file, sum)); err != nil {
		return blob{}, fmt.Errorf("write a layer: %w", err)
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return blob{}, err
	}
	digest := "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return blob{digest, size}, os.Rename(file.Name(), i.Blob(digest))
}

// document keeps a JSON document as a blob.
func (i Images) document(value any) (blob, error) {
	return i.layer(func(w io.Writer) error { return json.NewEncoder(w).Encode(value) })
}

// manifest writes the configuration and the manifest of an image.
func (i Images) manifest(name string, config map[string]any, layers []blob) (Entry, error) {
	var digests []string
	var described []map[string]any
	for _, layer := range layers {
		digests = append(digests, layer.digest)
		described = append(described, descriptor(layerType, layer))
	}
	written, err := i.document(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": digests},
	})
	if err != nil {
		return Entry{}, err
	}
	manifest, err := i.document(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor(configType, written), "layers": described,
	})
	return Entry{Name: name, MediaType: manifestType, Digest: manifest.digest, Size: manifest.size}, err
}

func descriptor(mediaType string, content blob) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": content.digest, "size": content.size}
}
