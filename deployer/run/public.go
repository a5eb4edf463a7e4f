package run

// Route is what leads requests for [ServerSpec.Ingress] to a server: an Ingress, or an HTTPRoute of a Gateway.
type Route struct {
	Class   string `json:"class,omitempty"`   // of the Ingress; "" is the cluster's default
	Gateway string `json:"gateway,omitempty"` // NAMESPACE/NAME; "" is an Ingress
	Origin  string `json:"origin"`            // "https://serve.example:8443"
}

// Public is how callers outside of its cluster reach a server, as its cluster says it.
type Public struct {
	URL   string // of the endpoint: "https://serve.example/predict"; "" is none, or not known yet
	Text  string // what people should know of it, a sentence without a full stop; "" is nothing
	Waits bool   // nothing leads there yet; Text says what is missing
}

// Event says it in a record.
func (p Public) Event() Event {
	e := Event{Type: EventServerPublic, Address: p.URL, Text: p.Text}
	if p.Waits {
		e.Code = NoteWaiting
	}
	return e
}

// Settled reports whether a revision is what answers, and no other is being started.
func (s *Server) Settled(revision int) bool {
	return revision > 0 && s.Revision == revision && s.Starting == 0
}
