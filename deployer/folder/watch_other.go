//go:build !linux

package folder

// NewWatch watches until Close.
func NewWatch(...string) *Watch { return poll() }
