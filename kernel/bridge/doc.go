// Package bridge is the kernel: front ends on one side, an ipykernel on the other,
// and every message of every channel carried between them as the frames it came in.
// Both sides share the key, so nothing is signed again.
//
// Read table.go first: it lists all that is intercepted and why. [Run] starts the
// wrapped kernel and ends with it. clients.go keeps, for each front end, sockets of
// its own to the wrapped kernel under the same identity, so that ipykernel answers,
// requests input and hands over as if the front end were connected to it.
//
// It imports kernel/wire, kernel/sockets and kernel/cell.
package bridge
