// Package architecture keeps the rules of the house: which room may import which,
// that every package says what it is for, and what may not stand in a file. It
// has no code of its own beside the tests, and imports no room; rooms_test.go
// is the one to read first, its table is the architecture.
package architecture
