package kube

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/collect/archive"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
)

// maxCode bounds what the code of a run may come to when it is unpacked, in bytes.
const maxCode = 1 << 30

// FetchCode brings the code of a run that was submitted on another machine into its mirror. Where the image of the run
// has the code, nothing is brought.
func (t *Target) FetchCode(ctx context.Context, name string) error {
	f := t.mirrorOf(name)
	if _, err := os.Lstat(f.Code()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c, f, err := t.of(name)
	if err != nil {
		return err
	}
	spec, err := f.ReadSpec()
	if err != nil {
		return err
	}
	list, err := c.Core.ConfigMaps(c.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: manifest.ProgramOf(spec.Name),
	})
	if err != nil {
		return c.Explain(err, "read the program of run "+spec.Name)
	}
	if err := unpackCode(ctx, list.Items, f); err != nil {
		return fmt.Errorf("read the program of run %s, which is kept in the cluster: %w", spec.Name, err)
	}
	return nil
}

// unpackCode puts the code of a program, which comes in parts, into a mirror, if it is there.
func unpackCode(ctx context.Context, parts []corev1.ConfigMap, f folder.Run) error {
	var packed bytes.Buffer
	for i := range parts {
		for j := range parts { // the list has them by name, "…-10" before "…-2"
			packed.Write(parts[j].BinaryData[pod.ProgramPart(i)])
		}
	}
	if packed.Len() == 0 {
		return nil // the run was deleted
	}
	dir, err := os.MkdirTemp(f.Parent(), ".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is wanted of it is elsewhere by then
	plain, err := gzip.NewReader(&packed)
	if err != nil {
		return err
	}
	if err := archive.Read(ctx, io.LimitReader(plain, maxCode), dir); err != nil {
		return err
	}
	in := folder.Run(dir)
	code := filepath.Join(dir, filepath.Base(in.Code()))
	if _, err := os.Lstat(code); errors.Is(err, fs.ErrNotExist) {
		return nil // the image has it
	}
	if err := os.MkdirAll(f.Program(), 0o700); err != nil {
		return err
	}
	err = os.Rename(code, f.Code())
	if errors.Is(err, fs.ErrExist) { // somebody else has brought it meanwhile
		return nil
	}
	return err
}
