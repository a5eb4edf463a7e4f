package inside

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Gateways installs the kinds of objects of the Gateway API. Nothing acts on them.
func (c Cluster) Gateways(ctx context.Context) error {
	if err := c.kinds(ctx, "gateway.yaml"); err != nil {
		return fmt.Errorf("install the Gateway API: %w", err)
	}
	return nil
}

// kinds installs the kinds of objects in a file that lies beside programs, as an administrator does.
func (c Cluster) kinds(ctx context.Context, file string) error {
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		kinds, err := os.ReadFile(filepath.Join(folder, file))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		if err := c.kubectl(ctx, bytes.NewReader(kinds), "apply", "--server-side", "-f", "-"); err != nil {
			return fmt.Errorf("apply %s: %w", file, err)
		}
		return c.kubectl(ctx, bytes.NewReader(kinds), "wait", "--for=condition=Established", "-f", "-")
	}
	return fmt.Errorf("find %s: no folder of the PATH has it", file)
}
