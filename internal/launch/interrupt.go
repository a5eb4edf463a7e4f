package launch

import (
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/deployer/view"
)

// InterruptMeans says what an interrupt does to a run that is shown; nothing, where nobody waits for it.
func InterruptMeans(s *settings.Resolved) string {
	if s.Has("detach") && s.Bool("detach") {
		return view.Unattended
	}
	return interruptMeans(s)
}

// InterruptAgain says what an interrupt does to a run that goes on and is shown, however it was submitted.
func InterruptAgain(spec run.Spec) string {
	return interruptMeans(settings.Recorded(spec.Kind, spec.Settings))
}

func interruptMeans(s *settings.Resolved) string {
	if s.Has("interrupt") {
		return s.Text("interrupt")
	}
	if s.Text("target") == run.Kubernetes {
		return "detach" // it need not end because somebody does not wait for it
	}
	return "stop"
}
