//go:build linux

package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/test/cluster/internal/parts"
)

// serveImages lets the registry have the images. Its blobs are files, which get a second name in its folder; manifests
// are in its memory and small.
func serveImages(ctx context.Context, images parts.Images) error {
	blobs, err := filepath.Glob(filepath.Join(images.Blobs(), "*", "*"))
	if err != nil {
		return err
	}
	for _, blob := range blobs {
		algorithm := filepath.Join("/var/lib/registry", filepath.Base(filepath.Dir(blob)))
		if err := os.MkdirAll(algorithm, 0o755); err != nil {
			return err
		}
		// Links do not go from one mount to another, even of the same file system.
		if err := os.Symlink(blob, filepath.Join(algorithm, filepath.Base(blob))); err != nil {
			return fmt.Errorf("let the registry have a layer: %w", err)
		}
	}
	all, err := images.List()
	if err != nil {
		return err
	}
	for _, one := range all {
		manifest, err := os.ReadFile(images.Blob(one.Digest))
		if err != nil {
			return fmt.Errorf("read the manifest of %s: %w", one.Name, err)
		}
		if err := push(ctx, one, manifest); err != nil {
			return fmt.Errorf("let the registry have the image %s: %w", one.Name, err)
		}
	}
	return nil
}

func push(ctx context.Context, image parts.Entry, manifest []byte) error {
	name, tag, _ := strings.Cut(image.Name, ":")
	address := "http://" + registryAddress + "/v2/" + name + "/manifests/" + tag
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(manifest))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", image.MediaType)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	return nil
}
