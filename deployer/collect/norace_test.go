//go:build !race

package collect

const raced = false
