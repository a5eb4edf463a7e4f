package folder

import (
	"encoding/json"
	"os"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/atomicfile"
)

// summary is summary.json: how a run that has ended looks in a list, so that nobody need fold its events for that. It
// is right as long as the event file has the size that it had then.
type summary struct {
	V           int            `json:"v"`
	Size        int64          `json:"size"` // of events.jsonl, in bytes
	Phase       run.Phase      `json:"phase"`
	Reason      run.Reason     `json:"reason,omitempty"`
	Text        string         `json:"text,omitempty"`
	Submitted   time.Time      `json:"submitted"`
	Ended       time.Time      `json:"ended"`
	Parallelism int            `json:"parallelism"`
	Trials      []summaryTrial `json:"trials"`
	Server      *summaryServer `json:"server,omitempty"`
}

// summaryServer is what a list shows of a server that has ended.
type summaryServer struct {
	Revision int       `json:"revision"`
	Address  string    `json:"address"`
	Ready    time.Time `json:"ready"`
	Restarts int       `json:"restarts,omitempty"`
}

type summaryTrial struct {
	Phase    run.Phase   `json:"phase"`
	Reason   run.Reason  `json:"reason,omitempty"`
	Attempt  int         `json:"attempt"`
	Metrics  run.Metrics `json:"metrics,omitempty"`
	Returned []string    `json:"returned,omitempty"`
}

// SummaryFile is summary.json.
func (r Run) SummaryFile() string { return r.join("summary.json") }

// WriteSummary keeps what a list shows of a run that has ended; size is that of its event file.
func (r Run) WriteSummary(s *run.State, size int64) error {
	out := summary{
		V: 1, Size: size, Phase: s.Phase, Reason: s.Reason, Text: s.Text, Submitted: s.Submitted, Ended: s.Ended,
		Parallelism: s.Parallelism, Trials: make([]summaryTrial, len(s.Trials)),
	}
	for i := range s.Trials {
		t := &s.Trials[i]
		out.Trials[i] = summaryTrial{t.Phase, t.Reason, t.Attempt, t.Metrics, t.Returned}
	}
	if v := s.Server; v != nil {
		out.Server = &summaryServer{v.Revision, v.Address, v.Ready, v.Restarts}
	}
	data, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return atomicfile.Write(r.SummaryFile(), data, 0o600)
}

// ReadSummary gives the state of a run that has ended without what only its events have: the course of metrics, times
// of trials, errors, notes; and the size of the event file. It is nil if there is no summary or the events have changed
// since.
func (r Run) ReadSummary(spec run.Spec) (state *run.State, size int64) {
	data, err := os.ReadFile(r.SummaryFile())
	if err != nil {
		return nil, 0
	}
	info, err := os.Stat(r.Events())
	if err != nil {
		return nil, 0
	}
	var in summary
	if json.Unmarshal(data, &in) != nil || in.V != 1 || in.Size != info.Size() || !in.Phase.Final() ||
		len(in.Trials) > maxCompletions {
		return nil, 0
	}
	s := run.NewState(spec)
	s.Phase, s.Reason, s.Text, s.Parallelism = in.Phase, in.Reason, in.Text, in.Parallelism
	s.Submitted, s.Ended = in.Submitted, in.Ended
	if v := in.Server; v != nil {
		s.Server = &run.Server{Revision: v.Revision, Address: v.Address, Ready: v.Ready, Restarts: v.Restarts}
	}
	s.Completions = len(in.Trials)
	s.Trials = make([]run.Trial, len(in.Trials))
	for i, t := range in.Trials {
		s.Trials[i] = run.Trial{
			Index: i, Phase: t.Phase, Reason: t.Reason, Attempt: t.Attempt, Metrics: t.Metrics, Returned: t.Returned,
		}
	}
	return s, in.Size
}
