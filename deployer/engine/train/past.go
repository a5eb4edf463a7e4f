package train

import "github.com/metaml/metaml/deployer/run"

// Past is what a run's event file says, with what only the engine needs of it.
type Past struct {
	State       *run.State
	spec        run.Spec
	retries     map[int]int
	disruptions map[int]int
	// owed are the trials that ended but have another attempt coming, of which nothing is written yet: events that
	// belong together can be torn apart by a crash.
	owed map[int]bool
}

// NewPast is the past of a run of which nothing was written.
func NewPast(spec run.Spec) *Past {
	return &Past{
		State: run.NewState(spec), spec: spec,
		retries: map[int]int{}, disruptions: map[int]int{}, owed: map[int]bool{},
	}
}

// Apply adds one event.
func (p *Past) Apply(e run.Event) {
	if !p.State.Apply(e) {
		return
	}
	switch {
	case e.Type == run.EventResumed:
		clear(p.retries)
		clear(p.disruptions)
		for i := range p.State.Trials {
			if t := &p.State.Trials[i]; t.Phase.Final() && t.Unfinished() {
				p.owed[i] = true
			}
		}
	case e.Trial == nil:
	case e.Type == run.EventTrialQueued, e.Type == run.EventTrialStarted:
		delete(p.owed, *e.Trial)
	case e.Type != run.EventTrialEnded:
	case e.Code == run.CodeDisruption:
		p.disruptions[*e.Trial]++
		p.owed[*e.Trial] = p.disruptions[*e.Trial] <= maxDisruptions
	case e.Reason.Retriable():
		p.retries[*e.Trial]++
		p.owed[*e.Trial] = p.retries[*e.Trial] <= p.spec.Retries
	}
}

// Running lists the attempts that had not ended.
func (p *Past) Running() []run.AttemptID {
	var ids []run.AttemptID
	for i := range p.State.Trials {
		if t := &p.State.Trials[i]; t.Phase == run.Running {
			ids = append(ids, run.AttemptID{Trial: t.Index, Number: t.Attempt})
		} else if t.Phase == run.Pending && t.Attempt > 0 {
			// perhaps started, with no time left to write it
			ids = append(ids, run.AttemptID{Trial: t.Index, Number: t.Attempt})
		}
	}
	return ids
}
