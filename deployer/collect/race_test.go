//go:build race

package collect

// raced: under the race detector a simulation takes ten times as long.
const raced = true
