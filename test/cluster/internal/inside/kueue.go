package inside

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// QueuesLabel is on the namespaces in which Kueue sees each Job before it is stored; its value is "true".
const QueuesLabel = "queues"

// KueueWebhooks is where Kueue answers the API server.
const KueueWebhooks = "127.0.0.1:9443"

// Queues installs Kueue, as an administrator does, and starts it.
func (c Cluster) Queues(ctx context.Context) error {
	if err := c.kinds(ctx, "kueue.yaml"); err != nil {
		return fmt.Errorf("install Kueue: %w", err)
	}
	if err := c.Start(ctx, "kueue"); err != nil {
		return err
	}
	authority, err := os.ReadFile(filepath.Join(c.Folder, "pki", "ca.crt"))
	if err != nil {
		return fmt.Errorf("let the API server ask Kueue: %w", err)
	}
	const hook = `---
apiVersion: admissionregistration.k8s.io/v1
kind: %[1]sWebhookConfiguration
metadata: {name: kueue}
webhooks:
- name: job.kueue.test
  clientConfig: {url: "https://%[2]s/%[3]s-batch-v1-job", caBundle: %[4]s}
  namespaceSelector: {matchLabels: {%[5]s: "true"}}
  rules: [{apiGroups: [batch], apiVersions: [v1], operations: [%[6]s], resources: [jobs]}]
  admissionReviewVersions: [v1]
  sideEffects: None
`
	var hooks bytes.Buffer
	bundle := base64.StdEncoding.EncodeToString(authority)
	fmt.Fprintf(&hooks, hook, "Mutating", KueueWebhooks, "mutate", bundle, QueuesLabel, "CREATE")
	fmt.Fprintf(&hooks, hook, "Validating", KueueWebhooks, "validate", bundle, QueuesLabel, "CREATE, UPDATE")
	if err := c.kubectl(ctx, &hooks, "apply", "--server-side", "-f", "-"); err != nil {
		return fmt.Errorf("let the API server ask Kueue: %w", err)
	}
	return nil
}

// kubectl runs kubectl as the administrator.
func (c Cluster) kubectl(ctx context.Context, input io.Reader, args ...string) error {
	command := exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig=" + c.Kubeconfig(Admin)}, args...)...)
	command.Stdin = input
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", args[0], err, out)
	}
	return nil
}
