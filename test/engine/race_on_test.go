//go:build race

package engine_test

// raced says that the agent is to be built with the race detector, as this test was.
const raced = true
