package image

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/image/cache"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/usererror"
)

// uvVersion is the version of uv that is loaded where there is none, and uvs are the digests of its wheels, by system
// and architecture as Go calls them. They are among those of requirements/test.txt, which a test compares.
const uvVersion = "0.13.9"

var uvs = map[string]string{
	"linux/amd64":  "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
	"linux/arm64":  "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
	"darwin/amd64": "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
	"darwin/arm64": "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
}

// uv gives the path of uv: the one that there is, else one that the session's pip loads from where it loads packages.
func (m *Maker) uv(ctx context.Context) (string, error) {
	found, err := resolve.Find(m.UV, m.Python, m.Environ)
	if err == nil || m.UV != "" {
		return found, err
	}
	digest, is := uvs[runtime.GOOS+"/"+runtime.GOARCH]
	if !is {
		return "", err
	}
	return m.ownUV(ctx, digest)
}

// DescribeUV says which uv finds packages where nobody has asked for an image yet: the one that is named, or on the
// PATH of the variables. One in the environment of a session is found when there is one.
func DescribeUV(ctx context.Context, named string, variables []string) (string, error) {
	found, missing := resolve.Find(named, "", variables)
	switch {
	case missing == nil:
		is, err := resolve.Version(ctx, found)
		return is + ", " + found, err
	case named != "":
		return "", missing
	}
	return "the one of the session's environment, else pip loads uv " + uvVersion + " once", nil
}

// uvFor gives the path of uv for Linux on an architecture, which a builder executes.
func (m *Maker) uvFor(ctx context.Context, arch string) (string, error) {
	if runtime.GOOS == "linux" && runtime.GOARCH == arch {
		found, err := m.uv(ctx)
		if err != nil {
			return "", err
		}
		return filepath.EvalSymlinks(found)
	}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch]
	return m.ownUV(ctx, uvs["linux/"+arch], "--platform", "manylinux_2_17_"+machine, "--platform",
		"manylinux2014_"+machine, "--platform", "manylinux_2_28_"+machine)
}

// ownUV has uv loaded, once. Only a file with the digest is taken.
func (m *Maker) ownUV(ctx context.Context, digest string, platform ...string) (string, error) {
	home := filepath.Join(m.Cache, "uv", uvVersion+"-"+digest[:12])
	program := filepath.Join(home, "uv")
	if _, err := os.Stat(program); err == nil {
		cache.Used(home)
		return program, nil
	}
	return program, m.step("uv", "loading uv "+uvVersion, func(func(int64, int64)) error {
		return m.loadUV(ctx, home, program, digest, platform)
	})
}

// loadUV has the session's pip load uv.
func (m *Maker) loadUV(ctx context.Context, home, program, digest string, platform []string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return folder.ExplainCache(err, "keep uv in", m.Cache)
	}
	to, err := os.MkdirTemp(home, ".half-")
	if err != nil {
		return folder.ExplainCache(err, "keep uv in", m.Cache)
	}
	defer func() { _ = os.RemoveAll(to) }()
	wanted := filepath.Join(to, "requirements.txt")
	line := fmt.Sprintf("uv==%s --hash=sha256:%s\n", uvVersion, digest)
	if err := os.WriteFile(wanted, []byte(line), 0o600); err != nil {
		return folder.ExplainCache(err, "keep uv in", m.Cache)
	}
	args := []string{
		"-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check",
		"--only-binary", ":all:", "--require-hashes", "--dest", to, "--requirement", wanted,
	}
	command := exec.CommandContext(ctx, m.Python, append(args, platform...)...)
	command.Env = m.Environ
	if out, err := command.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		reason := err.Error()
		for line := range strings.Lines(string(out)) {
			if text, is := strings.CutPrefix(line, "ERROR: "); is {
				reason = strings.TrimSpace(text)
			}
		}
		return usererror.Wrap(err, usererror.CodeUV, "there is no uv, and pip cannot load it: "+reason,
			"Install it: pip install uv. Or name an image that has the packages: --image IMAGE.")
	}
	wheels, err := filepath.Glob(filepath.Join(to, "uv-*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("load uv: pip gave %q, %w", wheels, err)
	}
	if err := extract(wheels[0], program); err != nil {
		return folder.ExplainCache(err, "keep uv in", m.Cache)
	}
	return nil
}

// extract takes the program out of uv's wheel, whole or not at all.
func extract(file, to string) error {
	archive, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	for _, f := range archive.File {
		if path.Base(f.Name) != "uv" || !strings.HasSuffix(path.Dir(f.Name), ".data/scripts") {
			continue
		}
		from, err := f.Open()
		if err != nil {
			return err
		}
		defer func() { _ = from.Close() }()
		return cache.Write(to, func(half *os.File) error {
			_, err := io.CopyN(half, from, int64(f.UncompressedSize64))
			return errors.Join(err, half.Chmod(0o700))
		})
	}
	return fmt.Errorf("%s has no program uv", filepath.Base(file))
}
