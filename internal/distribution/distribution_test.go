package distribution_test

import (
	"testing"

	"github.com/metaml/metaml/internal/distribution"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name, normal string
		valid        bool
	}{
		{"PyYAML", "pyyaml", true},
		{"ruamel.yaml", "ruamel-yaml", true},
		{"a_-_.b", "a-b", true},
		{"4ch", "4ch", true},
		{"~umpy", "~umpy", false},
		{"naïve", "naïve", false},
		{"_private", "-private", false},
		{"a b", "a b", false},
		{"", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := distribution.Normalize(c.name); got != c.normal || distribution.IsName(c.name) != c.valid {
				t.Errorf("%q, valid %v; want %q, %v", got, !c.valid, c.normal, c.valid)
			}
		})
	}
}

func TestVersionsThatAnIndexHas(t *testing.T) {
	for text, want := range map[string]bool{
		"1": true, "2.4.6": true, "1!2.0": true, "3.0.0rc1": true, "1.0.post2": true, "1.0.dev3": true, "v1.0": true,
		"1.0a1.post2.dev3+cu121.x": true, "2024.7.4": true, "1.0-1": true,
		"": false, "1.0-custom": false, "unknown": false, "1.0+": false, "1..0": false, "1.0 ": false, "1.0\n2": false,
	} {
		t.Run(text, func(t *testing.T) {
			if got := distribution.IsVersion(text); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}
