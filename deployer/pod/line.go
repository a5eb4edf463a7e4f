package pod

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// MaxLine is how long a line of [EncodeLine] may be, in bytes: what a pipe takes whole, and less than what container
// runtimes cut (16 KiB).
const MaxLine = 4096

// lineStart is how a line of the pod's own begins, on its standard error. Everything else there is the trial's.
const lineStart = "[metaml] "

// EncodeLine is an event as a line of the pod's log: a report or a note, with nothing but what [ParseLine] gives. What
// is too much is left out: metrics that find no place in the order of their names, the ends of texts. It is nil for
// what is no such event.
func EncodeLine(e run.Event) []byte {
	e, ok := ofLine(e)
	if !ok {
		return nil
	}
	all := e.Metrics
	if data, ok := encodeLine(e); ok {
		return data
	}
	e.Text, e.Hint = prose.Shorten(e.Text, maxLineText), prose.Shorten(e.Hint, maxLineText)
	e.Code, e.Metrics = prose.Shorten(e.Code, maxLineText), nil
	line, _ := encodeLine(e)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if len(line) > almostFull {
			break
		}
		e.Metrics = add(e.Metrics, name, all[name])
		if longer, ok := encodeLine(e); ok {
			line = longer
		} else {
			delete(e.Metrics, name)
		}
	}
	return line
}

// maxLineText is how long each text of a line may be that is too long as a whole, in characters: JSON may take six
// bytes for one.
const maxLineText = 200

// almostFull is how long a line is to which no metric is added any more, in bytes.
const almostFull = MaxLine - 64

func add(m run.Metrics, name string, value float64) run.Metrics {
	if m == nil {
		m = run.Metrics{}
	}
	m[name] = value
	return m
}

// encodeLine writes a line; ok is false if it is too long.
func encodeLine(e run.Event) (line []byte, ok bool) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, false
	}
	line = slices.Concat([]byte(lineStart), data, []byte("\n"))
	return line, len(line) <= MaxLine
}

// ParseLine reads a line of a pod's log, with its end or without. ok is false for all that is not the pod's own: a line
// of the trial. A trial may print such lines, too: whoever reads them knows better which trial and attempt a pod runs.
func ParseLine(line []byte) (e run.Event, ok bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	data, ok := bytes.CutPrefix(line, []byte(lineStart))
	if !ok || len(line) >= MaxLine || json.Unmarshal(data, &e) != nil {
		return run.Event{}, false
	}
	return ofLine(e)
}

// ofLine gives of an event what travels in a line.
func ofLine(e run.Event) (run.Event, bool) {
	kept := run.Event{V: 1, Time: e.Time, Trial: e.Trial, Attempt: e.Attempt, Type: e.Type}
	switch e.Type {
	case run.EventTrialReport:
		kept.Step, kept.Metrics, kept.Last = e.Step, e.Metrics, e.Last
	case run.EventNote:
		kept.Code, kept.Text, kept.Hint = e.Code, e.Text, e.Hint
	default:
		return run.Event{}, false
	}
	return kept, true
}
