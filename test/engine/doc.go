// Package engine holds the tests of what executes runs and servers on a machine: monitor, agent and front, as the
// programs that are built and installed, driven through deployer/local. What a package does by itself is tested beside
// it.
//
// Read harness_test.go first: a bench is a target in a folder of the test's own, which checks in the end that no
// process is left. server_harness_test.go adds a server and requests to it.
//
// It imports deployer/run, deployer/folder and deployer/local.
package engine
