package run

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/metaml/metaml/internal/usererror"
)

// WorkersOf is how many workers a server of this spec has with so many replicas; 0 is as many as the spec says.
func (s *Spec) WorkersOf(replicas int) int {
	if s.Server == nil || s.Server.Workers == 0 { // a record that does not say how many each replica has
		return max(s.Completions, 1) * max(replicas, 1)
	}
	return s.Server.Workers * max(cmp.Or(replicas, s.Server.Replicas), 1)
}

// ReplicasOf is how many replicas a server has whose revision that answers, or is about to, has this spec. scaled: it
// was somebody's wish since it was submitted that they are not as many as its cell said.
func (s *Server) ReplicasOf(spec *ServerSpec) (n Replicas, scaled bool) {
	asked, since := spec.Wanted(), Replicas{Min: s.Replicas, Max: s.MaxReplicas}
	if since.Min == 0 || since == asked {
		return asked, false
	}
	return since, true
}

// Scaling is what becomes of the number of a server's replicas when a cell is submitted to it.
type Scaling struct {
	Replicas Replicas // from now on
	Change   bool     // they are as many as the cell says, and were not
	Note     string   // what people should know of it, a sentence; "" is nothing
}

// ScaledTo decides whether a server with this name gets as many replicas as a cell says that is submitted to it. What
// somebody scaled it to stays. spec is that of the revision which answers, or is about to.
func (s *Server) ScaledTo(name string, spec *ServerSpec, says Replicas) Scaling {
	says.Min = max(says.Min, 1)
	n, scaled := s.ReplicasOf(spec)
	switch {
	case n == says:
		return Scaling{Replicas: n}
	case scaled:
		stay := "stay"
		if n == (Replicas{Min: 1}) {
			stay = "stays"
		}
		return Scaling{Replicas: n, Note: fmt.Sprintf("%s was scaled to %s, which %s: metaml scale %s %s changes that",
			name, n.Words(), stay, name, says)}
	default:
		return Scaling{Replicas: says, Change: true, Note: fmt.Sprintf("%s is scaled from %s to %s; its revision stays",
			name, n, says.Words())}
	}
}

// Before is the revision that answered before the one that answers now; 0 is none.
func (s *Server) Before() int {
	for _, n := range slices.Backward(s.Answered) {
		if s.Revision == 0 || n < s.Revision {
			return n
		}
	}
	return 0
}

// Number is a revision in words: "revision 6 (revision 3 again)".
func (s *ServerSpec) Number() string {
	if s.Of > 0 {
		return fmt.Sprintf("revision %d (revision %d again)", s.Revision, s.Of)
	}
	return fmt.Sprintf("revision %d", s.Revision)
}

// Past is what is known of a revision that a server is to go back to.
type Past struct {
	Known    bool            // there is one
	Answered bool            // at some time
	Original func(n int) int // the revision that revision n is a copy of, or n
}

// CheckBack refuses a revision that a server with this name cannot go back to.
func (s *Server) CheckBack(name string, revision int, past Past) error {
	switch {
	case !past.Known:
		return usererror.New(usererror.CodeRevision, "server %s has no revision %d", name, revision)
	case !past.Answered:
		return usererror.New(usererror.CodeRevision, "revision %d of %s never answered", revision, name)
	case s.Revision == 0 || past.Original(s.Revision) != past.Original(revision):
		return nil
	}
	as := ""
	if revision != s.Revision {
		as = fmt.Sprintf(", as revision %d", s.Revision)
	}
	return usererror.New(usererror.CodeReady, "revision %d is what %s answers with already%s", revision, name, as)
}

// NoneBefore says that a server has no revision to go back to.
func NoneBefore(name string) error {
	return usererror.New(usererror.CodeRevision,
		"server %s has no revision that answered before the one that answers now", name)
}
