package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// maxLine bounds one line of a trial, in bytes: a traceback of 64 KiB with its frames, as JSON.
const maxLine = 256 << 10

// trialMessage is a line that a trial writes on its events descriptor (docs/internals/protocols.md §5).
type trialMessage struct {
	Type    string      `json:"type"`
	Step    *float64    `json:"step"`
	Metrics run.Metrics `json:"metrics"`
	Error   *run.Error  `json:"error"`
	Program bool        `json:"program"` // error: it came from the program's top level
	Seconds float64     `json:"seconds"` // loaded, error
	Code    string      `json:"code"`
	Text    string      `json:"text"`
	Hint    string      `json:"hint"`
	Socket  string      `json:"socket"` // ready
	Errno   int         `json:"errno"`  // refused: of the system's error, if it was one
	ID      string      `json:"id"`     // checkpoint, abandon

	Differs []difference      `json:"differs"` // loaded
	Modules map[string]string `json:"modules"` // modules
}

// trialOutcome is what a trial reported of its end.
type trialOutcome struct {
	result  run.Metrics
	err     *run.Error
	program bool
	refused string
	errno   syscall.Errno // of refused
}

// readLines hands out the lines of r until its end. A line that is too long is left out, the others are not.
func readLines(r io.Reader, fn func(line []byte)) {
	buf := make([]byte, maxLine) // a packet that found no room would lose its end
	have := 0
	skipping := false
	for {
		if have == len(buf) {
			have, skipping = 0, true
		}
		n, err := r.Read(buf[have:])
		have += n
		if bytes.IndexByte(buf[have-n:have], '\n') < 0 && err == nil && n > 0 {
			continue
		}
		rest := buf[:have]
		for {
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				break
			}
			if !skipping {
				fn(rest[:end])
			}
			skipping = false
			rest = rest[end+1:]
		}
		have = copy(buf, rest)
		if err != nil || n == 0 {
			return
		}
	}
}

// sent reads the channel of a trial. Once its deadline is over it reads what is there already, and waits for no more:
// the trial's end is among the last that it sent, and a busy machine may not have come to it in time.
type sent struct {
	channel *os.File
	late    bool
	rest    int // bytes that were read since
}

// maxRest is more than the channel holds. A process that goes on to write is not read for ever.
const maxRest = 8 * maxLine

// Read implements [io.Reader].
func (s *sent) Read(p []byte) (int, error) {
	if !s.late {
		n, err := s.channel.Read(p)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		s.late = true
	}
	if s.rest >= maxRest {
		return 0, io.EOF
	}
	// A descriptor whose deadline is over is not read at all.
	if err := s.channel.SetReadDeadline(time.Time{}); err != nil {
		return 0, err
	}
	raw, err := s.channel.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		for n, failed = syscall.Read(int(fd), p); errors.Is(failed, syscall.EINTR); {
			n, failed = syscall.Read(int(fd), p)
		}
		return true
	})
	if err = errors.Join(err, failed); err != nil || n <= 0 {
		return 0, io.EOF // there is nothing more, or nobody who could send it
	}
	s.rest += n
	return n, nil
}

// listen takes in what the trial sends until nobody can send anything any more.
func (a *attempt) listen(events *os.File, keeps *keeping, outcome *trialOutcome) {
	thin := thinner{send: func(r *run.Report) { a.sup.send(run.Update{ID: a.AttemptID, Report: r}) }}
	readLines(&sent{channel: events}, func(line []byte) {
		var m trialMessage
		if json.Unmarshal(line, &m) != nil {
			return // something else found the descriptor
		}
		switch m.Type {
		case "report":
			thin.add(m.Step, m.Metrics, time.Now())
		case "result":
			if outcome.result = m.Metrics; outcome.result == nil {
				outcome.result = run.Metrics{}
			}
		case "error":
			if len(m.Differs) > 0 {
				outcome.err, outcome.program = differError(m.Differs), true
			} else if m.Error != nil {
				a.sup.sources.mapError(m.Error)
				outcome.err, outcome.program = m.Error, m.Program
			}
		case "checkpoint":
			if a.sup.opts.Spec.Server == nil {
				keeps.request(m.ID)
			}
		case "abandon":
			keeps.abandon(m.ID)
		case "note":
			a.sup.note(a.AttemptID, run.Note{Code: m.Code, Text: m.Text, Hint: m.Hint})
		case "loaded":
			cause := "--fresh-process"
			a.sup.loaded(run.Loaded{Seconds: m.Seconds, Causes: []string{cause}}, m.Differs)
		case "modules":
			a.sup.lock(m.Modules)
		case "ready":
			a.sup.send(run.Update{ID: a.AttemptID, Ready: &run.Ready{Socket: m.Socket}})
		case "refused":
			outcome.refused, outcome.errno = m.Text, syscall.Errno(max(m.Errno, 0))
		}
	})
	thin.flush()
	if thin.merged > 0 {
		a.sup.note(a.AttemptID, run.Note{
			Code: run.NoteReports,
			Text: "a trial reports more often than 20 times a second; of what it reported beyond that the last " +
				"values are kept",
		})
	}
}

// thinner keeps a trial that reports in a tight loop from filling the disk: the first reports all count, of later ones
// those that come too fast are merged. The last value of each metric is never lost.
type thinner struct {
	send   func(*run.Report)
	count  int
	last   time.Time
	held   *run.Report
	merged int
}

const (
	reportsAtWill = 10_000                // reports of an attempt before they are thinned
	reportsEvery  = 50 * time.Millisecond // between two reports afterwards
)

func (t *thinner) add(step *float64, metrics run.Metrics, now time.Time) {
	t.count++
	if t.held != nil {
		for name, v := range t.held.Metrics {
			if _, newer := metrics[name]; !newer {
				metrics[name] = v
			}
		}
		t.held = nil
		t.merged++
	}
	r := &run.Report{Step: step, Metrics: metrics}
	if t.count > reportsAtWill && now.Sub(t.last) < reportsEvery {
		if r.Metrics == nil {
			r.Metrics = run.Metrics{}
		}
		t.held = r
		return
	}
	t.last = now
	t.send(r)
}

func (t *thinner) flush() {
	if t.held != nil {
		t.send(t.held)
		t.held = nil
	}
}
