package inside

import (
	"context"
	"fmt"
	"strings"
)

// MetricsPort is where metrics-server answers the API server.
const MetricsPort = 4443

// Metrics has the cluster measure what pods use of processors and memory, as an administrator does who installs
// metrics-server. node is the address of the cluster's node.
func (c Cluster) Metrics(ctx context.Context, node string) error {
	if err := c.Start(ctx, "metrics-server"); err != nil {
		return err
	}
	// The Service has no pods: metrics-server runs beside them.
	objects := fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {ports: [{name: https, port: 443, targetPort: %[1]d}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-server, namespace: kube-system, labels: {kubernetes.io/service-name: metrics-server}}
addressType: IPv4
ports: [{name: https, port: %[1]d}]
endpoints: [{addresses: [%[2]q]}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  service: {name: metrics-server, namespace: kube-system}
  group: metrics.k8s.io
  version: v1beta1
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 100
  versionPriority: 100
`, MetricsPort, node)
	if err := c.kubectl(ctx, strings.NewReader(objects), "apply", "--server-side", "-f", "-"); err != nil {
		return fmt.Errorf("let the API server ask metrics-server: %w", err)
	}
	err := c.kubectl(ctx, strings.NewReader(""), "wait", "--for=condition=Available", "--timeout="+Patience.String(),
		"apiservice/v1beta1.metrics.k8s.io")
	if err != nil {
		return fmt.Errorf("have metrics-server answer: %w", err)
	}
	return nil
}
