//go:build linux

package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/metaml/metaml/test/cluster/internal/inside"
	"github.com/metaml/metaml/test/cluster/internal/parts"
)

// server is a program that runs for as long as the cluster does.
type server struct {
	name string
	args []string
	// ready says what is still missing until others can use it.
	ready func(context.Context) error
}

// servers are all that the cluster has. KWOK is started when nodes are simulated, and Kueue and metrics-server when a
// test wants queues or an autoscaler with metrics.
func servers(here inside.Cluster, admin user, from parts.Parts) []server {
	file := func(name string) string { return filepath.Join(here.Folder, name) }
	pki := func(name string) string { return filepath.Join(here.Folder, "pki", name) }
	answers := func(path string) func(context.Context) error {
		return func(ctx context.Context) error { return admin.get(ctx, path, nil) }
	}
	return []server{
		{"etcd", []string{
			"etcd", "--data-dir=/var/lib/etcd", "--unsafe-no-fsync",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=default=http://127.0.0.1:2380",
		}, listens("tcp", "127.0.0.1:2379")},
		{"kube-apiserver", []string{
			"kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443", "--bind-address=0.0.0.0",
			"--advertise-address=" + nodeIP, "--service-cluster-ip-range=" + services,
			"--tls-cert-file=" + pki("kube-apiserver.crt"), "--tls-private-key-file=" + pki("kube-apiserver.key"),
			"--client-ca-file=" + pki("ca.crt"), "--token-auth-file=" + pki("tokens.csv"),
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + pki("accounts.key"),
			"--service-account-signing-key-file=" + pki("accounts.key"),
			"--kubelet-client-certificate=" + pki("asks-kubelet.crt"),
			"--kubelet-client-key=" + pki("asks-kubelet.key"),
			"--kubelet-preferred-address-types=InternalIP",
			// How other API servers know who asks (Kubernetes, "Configure the aggregation layer").
			"--requestheader-client-ca-file=" + pki("ca.crt"), "--requestheader-allowed-names=aggregator",
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + pki("aggregator.crt"), "--proxy-client-key-file=" + pki("aggregator.key"),
			"--enable-aggregator-routing=true", // the node does not reach Services from its own address
			"--audit-policy-file=" + file("audit.yaml"), "--audit-log-path=" + here.AuditLog(),
		}, answers("/readyz")},
		{"kube-controller-manager", []string{
			"kube-controller-manager", "--kubeconfig=" + file("kube-controller-manager.kubeconfig"),
			"--leader-elect=false", "--bind-address=127.0.0.1",
			"--controllers=*,-" + strings.Join(unneeded, "-controller,-") + "-controller",
			"--use-service-account-credentials=true", "--root-ca-file=" + pki("ca.crt"),
			"--service-account-private-key-file=" + pki("accounts.key"),
			// An autoscaler looks at the load often, believes new pods at once, and forgets a load soon.
			"--horizontal-pod-autoscaler-sync-period=1s", "--horizontal-pod-autoscaler-cpu-initialization-period=1s",
			"--horizontal-pod-autoscaler-initial-readiness-delay=1s",
			"--horizontal-pod-autoscaler-downscale-stabilization=1s",
		}, listens("tcp", "127.0.0.1:10257")},
		{"kube-scheduler", []string{
			"kube-scheduler", "--kubeconfig=" + file("kube-scheduler.kubeconfig"),
			"--leader-elect=false", "--bind-address=127.0.0.1",
		}, listens("tcp", "127.0.0.1:10259")},
		{
			"containerd",
			[]string{"containerd", "-c", file("containerd.toml")},
			listens("unix", "/run/containerd/containerd.sock"),
		},
		{"kubelet", []string{
			"kubelet", "--kubeconfig=" + file("kubelet.kubeconfig"), "--config=" + file("kubelet.yaml"),
			"--hostname-override=" + nodeName, "--node-ip=" + nodeIP,
		}, nodeReady(admin)},
		{"kube-proxy", []string{"kube-proxy", "--config=" + file("kube-proxy.yaml")}, healthy("127.0.0.1:10256")},
		{
			"registry",
			[]string{"crane", "registry", "serve", "--address=0.0.0.0:5000", "--disk=/var/lib/registry"},
			listens("tcp", "127.0.0.1:5000"),
		},
		{"buildkitd", []string{
			"buildkitd", "--root=/var/lib/buildkit", "--oci-worker=true", "--containerd-worker=false",
			"--oci-worker-net=host",
		}, listens("unix", "/run/buildkit/buildkitd.sock")},
		{"kwok", []string{
			"kwok", "--kubeconfig=" + here.Kubeconfig(inside.Admin), "--manage-all-nodes=false",
			"--manage-nodes-with-label-selector=" + inside.SimulatedLabel + "=" + inside.SimulatedValue,
			"--config=" + stagesFile(from), "--config=" + file("kwok.yaml"), "--node-lease-duration-seconds=40",
			"--server-address=127.0.0.1:20247", "--node-ip=127.0.0.1", "--node-port=20247",
		}, listens("tcp", "127.0.0.1:20247")},
		{"kueue", []string{
			"kueue", "--kubeconfig=" + here.Kubeconfig(inside.Admin), "--certificate=" + pki("kueue.crt"),
		}, listens("tcp", inside.KueueWebhooks)},
		{"metrics-server", []string{
			"metrics-server", "--kubeconfig=" + here.Kubeconfig(inside.Admin),
			"--authentication-kubeconfig=" + here.Kubeconfig(inside.Admin),
			"--authorization-kubeconfig=" + here.Kubeconfig(inside.Admin),
			"--secure-port=" + strconv.Itoa(inside.MetricsPort), "--cert-dir=" + file("metrics-server"),
			"--kubelet-insecure-tls", "--kubelet-preferred-address-types=InternalIP",
			"--kubelet-client-certificate=" + pki("asks-kubelet.crt"),
			"--kubelet-client-key=" + pki("asks-kubelet.key"),
			"--metric-resolution=10s", "--kubelet-request-timeout=5s",
		}, listens("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(inside.MetricsPort)))},
	}
}

// unneeded are controllers for objects that no run has. Each one costs the start 0.1 s: the manager gets an account for
// one after the other, at the rate of requests that it has by default, with which Jobs are measured, too.
var unneeded = []string{
	"certificatesigningrequest-approving", "certificatesigningrequest-cleaner", "certificatesigningrequest-signing",
	"cronjob", "daemonset", "device-taint-eviction", "endpointslice-mirroring",
	"kube-apiserver-serving-clustertrustbundle-publisher", "legacy-serviceaccount-token-cleaner", "node-ipam",
	"persistentvolume-expander", "podcertificaterequest-cleaner", "replicationcontroller", "resourceclaim",
	"resourcepoolstatusrequest", "service-cidr", "storage-version-migrator", "storageversion-garbage-collector", "ttl",
	"validatingadmissionpolicy-status", "volumeattributesclass-protection",
}

// stagesFile is what KWOK's nodes and pods do. It lies beside KWOK.
func stagesFile(from parts.Parts) string {
	folders := filepath.SplitList(from.Bins)
	at := slices.IndexFunc(folders, func(folder string) bool {
		return strings.HasPrefix(filepath.Base(folder), "tools-")
	})
	return filepath.Join(folders[max(0, at)], "stages.yaml")
}

func listens(network, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

func healthy(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", address, answer.Status)
		}
		return nil
	}
}

// nodeReady waits until the kubelet has answered itself and has reported to the API server that pods can run.
func nodeReady(admin user) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := healthy("127.0.0.1:10248")(ctx); err != nil {
			return err
		}
		var node struct {
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}
		if err := admin.get(ctx, "/api/v1/nodes/"+nodeName, &node); err != nil {
			return err
		}
		for _, one := range node.Status.Conditions {
			if one.Type == "Ready" && one.Status == "True" {
				return nil
			}
		}
		return fmt.Errorf("the node is not ready: %+v", node.Status.Conditions)
	}
}
