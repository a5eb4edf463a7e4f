package record

import (
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// broken reports whether nobody goes on with a run that has not ended, unless it is resumed.
func broken(l run.Liveness) bool { return l == run.Restarted || l == run.Copied }

// liveness says who looks after a run, or after the copy that is here of one that runs elsewhere.
func (e entry) liveness(spec run.Spec, state *run.State) run.Liveness {
	if state.Phase.Final() {
		return run.Ended
	}
	if e.folder.Monitored() || !e.away() && state.Server != nil && e.folder.IsProcess(state.Server.Front) {
		return run.Alive
	}
	if e.folder.Own(&spec) != "" {
		return run.Copied
	}
	m := e.folder.ReadMonitor()
	boot := m.BootID
	if boot == "" {
		boot = spec.BootID
	}
	if now := folder.BootID(); !e.away() && boot != "" && now != "" && boot != now {
		return run.Restarted
	}
	if m.PID == 0 && time.Since(spec.Created) < startup {
		return run.Alive // its first monitor is on its way
	}
	return run.Dead
}

// startup is how long a new run may be without a monitor before people are shown that.
const startup = 5 * time.Second

// brokenOff gives the events that stand, for readers, for what nobody was there to write.
func brokenOff(name string, state *run.State, why run.Liveness) []run.Event {
	reason, cause := run.ReasonRestarted, "the machine was restarted"
	if why == run.Copied {
		reason, cause = run.ReasonCopied, "the folder of the run was made elsewhere"
	}
	var events []run.Event
	now := time.Now()
	for i := range state.Trials {
		if t := &state.Trials[i]; t.Phase == run.Running {
			events = append(events, run.Event{
				V: 1, Run: name, Time: now, Type: run.EventTrialEnded, Trial: &t.Index, Attempt: t.Attempt,
				State:  run.Failed,
				Reason: reason, Code: run.CodeDisruption,
			})
		}
	}
	text := cause + " while it was going; metaml resume " + name + " goes on with its unfinished trials"
	switch {
	case state.Server != nil:
		text = cause + "; metaml resume " + name + " starts the server"
	case why == run.Copied:
		text = cause + "; metaml resume " + name + " runs its unfinished trials here"
	}
	return append(events, run.Event{
		V: 1, Run: name, Time: now, Type: run.EventEnded, State: run.Failed, Reason: reason, Text: text,
	})
}
