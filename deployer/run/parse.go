package run

import (
	"encoding/json"
	"strconv"

	"github.com/metaml/metaml/internal/jsonscan"
)

// EventParser reads the lines of an event stream. It takes what json.Unmarshal takes and gives the same, only sooner: a
// run of a thousand trials has thousands of lines, which whoever looks at the run waits for. The zero value is ready.
type EventParser struct {
	source, run string // of the line before, which most lines share
}

// Parse reads one line. It keeps nothing of it.
func (p *EventParser) Parse(line []byte) (Event, error) {
	var e Event
	if s := jsonscan.New(line); p.event(s, &e) && s.AtEnd() {
		return e, nil
	}
	return decodeEvent(line)
}

// decodeEvent reads what is written in another way than json.Marshal does, has a field that we do not know, or is
// damaged.
func decodeEvent(line []byte) (Event, error) {
	var e Event // on the heap, other than Parse's
	err := json.Unmarshal(line, &e)
	return e, err
}

// event reads an object without spaces whose fields are all known. It gives up rather than decide about anything else.
func (p *EventParser) event(s *jsonscan.Scanner, e *Event) bool {
	if !s.Skip('{') {
		return false
	}
	for first := true; !s.Skip('}'); first = false {
		if !first && !s.Skip(',') {
			return false
		}
		name, ok := s.Plain()
		if !ok || !s.Skip(':') || !p.field(s, e, name) {
			return false
		}
	}
	return true
}

func (p *EventParser) field(s *jsonscan.Scanner, e *Event, name []byte) bool {
	switch string(name) {
	case "v":
		return integer(s, &e.V)
	case "source":
		return again(s, &e.Source, &p.source)
	case "seq":
		return integer(s, &e.Seq)
	case "n":
		return integer(s, &e.N)
	case "time":
		text, ok := s.Value()
		return ok && e.Time.UnmarshalJSON(text) == nil
	case "run":
		return again(s, &e.Run, &p.run)
	case "trial":
		return pointer(s, &e.Trial)
	case "attempt":
		return integer(s, &e.Attempt)
	case "type":
		return word(s, &e.Type, EventTrialStarted, EventTrialReport, EventTrialEnded, EventTrialWaiting,
			EventTrialQueued)
	case "pid":
		return integer(s, &e.PID)
	case "seed":
		return pointer(s, &e.Seed)
	case "step":
		var step float64
		if !s.Float(&step) {
			return false
		}
		e.Step = &step
		return true
	case "seconds":
		return s.Float(&e.Seconds)
	case "metrics":
		return metrics(s, &e.Metrics)
	case "state":
		return word(s, &e.State, Succeeded, Failed, Stopped, Running, Pending)
	case "reason":
		return word(s, &e.Reason, ReasonStopped, ReasonException)
	case "exit":
		return pointer(s, &e.Exit)
	case "code":
		return word(s, &e.Code)
	case "text":
		return word(s, &e.Text)
	case "hint":
		return word(s, &e.Hint)
	case "output":
		return word(s, &e.Output)
	case "error":
		text, ok := s.Value()
		failure := e.Error
		if !ok || json.Unmarshal(text, &failure) != nil {
			return false
		}
		e.Error = failure
		return true
	default:
		return false
	}
}

// metrics reads numbers, and leaves the ones that are strings to [Metrics].
func metrics(s *jsonscan.Scanner, into *Metrics) bool {
	before := *s
	if all, ok := numbers(s); ok {
		*into = all
		return true
	}
	*s = before
	text, ok := s.Value()
	return ok && text[0] == '{' && into.UnmarshalJSON(text) == nil
}

func numbers(s *jsonscan.Scanner) (Metrics, bool) {
	if !s.Skip('{') {
		return nil, false
	}
	all := make(Metrics, 1)
	for first := true; !s.Skip('}'); first = false {
		if !first && !s.Skip(',') {
			return nil, false
		}
		name, ok := s.Plain()
		var v float64
		if !ok || !s.Skip(':') || !s.Float(&v) {
			return nil, false
		}
		all[string(name)] = v
	}
	return all, true
}

// again reads a string that mostly is the one of the line before.
func again(s *jsonscan.Scanner, into, before *string) bool {
	if !word(s, into, *before) {
		return false
	}
	*before = *into
	return true
}

// word reads a string. Where it is one of the common ones, that is what it becomes, without a copy.
func word[T ~string](s *jsonscan.Scanner, into *T, common ...T) bool {
	text, ok := s.Plain()
	if !ok {
		var escaped string
		text, ok = s.Value()
		if !ok || text[0] != '"' || json.Unmarshal(text, &escaped) != nil {
			return false
		}
		*into = T(escaped)
		return true
	}
	for _, c := range common {
		if string(text) == string(c) {
			*into = c
			return true
		}
	}
	*into = T(text)
	return true
}

func pointer[T int | int64](s *jsonscan.Scanner, into **T) bool {
	var n T
	if !integer(s, &n) {
		return false
	}
	*into = &n
	return true
}

// integer reads a number that is certainly within the type.
func integer[T int | int64](s *jsonscan.Scanner, into *T) bool {
	text := s.Number()
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && n == int64(T(n)) {
		*into = T(n)
		return true
	}
	return false
}
