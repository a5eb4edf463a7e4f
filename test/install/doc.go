// Package install tests what a person meets first: the sentences about missing
// prerequisites, the wheel, and the environments that make prepares. It has no
// code of its own beside the tests, and imports no room.
package install
