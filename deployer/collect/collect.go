// Package collect is what pods tell while they run: their files, copied as they grow to the monitor of the run, a
// process in the cluster, and from there to whoever follows the run. The package has the protocol and what decides on
// each side; the connections are in deployer/collect/send (a pod), serve (the monitor) and follow (a reader).
//
// Read [Source], [Piece] and [Answer] first, then [Sender], [Store], [Feed] and [Reader], which are the four ends of
// the two ways. They do no I/O of their own and get the time from the caller, so that one test plays a run with all its
// faults by seed (simulation_test.go). The package imports the standard library alone.
//
// # The protocol, version 1
//
// Files are only appended to. So a file's length says which part of it somebody has, and all that can go wrong on the
// way has one remedy: to go on from the length that the other side has. Nothing is numbered, and nothing is queued.
//
//	POST /v1/batch    a pod: a Batch. Answered by an Answer, with 200, or 507 when files were refused.
//	GET  /v1/stream   a reader: a WebSocket. The reader sends what it has (Hello), then how much it took (Took);
//	                  it gets messages of Frames, and one without any once it was sent all that there was.
//	GET  /healthz     200, without a token
//
// The first two need the header Authorization: Bearer TOKEN. Each error has one sentence as its body, as text.
//
// A batch that begins behind what the monitor has of a file is no error: nothing of it is taken, and the answer says
// from where to go on. What the monitor has already is dropped. A monitor that lost its disk is another [Answer.Store]
// with nothing in it, and gets everything again from the pods that live.
package collect

import "time"

// The limits of a run. A file of a pod that is over one of them is refused with a sentence, and not sent any further.
const (
	MaxBatch    = 256 << 10 // bytes of files in a batch or a message to a reader
	MaxPieces   = 64        // of a batch, and frames of a message
	MaxName     = 160       // bytes in the name of a file
	MaxDepth    = 8         // levels in the name of a file
	MaxFiles    = 1000      // files of a source
	MaxFile     = 64 << 20  // bytes of a file
	MaxSources  = 10_000    // sources of a run
	MaxRunFiles = 50_000    // files of a run; the monitor keeps the name and the length of each in memory
	MaxRun      = 256 << 20 // bytes of a run
)

// The limits of messages, in bytes.
const (
	maxHead = 1 << 10 // the line before the bytes of a piece or a frame

	MaxBatchSize  = MaxBatch + (MaxPieces+1)*maxHead // an encoded batch
	MaxFramesSize = MaxBatch + MaxPieces*maxHead     // an encoded message to a reader
	MaxHelloSize  = 256 << 10                        // a message from a reader
	MaxAnswerSize = 64 << 10                         // an encoded answer, and the text of an error
)

// Window is how many bytes may be on their way to a reader. It bounds what the sockets in the cluster hold, and makes
// what a slow reader has taken known soon enough.
const Window = 4 * MaxBatch

// The times of the protocol.
const (
	BatchEvery  = 100 * time.Millisecond // a pod sends no more than one batch in this time
	MaxPause    = 5 * time.Second        // nor less than one when it could not send the last
	AskEvery    = 10 * time.Second       // a pod where nothing grows finds out whether the monitor lost some
	FramesEvery = 50 * time.Millisecond  // between messages to a reader while what is new fits into one
	PingEvery   = 10 * time.Second       // of the monitor to its readers
	Patience    = 30 * time.Second       // a reader that takes nothing for so long is closed
)

// BatchesPerSecond is how many batches a second a monitor wants from all pods together. With more than 25 pods each is
// asked to wait longer than [BatchEvery], at most [MaxPause]: 200 ms with 50. A batch costs a monitor 0.1 to 0.2 ms of
// a processor (cmd/metaml-monitor has the benchmarks), and all of them are to need no more than 50 ms a second.
const BatchesPerSecond = 250

// Source is one attempt of a trial: a pod. Its containers are never started again (restartPolicy Never): a file that
// begins anew under the same ID would be taken for the old one.
type Source struct {
	ID      string `json:"id"` // the UID of the pod
	Trial   int    `json:"trial"`
	Attempt int    `json:"attempt"`
	Round   int    `json:"round,omitempty"` // of the Job that made the pod; 1 is the first
}

// Piece is a part of a file. Without Data it asks how long the file is at the monitor.
type Piece struct {
	File   string
	Offset int64 // of the first byte of Data, from 0
	Data   []byte
}

// Batch is what a pod sends at once: at most [MaxPieces] pieces with [MaxBatch] bytes. One without pieces asks whether
// the store is still the same.
type Batch struct {
	Source Source
	Pieces []Piece
}

// Answer is what the monitor says to a batch.
type Answer struct {
	// Store names the store, another one after each start of the monitor. When it changes, what was known of the
	// lengths of files holds no longer: the disk may be another, or its ends torn.
	Store string `json:"store"`
	// Sizes has, for each file of the batch, how long it is at the monitor now.
	Sizes map[string]int64 `json:"sizes"`
	// Refused has, for each file of the batch that is over a limit, a sentence. It is not to be sent any further.
	Refused map[string]string `json:"refused,omitempty"`
	// Wait is how long to wait before the next batch, in milliseconds.
	Wait int64 `json:"wait,omitempty"`
}

// Held says how much of a file a reader has.
type Held struct {
	ID   string `json:"id"` // of the source
	File string `json:"file"`
	Size int64  `json:"size"`
}

// Frame is a part of a file on its way to a reader.
type Frame struct {
	Source Source
	File   string
	Offset int64
	Data   []byte
}
