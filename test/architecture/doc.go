// Package architecture tests what holds for the whole tree: which package may import which, that every package says
// what it is for, and what may not stand in a file.
//
// Read imports_test.go first: its tables are the architecture, and stand nowhere else. The package has no code beside
// the tests and imports the version alone.
package architecture
