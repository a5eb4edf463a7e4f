package pod

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// StopAnnotation on a pod asks its trial to end.
const StopAnnotation = "metaml/stop"

// StopNow is the value of [StopAnnotation] that gives the trial no time to keep what it has.
const StopNow = "now"

// StopRequested reports whether the annotations of a pod, in a file of the downward API, ask its trial to end, and
// whether at once: a line KEY="VALUE" each (Kubernetes, "Downward API").
func StopRequested(annotations []byte) (asked, now bool) {
	for line := range bytes.Lines(annotations) {
		name, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("="))
		if string(name) != StopAnnotation {
			continue
		}
		text, err := strconv.Unquote(string(value))
		return true, err == nil && text == StopNow
	}
	return false, false
}

// Stop is what a run's stop.json says. It is for the pods that start after a stop was asked: those that run are
// annotated.
type Stop struct {
	All    bool  `json:"all,omitempty"`    // the whole run
	Now    bool  `json:"now,omitempty"`    // trials get no time to keep what they have
	Trials []int `json:"trials,omitempty"` // these, where not all are
	// Round is the one of the Job that is stopped ([RoundVariable]), so that a pod of the next one is not stopped by a
	// file that its node has not brought up to date. 0 is every round.
	Round int `json:"round,omitempty"`
}

// ParseStop reads stop.json.
func ParseStop(data []byte) (Stop, error) {
	var s Stop
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read %s: %w", StopName, err)
	}
	return s, nil
}

// Of reports whether it stops a trial of a round.
func (s Stop) Of(trial, round int) bool {
	return (s.Round == 0 || s.Round >= round) && (s.All || slices.Contains(s.Trials, trial))
}

// Round is the round of a pod, by its variables: getenv is [os.Getenv].
func Round(getenv func(string) string) (int, error) {
	text := getenv(RoundVariable)
	if text == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is %q, which is no number of a Job", RoundVariable, text)
	}
	return n, nil
}
