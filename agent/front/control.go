package front

// order is what a monitor tells its front (docs/internals/protocols.md §6).
type order struct {
	Type      string   `json:"type"`
	Address   string   `json:"address,omitempty"` // listen, unlisten
	Revision  int      `json:"revision,omitempty"`
	Path      string   `json:"path,omitempty"`       // revision
	Batch     int      `json:"batch,omitempty"`      // revision
	TimeoutMS int64    `json:"timeout_ms,omitempty"` // revision
	Workers   int      `json:"workers,omitempty"`    // revision
	Hosts     []string `json:"hosts,omitempty"`      // revision
	Addresses bool     `json:"addresses,omitempty"`  // revision
	Origins   []string `json:"origins,omitempty"`    // revision
	Worker    int      `json:"worker"`               // worker
	Attempt   int      `json:"attempt,omitempty"`    // worker
	PID       int      `json:"pid,omitempty"`        // worker
	Socket    string   `json:"socket,omitempty"`     // worker
	Body      *string  `json:"body,omitempty"`       // probe
	GraceMS   int64    `json:"grace_ms,omitempty"`   // stop
}

// notice is what a front tells its monitor.
type notice struct {
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
}

// update gives what a notice says, and whether it says anything that is known.
func (n notice) update() (u Update, known bool) {
	id := &WorkerID{Revision: n.Revision, Index: n.Worker, Attempt: n.Attempt}
	switch n.Type {
	case "connected":
		u.Connected = id
	case "hung":
		u.Hung = id
	case "switched":
		u.Switched = n.Revision
	case "drained":
		u.Drained = n.Revision
	case "probed":
		u.Probed = &Probed{
			Revision: n.Revision, Status: n.Status, ContentType: n.ContentType, Body: n.Body, Example: n.Example,
			Seconds: n.Seconds, Error: n.Error, Skipped: n.Skipped,
		}
	default:
		return u, false
	}
	return u, true
}
