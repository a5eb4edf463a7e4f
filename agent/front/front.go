// Package front is the HTTP side of a server: a process that takes requests, queues them and hands them to the workers
// over Unix sockets, in batches where the function takes those (docs/reference/serving.md, docs/internals/protocols.md
// §6, §7).
//
// Read [Start] first: how the monitor starts a front and orders what it does; its other end is [Main], the process.
// Inside, a request goes from endpoint.go (HTTP) and request.go (what the function gets) through a revision's queue
// (queue.go) to a worker (worker.go, wire.go) and back (answer.go). Package jsonarray turns JSON into arrays and
// arrays into JSON.
//
// It imports agent/frame, agent/front/jsonarray, deployer/run and deployer/folder alone, of the product.
package front
