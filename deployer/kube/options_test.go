package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// What is made for an architecture goes to nodes of that alone.
func TestPodsGoWhereTheirImageCanBeExecuted(t *testing.T) {
	arm, mixed := nodes{arch: "arm64", known: true}, nodes{arch: "amd64"}
	for _, c := range []struct {
		name           string
		environ        []string
		at             nodes
		arch, selector string
		refused        string
	}{
		{"an image that is made, for the nodes", nil, arm, "arm64", "arm64", ""},
		{"for nodes of which nobody knows", nil, mixed, "amd64", "amd64", ""},
		{"for a platform", []string{"METAML_PLATFORM=linux/arm64"}, mixed, "arm64", "arm64", ""},
		{"for a selector", []string{"METAML_NODE_SELECTOR=kubernetes.io/arch=arm64"}, mixed, "arm64", "arm64", ""},
		{
			"for both",
			[]string{"METAML_PLATFORM=linux/arm64", "METAML_NODE_SELECTOR=kubernetes.io/arch=arm64"},
			mixed, "arm64", "arm64", "",
		},
		{
			"for two",
			[]string{"METAML_PLATFORM=linux/arm64", "METAML_NODE_SELECTOR=kubernetes.io/arch=amd64"},
			mixed, "", "",
			"--platform linux/arm64 and node_selector kubernetes.io/arch=amd64 exclude each other\n" +
				"Leave one of them out.",
		},
		{"an image that is named goes anywhere", []string{"METAML_IMAGE=a"}, arm, "arm64", "", ""},
		{
			"unless a platform is, too",
			[]string{"METAML_IMAGE=a", "METAML_PLATFORM=linux/amd64"},
			arm,
			"amd64", "amd64", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := settings.Resolve(run.Train, settings.Sources{
				Environ: append(c.environ, "METAML_TARGET=kubernetes", "METAML_REPOSITORY=registry.example/env"),
			})
			if err != nil {
				t.Fatal(err)
			}
			o := &manifest.Options{NodeSelector: map[string]string{}}
			for _, l := range r.Selector() {
				o.NodeSelector[l.Key] = l.Value
			}
			got, err := (&Place{settings: r}).arch(o, c.at)
			if c.refused != "" {
				if err == nil || err.Error() != c.refused {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || got != c.arch || o.NodeSelector[corev1.LabelArchStable] != c.selector {
				t.Errorf("it is %s, for nodes %v: %v", got, o.NodeSelector, err)
			}
		})
	}
}
