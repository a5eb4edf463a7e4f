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

// lineStart is how a line of the pod's own begins, on its standard error. Everything else there is the program's.
const lineStart = "[metaml] "

// EncodeLine is an event as a line of the pod's log, with nothing but what [ParseLine] gives: of a trial a report, of a
// server that it was loaded, is ready or failed, and the end of a worker; of both a note. What is too much is left out:
// metrics that find no place in the order of their names; of an error the traceback and outer frames; the ends of
// texts. It is nil for what is no such event.
func EncodeLine(e run.Event) []byte {
	e, ok := ofLine(e)
	if !ok {
		return nil
	}
	all := e.Metrics
	line, ok := encodeLine(e)
	if ok {
		return line
	}
	e.Metrics = nil
	e.Error = shorterError(e.Error, func(shorter *run.Error) bool {
		e.Error = shorter
		line, ok = encodeLine(e)
		return ok
	})
	for limit := maxLineText; limit > 0; limit /= 2 {
		if line, ok = encodeLine(e); ok {
			break
		}
		shortenTexts(&e, limit)
	}
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

// shortenTexts bounds the texts of an event, in characters. An example that is too long is left out, since its
// beginning is no JSON.
func shortenTexts(e *run.Event, limit int) {
	e.Text, e.Hint, e.Code = prose.Shorten(e.Text, limit), prose.Shorten(e.Hint, limit), prose.Shorten(e.Code, limit)
	e.Reason = run.Reason(prose.Shorten(string(e.Reason), limit))
	e.Error = shortenError(e.Error, limit)
	if len(e.Example) > limit {
		e.Example = ""
	}
	causes := make([]string, 0, mostCauses)
	for _, cause := range e.Causes[:min(len(e.Causes), mostCauses)] {
		causes = append(causes, prose.Shorten(cause, limit))
	}
	e.Causes = causes
}

// mostCauses is how many reasons not to fork a line has that is too long as a whole.
const mostCauses = 3

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
// of the program. That may print such lines, too: whoever reads them knows better what a pod runs.
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
		kept.Revision, kept.Code, kept.Text, kept.Hint = e.Revision, e.Code, e.Text, e.Hint
	case run.EventLoaded:
		kept.Revision, kept.Seconds, kept.Fork, kept.Causes = e.Revision, e.Seconds, e.Fork, e.Causes
	case run.EventServerReady:
		kept.Revision, kept.Seconds, kept.Answer, kept.Example = e.Revision, e.Seconds, e.Answer, e.Example
	case run.EventServerFailed:
		kept.Revision, kept.Reason, kept.Error, kept.Text, kept.Hint = e.Revision, e.Reason, e.Error, e.Text, e.Hint
	case run.EventWorkerEnded:
		kept.Revision, kept.Worker, kept.Reason, kept.Exit = e.Revision, e.Worker, e.Reason, e.Exit
		kept.Error, kept.Text = e.Error, e.Text
	default:
		return run.Event{}, false
	}
	return kept, true
}
