// Package install tests what a person meets first: the sentences about missing prerequisites, the wheel, the build by
// pip, and the environments that make prepares.
//
// Read wheel_test.go first. The package has no code beside the tests and imports test/venv alone.
package install
