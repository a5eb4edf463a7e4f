// Package front is the HTTP side of a server: a process that takes requests, queues them and hands them to the workers over Unix
// sockets, in batches where the function takes those (docs/reference/serving.md, docs/internals/protocols.md §6, §7).
//
// Read [Start] first: how the monitor starts a front and tells it what to do; its other end is [Main], the process. Inside, a
// request goes from endpoint.go (HTTP) and request.go (what the function gets) through a revision's queue (queue.go) to a worker
// (worker.go, wire.go) and back (answer.go). array.go turns JSON into arrays and arrays into JSON.
//
// It imports agent/frame and deployer/folder alone, of the product.
package front

import (
	"time"
)

// Revision is a version of the function, with workers of its own.
type Revision struct {
	Number  int           // from 1
	Path    string        // of its endpoint: "/predict"
	Batch   int           // most inputs of one call; 0: one by one
	Timeout time.Duration // of a request, from its arrival
	Workers int           // how many it has

	// Who may ask, beside those who call this machine localhost.
	Hosts     []string // other names that it is known by; "*" is all
	Addresses bool     // and any IP address
	Origins   []string // of pages of other sites; "*" is all
}

// Worker is a process that waits for the front at a socket.
type Worker struct {
	Revision int
	Index    int // from 0
	Attempt  int // from 1
	PID      int
	Socket   string
}

// WorkerID names an attempt of a worker.
type WorkerID struct {
	Revision int
	Index    int
	Attempt  int
}

// Probed is what a call of the function as a test has given.
type Probed struct {
	Revision    int
	Status      int     // of the answer, as HTTP has it
	ContentType string  // of the answer
	Body        string  // the beginning of the answer; what is not UTF-8 in it is replaced
	Example     string  // the input, JSON; "" is unknown
	Seconds     float64 // that the answer took
	Error       string  // a sentence, where the status is not one of success
	Skipped     bool    // there was no input to try
}

// Update is one thing that a front tells. One of the fields is set.
type Update struct {
	Connected *WorkerID // its worker can be called from now on
	Probed    *Probed
	Switched  int       // new requests go to this revision
	Drained   int       // nothing of this revision is queued or being answered
	Hung      *WorkerID // it did not answer in time: kill it
	Ended     *End      // the process is gone; the last update
}

// End is how a front ended.
type End struct {
	Exit   int    // exit status, if Signal is 0
	Signal int    // the signal that ended it
	Text   string // why it had to be ended, if it had to be
}
