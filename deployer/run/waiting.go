package run

import "time"

// Waiting says why a pending trial has not started.
type Waiting struct {
	Reason Reason
	Text   string    // what it waits for, in one clause; "" says no more than Reason
	Hint   string    // what to do, in full sentences; "" is nothing
	Since  time.Time // when that was seen
}

// The reasons for which a trial waits. Local trials wait for each other alone, which is no reason.
const (
	WaitingStarting      Reason = "starting"                  // its container is being made
	WaitingPulling       Reason = "pulling image"             // its node fetches the image
	WaitingRetry         Reason = "retrying"                  // the cluster lets time pass between two attempts
	WaitingNode          Reason = "node is being added"       // an autoscaler makes room for it
	WaitingQueue         Reason = "queued"                    // a queue of the cluster holds the run back
	WaitingUnschedulable Reason = "unschedulable"             // no node has what it needs
	WaitingQuota         Reason = "quota"                     // the namespace has used up what it may use
	WaitingAdmission     Reason = "refused by admission"      // the cluster's rules do not let it in
	WaitingImage         Reason = "image cannot be pulled"    // there is none of the name, or no right to have it
	WaitingStorage       Reason = "storage cannot be mounted" // a volume is not there, or another node has it
	WaitingConfiguration Reason = "configuration"             // a Secret or ConfigMap that it names is not there
)

// Passes reports whether waiting for the reason is over in moments, whatever anybody does.
func (r Reason) Passes() bool {
	return r == WaitingStarting || r == WaitingPulling || r == WaitingRetry
}

// wait takes in why the attempt waits. The latest reason counts; one without a name says that nothing holds it any
// more.
func (t *Trial) wait(e Event) {
	if t.said.compare(originOf(e)) > 0 {
		return
	}
	t.said, t.why = originOf(e), nil
	if e.Reason != "" {
		t.why = &Waiting{Reason: e.Reason, Text: e.Text, Hint: e.Hint, Since: e.Time}
	}
}

// awaitAll decides for every trial what [State.await] decides for one.
func (s *State) awaitAll() {
	for i := range s.Trials {
		s.await(&s.Trials[i])
	}
}

// await decides whether the reason is still one: the trial can start, and it was given since the run was resumed.
func (s *State) await(t *Trial) {
	t.Waiting = nil
	if t.Phase == Pending && !s.Phase.Final() && !s.StopAsked && !t.StopAsked && !t.said.time.Before(s.Resumed) {
		t.Waiting = t.why
	}
}
