//go:build linux

package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

const (
	apiServer = "https://127.0.0.1:6443"
	// registryAddress is the registry for nodes and people; pods reach it at the node's address.
	registryAddress = "localhost:5000"
	registryForPods = nodeIP + ":5000"
)

// people are the users with a token. Only the first may do anything before a test lets the others.
type people struct{ admin user }

// writeConfiguration writes keys, certificates and the files that the servers read.
func writeConfiguration(here inside.Cluster, group string) (people, error) {
	for _, folder := range []string{"pki", "cni", "registries/" + registryForPods} {
		if err := os.MkdirAll(filepath.Join(here.Folder, folder), 0o755); err != nil {
			return people{}, err
		}
	}
	authority, err := writeKeys(filepath.Join(here.Folder, "pki"))
	if err != nil {
		return people{}, err
	}
	files := configuration(here.Folder, group)
	// Servers are known by certificates, as in a cluster that kubeadm sets up.
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"} {
		pki := filepath.Join(here.Folder, "pki")
		files[name+".kubeconfig"] = kubeconfig(authority, name, fmt.Sprintf(
			"client-certificate: %[1]s/%[2]s.crt, client-key: %[1]s/%[2]s.key", pki, name))
	}
	users := people{admin: authority.newUser(inside.Admin, "system:masters")}
	var tokens strings.Builder
	for _, one := range []user{
		users.admin, authority.newUser(inside.Researcher, "people"), authority.newUser(inside.Colleague, "people"),
	} {
		fmt.Fprintf(&tokens, "%s,%s,%s,%s\n", one.token, one.name, one.name, one.group)
		files[filepath.Base(here.Kubeconfig(one.name))] = kubeconfig(authority, one.name, "token: "+one.token)
	}
	files["pki/tokens.csv"] = tokens.String()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(here.Folder, name), []byte(text), 0o600); err != nil {
			return people{}, err
		}
	}
	return users, nil
}

// writeKeys makes the cluster's authority, and what the servers are known by.
func writeKeys(pki string) (authority, error) {
	authority, err := newAuthority()
	if err != nil {
		return authority, err
	}
	if err := os.WriteFile(filepath.Join(pki, "ca.crt"), authority.pem, 0o600); err != nil {
		return authority, err
	}
	accounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority, err
	}
	if err := writeKey(filepath.Join(pki, "accounts.key"), accounts); err != nil {
		return authority, err
	}
	for _, one := range []struct {
		name      string
		subject   pkix.Name
		addresses []string
	}{
		{"kube-apiserver", pkix.Name{CommonName: "kube-apiserver"}, []string{
			"127.0.0.1", nodeIP, firstService, "localhost",
			"kubernetes", "kubernetes.default", "kubernetes.default.svc",
		}},
		{"kueue", pkix.Name{CommonName: "kueue"}, []string{"127.0.0.1"}},
		{"aggregator", pkix.Name{CommonName: "aggregator"}, nil},
		{"asks-kubelet", pkix.Name{CommonName: "kube-apiserver", Organization: []string{"system:masters"}}, nil},
		{"kube-controller-manager", pkix.Name{CommonName: "system:kube-controller-manager"}, nil},
		{"kube-scheduler", pkix.Name{CommonName: "system:kube-scheduler"}, nil},
		{"kube-proxy", pkix.Name{CommonName: "system:kube-proxy"}, nil},
		{"kubelet", pkix.Name{CommonName: "system:node:" + nodeName, Organization: []string{"system:nodes"}}, nil},
	} {
		if err := authority.issue(pki, one.name, one.subject, one.addresses...); err != nil {
			return authority, err
		}
	}
	return authority, nil
}

func kubeconfig(authority authority, user, credentials string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: %[3]s, user: {%[4]s}}]
contexts: [{name: %[3]s, context: {cluster: test, user: %[3]s}}]
current-context: %[3]s
`, apiServer, base64.StdEncoding.EncodeToString(authority.pem), user, credentials)
}

// configuration are the files that servers read, by name in the cluster's folder.
func configuration(folder, group string) map[string]string {
	return map[string]string{
		// What is asked for later is who wrote what, not what was read.
		"audit.yaml": `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Metadata, verbs: [create, update, patch, delete, deletecollection]}
- {level: None}
`,
		// A machine on which nobody may lower oom_score_adj (no CAP_SYS_RESOURCE) runs pods all the same.
		"containerd.toml": fmt.Sprintf(`version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%s/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "%[2]s/registries"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "%[2]s/cni"
`, registryAddress, folder),
		"registries/" + registryForPods + "/hosts.toml": fmt.Sprintf(`server = "http://%[1]s"
[host."http://%[1]s"]
  capabilities = ["pull", "resolve"]
`, registryForPods),
		"cni/10-bridge.conflist": fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
`, nodePods),
		// Both versions of control groups do, and nothing is evicted because this machine's disk is rather full. There
		// is no DNS of the cluster: pods ask the one that the node asks.
		"kubelet.yaml": fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: %[1]s/pki/ca.crt}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /%[2]s
failSwapOn: false
failCgroupV1: false
oomScoreAdj: 0
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
resolvConf: /etc/resolv.conf
clusterDNS: [%[3]s]
clusterDomain: cluster.local
volumePluginDir: /var/lib/kubelet/volume-plugins
maxPods: 250
registryPullQPS: 0
eventRecordQPS: 0
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "1%%", imagefs.available: "1%%", memory.available: "100Mi"}
`, folder, group, nameServer),
		"kube-proxy.yaml": fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: %[2]s
clientConnection: {kubeconfig: %[1]s/kube-proxy.kubeconfig}
hostnameOverride: %[3]s
conntrack: {maxPerCore: 0}
`, folder, pods, nodeName),
		// Every simulated pod has the same log, in the form in which container runtimes keep one.
		"kwok.yaml": fmt.Sprintf(`apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata: {name: pods}
spec: {logs: [{logsFile: %s/simulated.log}]}
`, folder),
		"simulated.log": "2026-01-01T00:00:00.000000001Z stdout F " + inside.SimulatedPrints + "\n" +
			"2026-01-01T00:00:00.000000002Z stderr F " + inside.SimulatedReports + "\n",
	}
}
