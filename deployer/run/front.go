package run

import "time"

// The messages between what decides about a server (deployer/engine/serve) and its front (agent/front), neither of
// which imports the other. FrontOrder and FrontNotice are their form on the control socket
// (docs/internals/protocols.md §6).

// FrontRevision is what a front must know of a revision of the function, which has workers of its own.
type FrontRevision struct {
	Number  int           // from 1
	Path    string        // of its endpoint: "/predict"
	Batch   int           // most inputs of one call; 0: one by one
	Timeout time.Duration // of a request, from its arrival
	Workers int           // how many it has

	// Who may ask, beside those who call this machine localhost.
	Hosts     []string // other names that it is known by; "*" is all
	Addresses bool     // and any IP address
	Origins   []string // of pages of other sites; "*" is all
	Token     string   // sum of the token that callers must have, see [TokenSum]; "": nobody is asked
}

// WorkerID names an attempt of a worker.
type WorkerID struct {
	Revision int
	Index    int // from 0
	Attempt  int // from 1
}

// FrontWorker is a process that waits for the front at a socket.
type FrontWorker struct {
	WorkerID
	PID    int
	Socket string
}

// FrontUpdate is one message of a front. One of the fields is set.
type FrontUpdate struct {
	Connected *WorkerID // it can be called from now on
	Hung      *WorkerID // it did not answer in time: kill it
	Left      *WorkerID // it was one too many, has nothing left to answer and gets nothing more: end it
	Probed    *Probed
	Switched  int       // new requests go to this revision
	Drained   int       // nothing of this revision is queued or being answered
	Ended     *FrontEnd // the process is gone; the last update
}

// Probed is the result of a test call of the function.
type Probed struct {
	Revision    int
	Status      int     // of the answer, as HTTP has it
	ContentType string  // of the answer
	Body        string  // the beginning of the answer; what is not UTF-8 in it is replaced
	Example     string  // the input, JSON; "" is unknown
	Seconds     float64 // that the answer took
	Error       string  // a sentence, where the status is not one of success
	Skipped     bool    // there was no input to try
	Failure     *CallFailure
}

// CallFailure is why a call of the function failed, as its worker says it. Callers get an id alone.
type CallFailure struct {
	Text  string `json:"text"`            // what happened, as the worker's log has it under the id
	Fatal bool   `json:"fatal,omitempty"` // no input can make it right
	Error Error  `json:"error"`
}

// FrontEnd is how a front ended.
type FrontEnd struct {
	Exit   int    // exit status, if Signal is 0
	Signal int    // the signal that ended it
	Text   string // why it had to be ended, if it had to be
}

// The types of a FrontOrder.
const (
	OrderListen   = "listen"
	OrderUnlisten = "unlisten"
	OrderRevision = "revision"
	OrderScale    = "scale"
	OrderWorker   = "worker"
	OrderProbe    = "probe"
	OrderSwitch   = "switch"
	OrderRetire   = "retire"
	OrderLeave    = "leave"
	OrderStop     = "stop"
)

// FrontOrder is a message of a monitor to its front.
type FrontOrder struct {
	Type      string   `json:"type"`
	Address   string   `json:"address,omitempty"` // listen, unlisten
	Revision  int      `json:"revision,omitempty"`
	Path      string   `json:"path,omitempty"`       // revision
	Batch     int      `json:"batch,omitempty"`      // revision
	TimeoutMS int64    `json:"timeout_ms,omitempty"` // revision
	Workers   int      `json:"workers,omitempty"`    // revision, scale
	Hosts     []string `json:"hosts,omitempty"`      // revision
	Addresses bool     `json:"addresses,omitempty"`  // revision
	Origins   []string `json:"origins,omitempty"`    // revision
	Token     string   `json:"token,omitempty"`      // revision
	Worker    int      `json:"worker"`               // worker
	Attempt   int      `json:"attempt,omitempty"`    // worker
	PID       int      `json:"pid,omitempty"`        // worker
	Socket    string   `json:"socket,omitempty"`     // worker
	Body      *string  `json:"body,omitempty"`       // probe
	GraceMS   int64    `json:"grace_ms,omitempty"`   // stop
}

// Order makes the revision known to a front.
func (r *FrontRevision) Order() FrontOrder {
	return FrontOrder{
		Type: OrderRevision, Revision: r.Number, Path: r.Path, Batch: r.Batch, TimeoutMS: r.Timeout.Milliseconds(),
		Workers: r.Workers, Hosts: r.Hosts, Addresses: r.Addresses, Origins: r.Origins,
		Token: r.Token,
	}
}

// FrontRevision is the revision of an order to make one known.
func (o *FrontOrder) FrontRevision() FrontRevision {
	return FrontRevision{
		Number: o.Revision, Path: o.Path, Batch: o.Batch, Timeout: time.Duration(o.TimeoutMS) * time.Millisecond,
		Workers: o.Workers, Hosts: o.Hosts, Addresses: o.Addresses, Origins: o.Origins,
		Token: o.Token,
	}
}

// Order has a front dial the worker.
func (w FrontWorker) Order() FrontOrder {
	return FrontOrder{
		Type: OrderWorker, Revision: w.Revision, Worker: w.Index, Attempt: w.Attempt, PID: w.PID, Socket: w.Socket,
	}
}

// FrontWorker is the worker of an order to dial one.
func (o *FrontOrder) FrontWorker() FrontWorker {
	id := WorkerID{Revision: o.Revision, Index: o.Worker, Attempt: o.Attempt}
	return FrontWorker{WorkerID: id, PID: o.PID, Socket: o.Socket}
}

// The types of a FrontNotice.
const (
	NoticeConnected = "connected"
	NoticeHung      = "hung"
	NoticeLeft      = "left"
	NoticeProbed    = "probed"
	NoticeSwitched  = "switched"
	NoticeDrained   = "drained"
)

// FrontNotice is a message of a front to its monitor.
type FrontNotice struct {
	Type        string  `json:"type"`
	Revision    int     `json:"revision,omitempty"`
	Worker      int     `json:"worker"`
	Attempt     int     `json:"attempt,omitempty"`
	Status      int     `json:"status,omitempty"`
	ContentType string  `json:"content_type,omitempty"`
	Body        string  `json:"body,omitempty"`
	Example     string  `json:"example,omitempty"`
	Seconds     float64 `json:"seconds,omitempty"`
	Error       string  `json:"error,omitempty"`
	Skipped     bool    `json:"skipped,omitempty"`

	Failure *CallFailure `json:"failure,omitempty"`
}

// Notice is a notice about a worker: connected, hung or left.
func (id WorkerID) Notice(kind string) FrontNotice {
	return FrontNotice{Type: kind, Revision: id.Revision, Worker: id.Index, Attempt: id.Attempt}
}

// Notice is the notice of the result.
func (p *Probed) Notice() FrontNotice {
	return FrontNotice{
		Type: NoticeProbed, Revision: p.Revision, Status: p.Status, ContentType: p.ContentType, Body: p.Body,
		Example: p.Example, Seconds: p.Seconds, Error: p.Error, Skipped: p.Skipped, Failure: p.Failure,
	}
}

// Update gives the content of a notice, and whether its type is known.
func (n *FrontNotice) Update() (u FrontUpdate, known bool) {
	id := &WorkerID{Revision: n.Revision, Index: n.Worker, Attempt: n.Attempt}
	switch n.Type {
	case NoticeConnected:
		u.Connected = id
	case NoticeHung:
		u.Hung = id
	case NoticeLeft:
		u.Left = id
	case NoticeSwitched:
		u.Switched = n.Revision
	case NoticeDrained:
		u.Drained = n.Revision
	case NoticeProbed:
		u.Probed = &Probed{
			Revision: n.Revision, Status: n.Status, ContentType: n.ContentType, Body: n.Body, Example: n.Example,
			Seconds: n.Seconds, Error: n.Error, Skipped: n.Skipped, Failure: n.Failure,
		}
	default:
		return u, false
	}
	return u, true
}
