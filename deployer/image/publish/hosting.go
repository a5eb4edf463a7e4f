package publish

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// Hosting is how a cluster says that it has a registry for whoever develops on it (KEP-1755, "Communicating a local
// registry"): as YAML in the key [HostingKey] of ConfigMap local-registry-hosting in namespace kube-public.
type Hosting struct {
	Host                     string `json:"host"`                     // as this machine calls it
	HostFromContainerRuntime string `json:"hostFromContainerRuntime"` // as nodes do, where they do otherwise
	HostFromClusterNetwork   string `json:"hostFromClusterNetwork"`   // as pods do
	Help                     string `json:"help"`
}

// Where a cluster says it.
const (
	HostingNamespace = "kube-public"
	HostingName      = "local-registry-hosting"
	HostingKey       = "localRegistryHosting.v1"
)

// ParseHosting reads what a cluster says of its registry.
func ParseHosting(text string) (*Hosting, error) {
	h := &Hosting{}
	if err := yaml.Unmarshal([]byte(text), h); err != nil {
		return nil, fmt.Errorf("read %s: %w", HostingKey, err)
	}
	for _, host := range []*string{&h.Host, &h.HostFromContainerRuntime, &h.HostFromClusterNetwork} {
		*host = strings.TrimSuffix(strings.TrimSpace(*host), "/")
	}
	return h, nil
}

// Repository gives the names of a repository there: as it is pushed to, from a pod of the cluster or from outside, and
// as nodes pull from it. Both are "" where the cluster has none.
func (h *Hosting) Repository(repository string, inPod bool) (pushed, pulled string) {
	host := h.Host
	if inPod {
		host = h.HostFromClusterNetwork
	}
	if host == "" {
		return "", ""
	}
	pulled = h.HostFromContainerRuntime
	if pulled == "" {
		pulled = h.Host
	}
	if pulled == "" {
		pulled = host
	}
	return host + "/" + repository, pulled + "/" + repository
}
