package run

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// seriesPoints bounds the points that a fold keeps of one metric of one trial: enough for a sparkline, small enough for
// 10,000 trials. The full history is in the event stream.
const seriesPoints = 64

// State is what a run looks like now. The zero value, or [NewState], is a run of which nothing is known yet; every
// event that is applied adds to it. Events of one source must be applied in their order; how several sources interleave
// does not matter, and an event applied twice counts once.
type State struct {
	Name        string
	Phase       Phase
	Reason      Reason // of Phase, when ended by something other than its trials
	Text        string // the sentence that goes with Reason
	Completions int
	Parallelism int
	Submitted   time.Time
	Ended       time.Time
	StopAsked   bool
	Resumed     time.Time // when it was resumed last
	Loaded      *Loaded
	Trials      []Trial // by index; a sweep may grow
	Notes       []Note
	Asked       Objective // what the user named; the zero value lets Objective choose
	N           int64     // the highest stamp applied: a reader's position
	Server      *Server   // of a serving run, which has no trials
	Build       Build     // how its image was made, where one was

	seen map[string]int64 // source → highest Seq applied
}

// Loaded says how the program's top level was executed.
type Loaded struct {
	Seconds float64
	Fork    bool     // trials are forks of the loaded process
	Causes  []string // why they are not
}

// Note is something people should know about a run.
type Note struct {
	Time     time.Time
	Trial    *int
	Revision int // of a server; 0: it is about all
	Code     string
	Text     string
	Hint     string
}

// Trial is what one trial looks like now. Its fields belong to its highest attempt, all but Past.
type Trial struct {
	Index     int
	Phase     Phase
	Reason    Reason
	Attempt   int // from 1; 0 before the first of which anything is known
	Started   time.Time
	Ended     time.Time
	PID       int
	Seed      *int64
	Exit      *int
	Metrics   Metrics           // last value of each metric; what was returned wins over what was reported
	Series    map[string]Series // the course of each metric, thinned
	Returned  []string          // names of the returned metrics, sorted
	LastOnly  bool              // Series lacks values: of its latest reports only the last ones are known
	Error     *Error
	Text      string // what happened, where Error is not it
	Hint      string // what to do about it, in full sentences
	Output    string
	StopAsked bool
	Waiting   *Waiting      // why it has not started, if anybody knows
	Past      []PastAttempt // its earlier attempts, of which at least the end is known

	reported Metrics  // last reported value of each metric, whatever was returned
	complete complete // its reports without a gap, where Series has others, too
	tail     []later  // reports with gaps between them that are later than those
	ended    origin   // the event that Phase comes from, once it is final
	why      *Waiting // the latest reason to wait, whether or not it still is one
	said     origin   // the event that it comes from
}

// Series is the course of one metric, thinned to at most [seriesPoints] values: every Stride-th report.
type Series struct {
	Values []float64
	Stride int
	count  int
}

// Elapsed is how long the trial has been running at now, or ran.
func (t *Trial) Elapsed(now time.Time) time.Duration {
	switch {
	case t.Started.IsZero():
		return 0
	case !t.Ended.IsZero():
		return t.Ended.Sub(t.Started)
	default:
		return now.Sub(t.Started)
	}
}

// Reports is how often the metric was reported.
func (s Series) Reports() int { return max(s.count, len(s.Values)) }

func (s Series) clone() Series {
	s.Values = slices.Clone(s.Values)
	return s
}

func (s Series) add(v float64) Series {
	if s.Stride == 0 {
		s.Stride = 1
	}
	if s.count%s.Stride == 0 {
		if len(s.Values) == seriesPoints {
			for i := range seriesPoints / 2 {
				s.Values[i] = s.Values[2*i]
			}
			s.Values = s.Values[:seriesPoints/2]
			s.Stride *= 2
		}
		if s.count%s.Stride == 0 {
			s.Values = append(s.Values, v)
		}
	}
	s.count++
	return s
}

// NewState is a run that was planned with spec and of which nothing has happened yet.
func NewState(spec Spec) *State {
	s := &State{
		Name: spec.Name, Phase: Pending, Submitted: spec.Created, Parallelism: spec.Parallelism, Asked: spec.Objective,
	}
	if spec.Kind == Serve {
		s.Server = &Server{}
	} else {
		s.grow(spec.Completions)
	}
	return s
}

func (s *State) grow(n int) {
	s.Trials = slices.Grow(s.Trials, max(n-len(s.Trials), 0))
	for i := len(s.Trials); i < n; i++ {
		s.Trials = append(s.Trials, Trial{Index: i, Phase: Pending})
	}
	s.Completions = max(s.Completions, n)
}

// Apply folds one event into the state. It reports whether the event was new.
func (s *State) Apply(e Event) bool {
	if s.seen == nil {
		s.seen = map[string]int64{}
	}
	if e.Seq != 0 {
		if e.Seq <= s.seen[e.Source] {
			return false
		}
		s.seen[e.Source] = e.Seq
	}
	s.N = max(s.N, e.N)
	if s.Name == "" {
		s.Name = e.Run
	}
	if s.Phase == "" {
		s.Phase = Pending
	}
	switch e.Type {
	case EventPlanned:
		s.grow(e.Completions)
		s.Parallelism = e.Parallelism
	case EventSubmitted:
		if s.Submitted.IsZero() {
			s.Submitted = e.Time
		}
	case EventLoaded:
		// The slowest of several loads is the one that people wait for.
		if s.Loaded == nil || e.Seconds >= s.Loaded.Seconds {
			s.Loaded = &Loaded{Seconds: e.Seconds, Fork: e.Fork, Causes: e.Causes}
		}
	case EventStopAsked:
		if e.Trial == nil {
			s.StopAsked = true
		} else if t := s.trial(e); t != nil {
			t.StopAsked = true
		}
		s.awaitAll()
	case EventTrialQueued, EventTrialWaiting, EventTrialStarted, EventTrialReport, EventTrialEnded:
		s.applyTrial(e)
	case EventServerStarting, EventServerReady, EventServerFailed, EventServerScaled, EventServerPublic,
		EventWorkerStarted, EventWorkerReady, EventWorkerEnded,
		EventFrontStarted, EventFrontEnded:
		s.applyServer(e)
	case EventBuildStep:
		if e.Build != nil {
			s.Build.Apply(*e.Build)
		}
	case EventNote:
		s.Notes = append(s.Notes, Note{
			Time: e.Time, Trial: e.Trial, Revision: e.Revision, Code: e.Code, Text: e.Text, Hint: e.Hint,
		})
		slices.SortStableFunc(s.Notes, func(a, b Note) int {
			return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Text, b.Text),
				cmp.Compare(a.Hint, b.Hint), cmp.Compare(number(a.Trial), number(b.Trial)))
		})
		s.Notes = lastOfEach(s.Notes)
	case EventEnded:
		if s.Server != nil {
			s.Server.Workers, s.Server.Starting = nil, 0
		}
		s.Phase, s.Reason, s.Text, s.Ended = e.State, e.Reason, e.Text, e.Time
		s.awaitAll()
	case EventResumed:
		s.Resumed = e.Time
		s.Phase, s.Reason, s.Text, s.Ended, s.StopAsked = Running, "", "", time.Time{}, false
		if s.Server != nil {
			s.Server.Starting = s.Server.Revision
		}
		for i := range s.Trials {
			s.Trials[i].StopAsked = false
		}
		s.awaitAll()
	}
	return true
}

// lastOfEach leaves of the notes about the way to the cluster, and of those about live curves, the last one: what is so
// now.
func lastOfEach(notes []Note) []Note {
	later := map[string]bool{}
	for i, n := range slices.Backward(notes) {
		if n.Code != NoteCluster && n.Code != NoteMonitor && n.Code != NoteAutoscaler {
			continue
		}
		if later[n.Code] {
			notes = slices.Delete(notes, i, i+1)
		}
		later[n.Code] = true
	}
	return notes
}

func number(trial *int) int {
	if trial == nil {
		return -1
	}
	return *trial
}

// trial gives the trial that e is about, or nil if e names none.
func (s *State) trial(e Event) *Trial {
	if e.Trial == nil || *e.Trial < 0 || *e.Trial >= maxTrials {
		return nil
	}
	s.grow(*e.Trial + 1)
	return &s.Trials[*e.Trial]
}

// maxTrials bounds what a damaged event can make a reader allocate; settings allow 100,000 completions.
const maxTrials = 1 << 20

func (s *State) applyTrial(e Event) {
	t := s.trial(e)
	if t == nil {
		return
	}
	if s.Phase == Pending && e.Type != EventTrialWaiting {
		s.Phase = Running
	}
	if e.Attempt < t.Attempt {
		if e.Type == EventTrialEnded {
			t.remember(PastAttempt{e.Attempt, e.State, e.Reason, e.Text, originOf(e)})
		}
		return
	}
	if e.Attempt > t.Attempt {
		before := *t
		*t = Trial{
			Index: t.Index, Attempt: e.Attempt, Phase: Pending, StopAsked: t.StopAsked, Past: t.Past,
		}
		t.remember(PastAttempt{before.Attempt, before.Phase, before.Reason, before.Text, before.ended})
	}
	switch e.Type {
	case EventTrialWaiting:
		t.wait(e)
	case EventTrialStarted:
		t.Started, t.PID, t.Seed = e.Time, e.PID, e.Seed
		t.raise(Running)
	case EventTrialReport:
		t.raise(Running)
		t.report(e)
	case EventTrialEnded:
		t.end(e)
	}
	s.await(t)
}

// end takes over how the attempt ended. Of several ends of one attempt (an agent's and its monitor's) the higher state
// counts, then the earlier one.
func (t *Trial) end(e Event) {
	if !e.State.Final() {
		return
	}
	if c := cmp.Compare(order[e.State], order[t.Phase]); c < 0 || c == 0 && t.ended.compare(originOf(e)) <= 0 {
		return
	}
	t.Phase, t.ended = e.State, originOf(e)
	t.Reason, t.Ended, t.Exit, t.Output = e.Reason, e.Time, e.Exit, e.Output
	t.Error, t.Text, t.Hint = e.Error, e.Text, e.Hint
	t.Metrics, t.Returned = nil, nil
	for name, v := range t.reported {
		t.set(name, v)
	}
	for name, v := range e.Metrics {
		t.set(name, v)
		t.Returned = append(t.Returned, name)
	}
	sort.Strings(t.Returned)
}

// origin identifies an event and orders two that say the same of one attempt, the same way whatever came first.
type origin struct {
	time   time.Time
	source string
	seq    int64
}

func originOf(e Event) origin { return origin{e.Time, e.Source, e.Seq} }

func (o origin) compare(p origin) int {
	return cmp.Or(o.time.Compare(p.time), cmp.Compare(o.source, p.source), cmp.Compare(o.seq, p.seq))
}

func (t *Trial) set(name string, v float64) {
	if t.Metrics == nil {
		t.Metrics = Metrics{}
	}
	t.Metrics[name] = v
}

// order ranks the states of one attempt: the higher wins, whatever came first.
var order = map[Phase]int{Pending: 0, Running: 1, Stopped: 2, Failed: 3, Succeeded: 4}

func (t *Trial) raise(p Phase) {
	if order[p] > order[t.Phase] {
		t.Phase = p
	}
}

// Counts says how many trials are in each state.
type Counts struct{ Pending, Running, Stopped, Failed, Succeeded int }

// Completed is the number of trials that came to an end of their own.
func (c Counts) Completed() int { return c.Failed + c.Succeeded }

// Done is the number of trials that are final.
func (c Counts) Done() int { return c.Stopped + c.Failed + c.Succeeded }

// Count counts the trials by state.
func (s *State) Count() Counts {
	var c Counts
	for i := range s.Trials {
		switch s.Trials[i].Phase {
		case Pending:
			c.Pending++
		case Running:
			c.Running++
		case Stopped:
			c.Stopped++
		case Failed:
			c.Failed++
		case Succeeded:
			c.Succeeded++
		}
	}
	return c
}

// Outcome is the state that a run with these trials ends in (docs/reference/rules.md §7): stopped if one was requested
// and a trial is stopped, failed if none succeeded or one failed for a reason that is not its own ([Reason.Ours]), else
// succeeded. It is Running while a trial is not final.
func (s *State) Outcome() Phase {
	c := s.Count()
	switch {
	case c.Done() < len(s.Trials):
		return Running
	case s.StopAsked && c.Stopped > 0:
		return Stopped
	case c.Succeeded == 0 && len(s.Trials) > 0:
		if c.Failed == 0 {
			return Stopped // every trial was stopped one by one
		}
		return Failed
	case slices.ContainsFunc(s.Trials, func(t Trial) bool { return t.Phase == Failed && t.Reason.Ours() }):
		return Failed
	default:
		return Succeeded
	}
}

// FailedAlike is the reason for which all failed trials failed, or "".
func (s *State) FailedAlike() Reason {
	var common Reason
	for i := range s.Trials {
		if t := &s.Trials[i]; t.Phase == Failed {
			if common != "" && t.Reason != common {
				return ""
			}
			common = t.Reason
		}
	}
	return common
}

// Unfinished reports whether a resumed run would go on with the trial: it has not ended, or what ended it was neither
// its own code nor its success.
func (t *Trial) Unfinished() bool {
	switch t.Phase {
	case Succeeded:
		return false
	case Failed:
		return t.Reason.Ours() || t.Reason == ReasonSignal || t.Reason == ReasonMemory || t.Reason == ReasonStopped
	default:
		return true
	}
}
