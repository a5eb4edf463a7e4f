package deployer

import (
	"fmt"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// reachedBy is the host by which callers outside of its cluster reach a server.
func reachedBy(s *settings.Resolved) string {
	if !s.Honours("ingress") {
		return ""
	}
	return s.Text("ingress")
}

// openNote says of a server that callers outside of its cluster reach, and that asks them for no token, who may use it;
// "" of any other.
func openNote(spec *run.Spec) string {
	s := spec.Server
	at := s.Ingress
	if s.Expose {
		at = "its load balancer"
	}
	if at == "" || s.Locked() {
		return ""
	}
	return fmt.Sprintf("%s asks callers for no token: whoever reaches %s may use it (--auth token asks for one)",
		run.ParseName(spec.Name).Run, at)
}
