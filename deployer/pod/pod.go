// Package pod is what the target kubernetes and the processes in its pods, cmd/metaml-pod, cmd/metaml-server and
// cmd/metaml-monitor, agree on: where a pod finds what it runs, which trial or revision it is, how it says what became
// of it.
//
// Read [Message] and [ExitCode] first, of a server [ServerMessage]. It imports deployer/run alone.
package pod

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// The exit codes of a pod, by which the Job decides what to do (podFailurePolicy).
const (
	ExitSucceeded = 0
	ExitFailed    = 42 // the trial's own code failed: it is not run again; a server had answered, and cannot go on
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
	RoundVariable    = "METAML_POD_ROUND"     // 1 (where it is not set) in the first Job of a run, 2 in what resumed it

	// ExpectedKeyVariable has the key of the codes in expected.json (deployer/pod/ship), out of a Secret.
	ExpectedKeyVariable = "METAML_EXPECTED_KEY"

	// Of the monitor to which a pod sends its files while it runs (deployer/collect/send). It sends nothing where there
	// is no address, or where they cannot be used.
	MonitorVariable      = "METAML_MONITOR"       // IP:PORT: a pod looks up no names
	MonitorTokenVariable = "METAML_MONITOR_TOKEN" //nolint:gosec // G101: the name of a variable; it is out of a Secret
	UIDVariable          = "METAML_POD_UID"       // metadata.uid
)

// The files that a pod finds in its input folder.
const (
	LockName     = "requirements.txt" // the packages of the image, where one was made for the run
	SpecName     = "run.json"
	TableName    = "table.jsonl"
	InImage      = "opt/metaml/program" // folder of an image that has the program: code/, include/ and map.json
	ModelInImage = "opt/metaml/model"   // folder of an image that has a server's model
	ModelName    = "model.tar.gz"       // the model of a server, in parts as a program's ([ModelPart])
	ProgramName  = "program.tar.gz"     // the program folder without what must stay where it was made; or its parts
	RowsName     = "rows.json"          // of a resumed run: which trials there are ([ParseRows])
	StopName     = "stop.json"          // once a stop was asked ([ParseStop])
	TokenName    = "token"              // what callers of a server must have, where it asks for that
)

// ProgramPart is the name of part i, from 0, of a program that one object does not hold.
func ProgramPart(i int) string { return ProgramName + "." + strconv.Itoa(i) }

// ModelPart is part i, from 0, of a model that comes with the run.
func ModelPart(i int) string { return ModelName + "." + strconv.Itoa(i) }

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
	// Returned are the metrics that the function returned; the others are the last that were reported.
	Returned []string   `json:"returned,omitempty"`
	Reported time.Time  `json:"reported,omitzero"` // when it reported last
	Error    *run.Error `json:"error,omitempty"`
	Cut      bool       `json:"cut,omitempty"` // something was left out, for the length
}

// Of is the message about a trial.
func Of(t *run.Trial) Message {
	return Message{
		V: 1, Trial: t.Index, Attempt: t.Attempt, State: t.Phase, Reason: t.Reason, Text: t.Text, Seed: t.Seed,
		Exit: t.Exit, Metrics: t.Metrics, Returned: t.Returned, Reported: t.LastReport(),
		Error: t.Error,
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
	m.Error = shorterError(m.Error, func(e *run.Error) bool {
		m.Error = e
		data = m.encode()
		return len(data) <= MaxMessage
	})
	if len(data) > MaxMessage {
		m.Metrics, m.Returned = nil, nil
		data = m.encode()
	}
	for limit := 1024; len(data) > MaxMessage && limit > 0; limit /= 2 {
		m.Text, m.Error = shorten(m.Text, limit), shortenError(m.Error, limit)
		data = m.encode()
	}
	return data
}

func (m Message) encode() []byte { return encode(m) }

// encode writes plain data, which always marshals.
func encode(m any) []byte {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err)
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
	case t.Reason == run.ReasonProgram, t.Reason == run.ReasonDiffers, t.Reason == run.ReasonImage:
		return ExitProgram
	case t.Reason == run.ReasonSignal && t.Exit != nil && *t.Exit > 128:
		return *t.Exit
	case t.Phase != run.Failed || t.Reason.Ours() || t.Reason.Retriable():
		return ExitOurs
	default:
		return ExitFailed
	}
}
