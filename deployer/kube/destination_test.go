package kube

import (
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/registry"
)

func TestAPublicRepositoryIsSaidOnce(t *testing.T) {
	folder := t.TempDir()
	for _, c := range []struct {
		repository string
		says       bool
	}{
		{"ann/env", true},
		{"docker.io/ann/env", false}, // the same
		{"docker.io/ann/other", true},
		{"registry.example/ann/env", false},
	} {
		t.Run(c.repository, func(t *testing.T) {
			to, err := publish.NewRegistry(&registry.Client{}, c.repository)
			if err != nil {
				t.Fatal(err)
			}
			says := (&destination{to: to, folder: folder}).warning()
			if strings.HasPrefix(says, "docker.io makes new repositories public") != c.says || !c.says && says != "" {
				t.Errorf("it says %q", says)
			}
		})
	}
}
