// Package inside is how a command that runs in a cluster of test/cluster, such as a test, sees it: who can ask the API
// server, which servers can be killed and started again, what was written. [Here] finds the cluster. It imports the
// standard library alone.
package inside

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Variable is the environment variable that names the cluster's folder.
const Variable = "METAML_CLUSTER"

// Folder is that folder. Each cluster has a /run of its own.
const Folder = "/run/metaml-cluster"

// Users with a token, each with a kubeconfig. Nobody but the administrator may do anything until a test lets them; both
// others are in the group "people".
const (
	Admin      = "admin"
	Researcher = "researcher"
	Colleague  = "colleague"
)

// Images that the registry has from the beginning.
const (
	// Python is Python 3.11 with numpy and scikit-learn.
	Python = "localhost:5000/python:3.11"
	// BarePython is the same without packages.
	BarePython = "localhost:5000/python:3.11-bare"
	// PythonVersion is that of both.
	PythonVersion = "3.11"
)

// Simulated nodes have this label, and a taint of the same key and value that keeps other pods away (NoSchedule).
const (
	SimulatedLabel = "type"
	SimulatedValue = "simulated"
)

// What every simulated pod has in its log: a line that a program prints, and one in which MetaML's own program reports
// a metric.
const (
	SimulatedPrints  = "simulated"
	SimulatedReports = `[metaml] {"type":"trial.report","step":7,"metrics":{"loss":0.5}}`
)

// Patience is how long a server may take to be ready again.
const Patience = time.Minute

// Cluster is the cluster around this process.
type Cluster struct{ Folder string }

// Here is the cluster that this process runs in, if it does.
func Here() (cluster Cluster, is bool) {
	folder := os.Getenv(Variable)
	return Cluster{folder}, folder != ""
}

// Kubeconfig is the path of a user's kubeconfig. Its only context has the user's name.
func (c Cluster) Kubeconfig(user string) string { return filepath.Join(c.Folder, user+".kubeconfig") }

// Socket is where requests are answered.
func (c Cluster) Socket() string { return filepath.Join(c.Folder, "control.sock") }

// Verb is what can be done to a server.
type Verb string

// The verbs.
const (
	Kill  Verb = "kill"
	Start Verb = "start"
)

// Request is what is written to the socket, as JSON, on a connection of its own; an Answer comes back.
type Request struct {
	Verb   Verb
	Server string
}

// Answer says what went wrong, if anything did.
type Answer struct{ Error string }

// Kill ends a server as kill -9 does: "kubelet", "kube-apiserver", "etcd", "containerd" or another of the cluster.
func (c Cluster) Kill(ctx context.Context, server string) error {
	return c.ask(ctx, Request{Kill, server})
}

// Start starts a server that was killed, and waits until it can be used.
func (c Cluster) Start(ctx context.Context, server string) error {
	return c.ask(ctx, Request{Start, server})
}

// Restart kills a server and starts it again.
func (c Cluster) Restart(ctx context.Context, server string) error {
	if err := c.Kill(ctx, server); err != nil {
		return err
	}
	return c.Start(ctx, server)
}

func (c Cluster) ask(ctx context.Context, request Request) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", c.Socket())
	if err != nil {
		return fmt.Errorf("%s %s: ask the cluster: %w", request.Verb, request.Server, err)
	}
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	var answer Answer
	if err := json.NewEncoder(connection).Encode(request); err != nil {
		return fmt.Errorf("%s %s: ask the cluster: %w", request.Verb, request.Server, err)
	}
	if err := json.NewDecoder(connection).Decode(&answer); err != nil {
		return fmt.Errorf("%s %s: hear from the cluster: %w", request.Verb, request.Server,
			errors.Join(context.Cause(ctx), err))
	}
	if answer.Error != "" {
		return fmt.Errorf("%s %s: %s", request.Verb, request.Server, answer.Error)
	}
	return nil
}

// Simulate adds nodes that KWOK plays, with 32 processors and 8 GPUs each: a Job's pod that tolerates them runs and
// succeeds there at once, without a container. All have the same log.
func (c Cluster) Simulate(ctx context.Context, nodes int) error {
	if err := c.Start(ctx, "kwok"); err != nil {
		return err
	}
	var list bytes.Buffer
	for i := range nodes {
		fmt.Fprintf(&list, `---
apiVersion: v1
kind: Node
metadata:
  name: simulated-%d
  labels: {%s: %s, kubernetes.io/os: linux, kubernetes.io/arch: amd64}
spec: {taints: [{key: %[2]s, value: %[3]s, effect: NoSchedule}]}
status:
  capacity: {cpu: "32", memory: 256Gi, ephemeral-storage: 500Gi, pods: "250", nvidia.com/gpu: "8"}
  allocatable: {cpu: "32", memory: 256Gi, ephemeral-storage: 500Gi, pods: "250", nvidia.com/gpu: "8"}
`, i, SimulatedLabel, SimulatedValue)
	}
	if err := c.kubectl(ctx, &list, "apply", "--server-side", "-f", "-"); err != nil {
		return fmt.Errorf("add simulated nodes: %w", err)
	}
	return nil
}
