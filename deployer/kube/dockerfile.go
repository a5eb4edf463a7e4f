package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// WriteDockerfile writes a folder that `docker build` makes the image of a submission of, without us: Dockerfile,
// requirements.txt, and the program with a module that stands in for ours. The folder must not exist.
func (t *Target) WriteDockerfile(
	ctx context.Context,
	s *settings.Resolved,
	environ []string,
	what run.Submission,
	to string,
	progress func(run.Event),
) error {
	if _, err := os.Lstat(to); err == nil {
		return usererror.New(usererror.CodeFile, "%s is there already, and it is not overwritten", to).
			With("Name a folder that is not there, or remove it.")
	}
	place, arch, err := t.anywhere(ctx, s, environ, progress)
	if err != nil {
		return err
	}
	maker, request, err := place.request(ctx, arch, what, reported(progress))
	if err != nil {
		return err
	}
	dockerfile, requirements, err := maker.Dockerfile(ctx, *request, "/"+pod.InImage)
	if err != nil {
		return err
	}
	files, err := ship.Files(what.Program)
	if err != nil {
		return err
	}
	for i := range files {
		files[i].Name = "program/" + files[i].Name
	}
	files = append(files, text("Dockerfile", []byte(dockerfile)), text("requirements.txt", []byte(requirements)),
		text("program/code/metaml.py", ship.StandIn))
	if err := writeFolder(to, files); err != nil {
		return folder.ExplainNamed(err, "write the Dockerfile into", to)
	}
	return nil
}

func text(name string, data []byte) ship.File { return ship.File{Name: name, Mode: 0o644, Data: data} }

// writeFolder makes a folder of files, whole or not at all.
func writeFolder(to string, files []ship.File) (err error) {
	half, err := os.MkdirTemp(filepath.Dir(to), "."+filepath.Base(to)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(half)
		}
	}()
	for i := range files {
		if err := writeFile(filepath.Join(half, filepath.FromSlash(files[i].Name)), &files[i]); err != nil {
			return err
		}
	}
	if err := os.Chmod(half, 0o755); err != nil { //nolint:gosec // it is made to be given away
		return err
	}
	return os.Rename(half, to)
}

func writeFile(to string, f *ship.File) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // as above
		return err
	}
	from, err := f.Open()
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	defer func() { _ = from.Close() }()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(f.Mode))
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}
