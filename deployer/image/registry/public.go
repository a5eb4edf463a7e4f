package registry

import (
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// public are the registries where everybody can read what is sent to a new repository, unless its owner has said
// otherwise, as their documentation has it.
var public = []string{name.DefaultRegistry, "public.ecr.aws", "ttl.sh"}

// Public reports whether everybody can read a new repository of a registry.
func Public(at name.Registry) bool { return slices.Contains(public, at.RegistryStr()) }
