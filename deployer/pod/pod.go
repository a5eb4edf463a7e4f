// Package pod is what the target kubernetes and the process in its pods, cmd/metaml-pod, agree on: where a pod finds
// what it runs, which trial it is, how it says what became of it.
//
// Read [Message] and [ExitCode] first. It imports deployer/run alone.
package pod

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// The exit codes of a pod, by which the Job decides what to do (podFailurePolicy).
const (
	ExitSucceeded = 0
	ExitFailed    = 42 // the trial's own code failed: it is not run again
	ExitOurs      = 43 // MetaML or the pod's disk failed: it is run again
	ExitProgram   = 44 // the program cannot run in this image, or its top level failed: no trial can
	ExitStopped   = 45 // a stop was requested: it is not run again
	ExitEvicted   = 143
)

// The variables of a pod.
const (
	IndexVariable    = "JOB_COMPLETION_INDEX" // set by the Job controller
	FailuresVariable = "METAML_POD_FAILURES"  // annotation batch.kubernetes.io/job-index-failure-count
	IgnoredVariable  = "METAML_POD_IGNORED"   // annotation batch.kubernetes.io/job-index-ignored-failure-count
)

// The files that a pod finds in its input folder.
const (
	SpecName    = "run.json"
	TableName   = "table.jsonl"
	ProgramName = "program.tar.gz" // the program folder without what must stay where it was made
)

// StopAnnotation on a pod asks its trial to end.
const StopAnnotation = "metaml/stop"

// StopRequested reports whether the annotations of a pod, in a file of the downward API, ask its trial to end: a line
// KEY="VALUE" each (Kubernetes, "Downward API").
func StopRequested(annotations []byte) bool {
	for line := range bytes.Lines(annotations) {
		if name, _, _ := bytes.Cut(line, []byte("=")); string(name) == StopAnnotation {
			return true
		}
	}
	return false
}

// Attempt is the attempt of a trial that a pod runs, by its variables: getenv is [os.Getenv].
func Attempt(getenv func(string) string, completions int) (run.AttemptID, error) {
	id := run.AttemptID{Number: 1}
	index, err := strconv.Atoi(getenv(IndexVariable))
	if err != nil || index < 0 || index >= completions {
		return id, fmt.Errorf("%s is %q, and the run has trials 0 to %d", IndexVariable, getenv(IndexVariable),
			completions-1)
	}
	id.Trial = index
	for _, name := range []string{FailuresVariable, IgnoredVariable} {
		text := getenv(name)
		if text == "" {
			continue // there has been none
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return id, fmt.Errorf("%s is %q, which is no number of attempts", name, text)
		}
		id.Number += n
	}
	return id, nil
}

// MaxMessage is how long a termination message may be, in bytes (Kubernetes, "Determine the Reason for Pod Failure").
const MaxMessage = 4096

// Message is what a pod says of its trial at the end, as JSON in the file of its termination message.
type Message struct {
	V       int         `json:"v"`
	Trial   int         `json:"trial"`
	Attempt int         `json:"attempt"`
	State   run.Phase   `json:"state"`
	Reason  run.Reason  `json:"reason,omitempty"`
	Text    string      `json:"text,omitempty"`
	Seed    *int64      `json:"seed,omitempty"`
	Exit    *int        `json:"exit,omitempty"`
	Metrics run.Metrics `json:"metrics,omitempty"`
	Error   *run.Error  `json:"error,omitempty"`
	Cut     bool        `json:"cut,omitempty"` // something was left out, for the length
}

// Of is the message about a trial.
func Of(t *run.Trial) Message {
	return Message{
		V: 1, Trial: t.Index, Attempt: t.Attempt, State: t.Phase, Reason: t.Reason, Text: t.Text, Seed: t.Seed,
		Exit: t.Exit, Metrics: t.Metrics, Error: t.Error,
	}
}

// Encode is the message in at most [MaxMessage] bytes. What is left out for that is, in this order: the traceback, the
// outer frames, metrics, the ends of texts.
func (m Message) Encode() []byte {
	data := m.encode()
	if len(data) <= MaxMessage {
		return data
	}
	m.Cut = true
	if m.Error != nil {
		e := *m.Error
		m.Error, e.Traceback = &e, ""
		for data = m.encode(); len(data) > MaxMessage && len(e.Frames) > 1; data = m.encode() {
			e.Frames = e.Frames[1:] // the innermost says most
		}
	}
	if len(data) > MaxMessage {
		m.Metrics = nil
		data = m.encode()
	}
	for limit := 1024; len(data) > MaxMessage && limit > 0; limit /= 2 {
		m.Text = shorten(m.Text, limit)
		if m.Error != nil {
			e := *m.Error
			e.Text, e.Type = shorten(e.Text, limit), shorten(e.Type, limit)
			if limit < 512 {
				e.Frames = nil
			}
			m.Error = &e
		}
		data = m.encode()
	}
	return data
}

func (m Message) encode() []byte {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err) // plain data always marshals
	}
	return data
}

func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// Decode reads a message; ok is false where a pod left none, or something else.
func Decode(text string) (m Message, ok bool) {
	err := json.Unmarshal([]byte(text), &m)
	return m, err == nil && m.V == 1 && m.Attempt > 0
}

// ExitCode is what a pod ends with after its trial. stopped: its stop annotation was seen; evicted: it got SIGTERM.
func ExitCode(t *run.Trial, stopped, evicted bool) int {
	switch {
	case t.Phase == run.Succeeded:
		return ExitSucceeded
	case stopped:
		return ExitStopped
	case evicted:
		return ExitEvicted
	case t.Reason == run.ReasonProgram:
		return ExitProgram
	case t.Reason == run.ReasonSignal && t.Exit != nil && *t.Exit > 128:
		return *t.Exit
	case t.Phase != run.Failed || t.Reason.Ours() || t.Reason.Retriable():
		return ExitOurs
	default:
		return ExitFailed
	}
}
