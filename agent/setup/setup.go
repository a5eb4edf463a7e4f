// Package setup is what the first process of a pod does before it starts anything of a program: it finds the
// image's Python, asks it what is installed, and puts what is to run into a run folder. cmd/metaml-pod and
// cmd/metaml-server share it.
//
// Read [Input.Lay] first. It imports deployer/pod, deployer/folder and deployer/run.
package setup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

// Input is what a pod is given to run.
type Input struct {
	Dir     string // its folder
	Program string // folder of the program in the image; "" where all of it comes in program.tar.gz
}

// Read reads a file of what is to run.
func (in Input) Read(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(in.Dir, name))
	if err != nil {
		return nil, fmt.Errorf("read what is to run: %w", err)
	}
	return data, nil
}

// Spec reads what the run is.
func (in Input) Spec() (run.Spec, error) {
	var spec run.Spec
	data, err := in.Read(pod.SpecName)
	if err != nil {
		return spec, err
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return spec, fmt.Errorf("read %s: %w", pod.SpecName, err)
	}
	return spec, nil
}

// Lay checks the image that has an interpreter and does lay meanwhile, which puts what is to run into a folder: a
// processor is free while Python starts. What the image has otherwise than the session is a note, if there is one.
func (in Input) Lay(ctx context.Context, python string, lay func() error) (*run.Note, error) {
	var (
		note   *run.Note
		image  error
		beside sync.WaitGroup
	)
	beside.Go(func() { note, image = in.checkImage(ctx, python) })
	_, _ = pymodule.Dir() // whoever starts Python says why it cannot be put on disk
	err := lay()
	beside.Wait()
	if image != nil {
		return nil, image
	}
	return note, err
}

// Adapt leaves behind what belongs to where a run was submitted: it runs by this interpreter in this working directory,
// which is made.
func Adapt(spec *run.Spec, python, cwd string) error {
	if err := os.MkdirAll(cwd, 0o700); err != nil {
		return fmt.Errorf("make the working directory: %w", err)
	}
	spec.Python, spec.Cwd, spec.Path, spec.Env, spec.BootID, spec.Notify = python, cwd, nil, nil, "", ""
	return nil
}

// archive reads an archive, which comes whole or in parts.
func (in Input) archive(whole string, part func(i int) string) (io.Reader, error) {
	names := []string{whole}
	if _, err := os.Stat(filepath.Join(in.Dir, part(0))); err == nil {
		names = nil
		for i := 0; err == nil; i++ {
			names = append(names, part(i))
			_, err = os.Stat(filepath.Join(in.Dir, part(i+1)))
		}
	}
	parts := make([]io.Reader, 0, len(names))
	for _, name := range names {
		data, err := in.Read(name)
		if err != nil {
			return nil, err
		}
		parts = append(parts, bytes.NewReader(data))
	}
	return io.MultiReader(parts...), nil
}

// UnpackModel unpacks the model of a server into a folder, where one comes with it.
func (in Input) UnpackModel(to string) error {
	packed, err := in.archive(pod.ModelName, pod.ModelPart)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := unpack(packed, to); err != nil {
		return fmt.Errorf("the server's model: %w", err)
	}
	return nil
}

// UnpackProgram unpacks the program folder, which comes whole or in parts, into that of a run. What goes with the
// program is put into the working directory, which is empty.
func (in Input) UnpackProgram(f folder.Run, cwd string) error {
	packed, err := in.archive(pod.ProgramName, pod.ProgramPart)
	if err != nil {
		return err
	}
	if in.Program != "" {
		if err := os.CopyFS(f.Program(), os.DirFS(in.Program)); err != nil {
			return fmt.Errorf("copy the program out of the image: %w", err)
		}
	}
	if err := unpack(packed, f.Program()); err != nil {
		return err
	}
	// What goes with the program is where it was: below the working directory.
	goes := filepath.Join(f.Program(), folder.IncludeName)
	if _, err := os.Lstat(goes); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := errors.Join(os.Remove(cwd), os.Rename(goes, cwd)); err != nil {
		return fmt.Errorf("put what goes with the program into the working directory: %w", err)
	}
	return nil
}

// FindPython finds the image's Python: the one that was named, else python3 or python of the PATH.
func FindPython(named string) (string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("the image has no Python %q, which --image-python names", named)
		}
		return filepath.Abs(path)
	}
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New(pod.NoPython)
}

// Take gives a variable and takes it out of the environment, since it is not the program's.
func Take(name string) (string, error) {
	value := os.Getenv(name)
	return value, os.Unsetenv(name)
}

// Ours reports whether it is the pod's own fault that a program cannot be run: its disk, or its folder. Else no pod can
// with this image.
func Ours(err error) bool {
	_, isPath := errors.AsType[*os.PathError](err)
	return isPath || errors.Is(err, context.DeadlineExceeded)
}

// Install copies this program to a path, for the container that comes after.
func Install(to string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	//nolint:gosec // it is executed by the user of another container
	if err := os.WriteFile(to, data, 0o755); err != nil {
		return fmt.Errorf("install this program: %w", err)
	}
	return nil
}
