package report

import (
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
)

// Entry is a run in `metaml runs --json`.
type Entry struct {
	Name      string       `json:"name"`
	Target    string       `json:"target"`
	Kind      run.Kind     `json:"kind"`
	Series    string       `json:"series"`
	State     run.Phase    `json:"state"`
	Reason    run.Reason   `json:"reason"`
	Liveness  run.Liveness `json:"liveness"`
	Damage    string       `json:"damage,omitempty"`
	Gone      bool         `json:"gone,omitempty"` // no longer in its cluster: what is kept here is all there is
	Trials    int          `json:"trials"`
	Done      int          `json:"done"` // came to an end of their own: succeeded or failed
	Failed    int          `json:"failed"`
	Stopped   int          `json:"stopped"`
	Waiting   int          `json:"waiting"` // are pending for a reason that is known
	Created   time.Time    `json:"created"`
	Source    string       `json:"source"`
	Objective *Objective   `json:"objective"`
	Best      *int         `json:"best"`
	URL       string       `json:"url,omitempty"` // of a server that answers, or did
	Ready     bool         `json:"ready"`         // a server answered the request
	Record    Record       `json:"record"`
}

// Record shows when what was said of a run is no longer so: when its event file has another size.
type Record struct {
	File string `json:"file"`
	Size int64  `json:"size"`
}

func recordOf(client *deployer.Client, l *run.Listed) Record {
	_, events := client.Runs.Where(l.Spec.Name)
	return Record{File: events, Size: l.Size}
}

// Objective is the metric that decides, and its direction.
type Objective struct {
	Metric string `json:"metric"`
	Mode   string `json:"mode"` // "max" or "min"
}

// bestOf gives the objective and the best trial of a run; each is nil where there is none.
func bestOf(s *run.State) (*Objective, *int) {
	var (
		j    *Objective
		best *int
	)
	if o, err := s.Objective(); err == nil {
		j = &Objective{Metric: o.Metric, Mode: o.Direction()}
	}
	if i, err := s.Best(); err == nil {
		best = &i
	}
	return j, best
}

// Entries gives runs as `metaml runs --json` lists them.
func Entries(client *deployer.Client, listed []run.Listed) []Entry {
	out := make([]Entry, 0, len(listed))
	for i := range listed {
		l := &listed[i]
		j := Entry{
			Name: l.Spec.Name, Target: l.Target, Kind: l.Spec.Kind, URL: Address(l), Ready: l.Answers(),
			Series:   l.Spec.Series,
			Liveness: l.Liveness, Damage: l.Damage, Gone: l.Gone, Created: l.Spec.Created, Source: l.Spec.Source,
			Record: recordOf(client, l),
		}
		if l.State != nil {
			c := l.State.Count()
			j.State, j.Reason, j.Trials, j.Done = l.State.Phase, l.State.Reason, len(l.State.Trials), c.Completed()
			j.Failed, j.Stopped = c.Failed, c.Stopped
			j.Waiting, _ = waiting(l.State)
			j.Objective, j.Best = bestOf(l.State)
			if l.Liveness == run.Restarted && !j.State.Final() {
				j.State, j.Reason = run.Failed, run.ReasonRestarted
			}
		}
		out = append(out, j)
	}
	return out
}
