// Package registry speaks with registries of images (OCI distribution specification 1.1): it says in words what they
// refuse.
//
// [Explain] is the door. It may import none of the product but its leaves.
package registry
