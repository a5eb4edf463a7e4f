package view

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// ServerFacts is what a view knows of a server besides its state.
type ServerFacts struct {
	Spec    run.Spec // of the revision that is shown
	Remarks []string // sentences to show below
	Waiting bool     // somebody waits for it to be ready, and can interrupt
	Again   bool     // it had answered; whether it answers now is not known yet

	// Of a server that nobody waits for: what is known of its processes and its answers.
	Liveness run.Liveness
	Health   run.Health
}

// Panel is one moment of a server, ready to be drawn.
type Panel struct {
	Name    string
	State   string // "ready", "starting", "not answering", "dead", "failed", "stopped"
	Address string // of what answers now, or ""
	Parts   []string
	Curl    string // a command line that sends it a request, or ""
	Lines   []string
	Failed  bool
	Waiting bool
}

// NewPanel computes the panel of a server at now. It is about one revision: that of facts.Spec.
func NewPanel(facts ServerFacts, state *run.State, now time.Time) *Panel {
	s, spec := state.Server, facts.Spec.Server
	p := &Panel{Name: facts.Spec.Name, Waiting: facts.Waiting}
	if s == nil || spec == nil {
		return p
	}
	revision := spec.Revision
	p.Address = s.Address
	switch {
	case state.Phase.Final():
		p.State, p.Failed = string(state.Phase), state.Phase == run.Failed
		p.Address = ""
		if p.Failed {
			p.Lines = append(p.Lines, ServerCause(state, revision))
		}
		if !state.Ended.IsZero() && !state.Submitted.IsZero() {
			p.Parts = append(p.Parts, "after "+prose.Duration(state.Ended.Sub(state.Submitted)))
		}
	case facts.Liveness == run.Dead && facts.Spec.Setting("target") == run.Kubernetes:
		p.State, p.Failed, p.Address = "not followed", true, ""
		p.Lines = append(p.Lines,
			"it goes on in the cluster, and has no address here until it is followed: metaml attach "+p.Name)
	case facts.Liveness == run.Dead:
		p.State, p.Failed, p.Address = "dead", true, ""
		p.Lines = append(p.Lines, "all its processes have ended: metaml attach "+p.Name+" starts it again")
	case s.Failed != nil && s.Failed.Revision >= revision && s.Revision != revision:
		p.State, p.Failed = "failed", true
		p.Lines = append(p.Lines, ServerCause(state, revision))
		if s.Revision > 0 {
			p.Lines = append(p.Lines, fmt.Sprintf("revision %d goes on answering on %s", s.Revision, s.Address))
		}
	case s.Answering() >= revision && facts.Again:
		p.State = "starting"
		p.Parts = append(p.Parts, "waiting for an answer on "+s.Address)
	case s.Answering() >= revision && facts.Health != "" && facts.Health != run.HealthReady:
		p.State, p.Failed = NotAnswering, true
		if facts.Health == run.HealthWaiting {
			p.Lines = append(p.Lines,
				"requests wait on "+s.Address+", where no worker can answer yet: metaml logs "+p.Name+" may say why")
		} else {
			p.Lines = append(p.Lines, "there is no answer on "+s.Address+": metaml logs "+p.Name+" may say why")
		}
	case s.Answering() >= revision:
		p.State = "ready"
		p.ready(facts, s)
		if facts.Waiting && s.Answer == 0 && s.Example == "" {
			p.Lines = append(p.Lines,
				"no request was tried: --example gives an input to try first, as JSON or as a variable")
		}
		if s.Failed != nil {
			p.Lines = append(p.Lines, ServerCause(state, s.Failed.Revision))
		}
	default:
		p.State = "starting"
		p.starting(facts, s, revision, state, now)
	}
	if p.Failed {
		facts.Remarks = nil // they are about what did not come to be
	}
	notes := notesOf(state.Notes, revision, p.State)
	if wanted, _ := s.ReplicasOf(spec); !wanted.Ranged() { // there was an autoscaler
		notes = slices.DeleteFunc(notes, func(n run.Note) bool { return n.Code == run.NoteAutoscaler })
	}
	p.Lines = slices.Concat(differs(notes), p.Lines, remarks(p.Name, facts.Remarks, notes))
	return p
}

// notesOf leaves out what is about other revisions, and what this one waited for before: while it starts, the last is
// what it waits for, and of one that is ready nobody needs to know.
func notesOf(notes []run.Note, revision int, state string) []run.Note {
	var kept []run.Note
	for i, n := range notes {
		waitsAgain := func(m run.Note) bool { return m.Code == run.NoteWaiting && m.Revision == n.Revision }
		old := n.Code == run.NoteWaiting && (state == "ready" || slices.ContainsFunc(notes[i+1:], waitsAgain))
		if !old && (n.Revision == 0 || n.Revision == revision) {
			kept = append(kept, n)
		}
	}
	return kept
}

func (p *Panel) ready(facts ServerFacts, s *run.Server) {
	ready, known := s.CountWorkers(s.Revision)
	wanted, _ := s.ReplicasOf(facts.Spec.Server)
	total := max(facts.Spec.UnitsOf(s.Replicas), known)
	if wanted.Ranged() {
		total = s.Number(wanted)
	}
	count := prose.Count(total, facts.Spec.Unit())
	if ready < total && known > 0 {
		count = fmt.Sprintf("%d of %s", ready, count)
	}
	p.Parts = append(p.Parts, count+wanted.Bounds())
	if n := facts.Spec.Server.Batch; n > 1 {
		p.Parts = append(p.Parts, fmt.Sprintf("batches of up to %d", n))
	}
	if m := facts.Spec.Server.Model; m != "" {
		p.Parts = append(p.Parts, "model "+m)
	}
	if s.Answer > 0 {
		answer := "first answer " + Moment(time.Duration(s.Answer*float64(time.Second)))
		if facts.Spec.Server.Example == "" {
			answer += fmt.Sprintf(" to %s, made from the signature", prose.Shorten(s.Example, maxTried))
		}
		p.Parts = append(p.Parts, answer)
	}
	if s.Restarts > 0 {
		p.Parts = append(p.Parts, prose.Count(s.Restarts, "restart"))
	}
	at := facts.Spec.ServiceURL()
	if public := &s.Public; public.URL != "" && !public.Waits {
		p.Address = public.URL
		if s.Address != at {
			p.Lines = append(p.Lines, "programs on this machine ask it on "+s.Address)
		}
	}
	p.Curl = Curl(p.Address, s.Example)
	if rest, ok := strings.CutPrefix(p.Curl, "curl "); ok && facts.Spec.Server.Locked() {
		p.Curl = `curl -H "Authorization: Bearer $TOKEN" ` + rest
	}
	if at != "" && at != p.Address {
		p.Lines = append(p.Lines, "programs in the cluster ask it on "+at)
	}
	if s.Public.Text != "" {
		p.Lines = append(p.Lines, s.Public.Text)
	}
}

func (p *Panel) starting(facts ServerFacts, s *run.Server, revision int, state *run.State, now time.Time) {
	since := state.Submitted
	if s.Starting == revision && !s.Since.IsZero() {
		since = s.Since
	}
	what := "loading the program"
	ready, known := s.CountWorkers(revision)
	switch {
	case known > 0 && ready == known:
		what = "asking it for a first answer"
	case known > 0:
		what = fmt.Sprintf("%d of %s ready", ready, prose.Count(known, facts.Spec.Unit()))
	}
	p.Parts = append(p.Parts, what)
	if !since.IsZero() {
		p.Parts = append(p.Parts, prose.Duration(max(now.Sub(since), 0)))
	}
	if s.Answering() > 0 {
		p.Lines = append(p.Lines, fmt.Sprintf("revision %d goes on answering on %s until revision %d is ready",
			s.Revision, s.Address, revision))
	}
}

// NotAnswering is the word for a server that goes on and does not answer.
const NotAnswering = "not answering"

// ServerCause says in a sentence why a revision of a server never got ready, or why the server ended.
func ServerCause(state *run.State, revision int) string { return OneLine(serverCause(state, revision)) }

func serverCause(state *run.State, revision int) string {
	f := state.Server.Failed
	switch {
	case f != nil && f.Error != nil && f.Reason == run.ReasonTest && f.Text != "":
		// The sentence has the input too.
		first, _, _ := strings.Cut(f.Text, "\n")
		cause := fmt.Sprintf("revision %d never got ready: %s", revision, first)
		if place := innermost(f.Error.Frames); place != "" {
			cause += " (" + place + ")"
		}
		return cause
	case f != nil && f.Error != nil:
		text, _, _ := strings.Cut(f.Error.Text, "\n")
		cause := strings.TrimSuffix(f.Error.Type+": "+text, ": ")
		if f.Error.Origin != run.FromProgram {
			cause = text
		}
		if place := innermost(f.Error.Frames); place != "" {
			cause += " (" + place + ")"
		}
		return fmt.Sprintf("revision %d never got ready: %s", revision, cause)
	case f != nil && f.Text != "":
		first, _, _ := strings.Cut(f.Text, "\n")
		return fmt.Sprintf("revision %d never got ready: %s", revision, first)
	case f != nil:
		return fmt.Sprintf("revision %d never got ready: %s", revision, f.Reason)
	case state.Text != "":
		return state.Text
	default:
		return string(state.Reason)
	}
}

// ServerFailure gives the user's own frames, or a worker's last lines, of a revision that never got ready; "" is
// nothing.
func ServerFailure(f *run.RevisionFailure) string {
	if f == nil {
		return ""
	}
	if f.Error != nil {
		_, body := Failure(&run.Trial{Error: f.Error})
		if f.Reason == run.ReasonTest && f.Error.Traceback == f.Error.Text { // the cause is all there is
			body = ""
		}
		if f.Error.Origin == run.FromProcess && f.Error.Traceback == "" {
			return ""
		}
		if f.Error.Origin == run.FromMetaML { // its sentence is the cause; the rest says what to do, and where
			_, body, _ = strings.Cut(body, "\n")
		}
		return usererror.Lines(strings.TrimSpace(body), f.Hint)
	}
	_, more, _ := strings.Cut(f.Text, "\n")
	return Visible(usererror.Lines(strings.TrimSpace(more), f.Hint))
}

// maxTried bounds the input in a sentence, in letters.
const maxTried = 60

// maxExample bounds the example in a command line that people are to copy, in bytes.
const maxExample = 2000

// Curl is a command line that sends a server a request, with an example of its input where one is known.
func Curl(address, example string) string {
	if strings.Contains(address, "{") {
		var get bool
		if address, example, get = fill(address, example); get {
			return "curl " + quoted(address)
		}
	}
	address = quoted(address)
	switch {
	case address == "":
		return ""
	case example == "":
		return "curl -d '…' " + address
	case len(example) > maxExample:
		return "curl -d @input.json " + address
	}
	return "curl -d '" + strings.ReplaceAll(example, "'", `'\''`) + "' " + address
}

// fill puts the parameters that an address has in braces there, as an example has them, and gives the rest of the
// example. get: there is nothing else to send. Where the example does not have them all, the braces stay.
func fill(address, example string) (filled, rest string, get bool) {
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(example), &all) != nil {
		return address, "", false
	}
	filled = address
	for name, value := range all {
		text := string(value)
		_ = json.Unmarshal(value, &text) // of a text what it says
		if brace := "{" + name + "}"; strings.Contains(address, brace) {
			filled = strings.ReplaceAll(filled, brace, url.PathEscape(text))
			delete(all, name)
		}
	}
	left, err := json.Marshal(all)
	if err != nil || strings.Contains(filled, "{") {
		return address, "", false
	}
	return filled, string(left), len(all) == 0
}

// quoted is an address as a shell takes it. Braces are for curl a list of addresses, unless an option says that they
// are none.
func quoted(address string) string {
	if !strings.ContainsAny(address, "!$&'()*;{}") {
		return address
	}
	text := "'" + strings.ReplaceAll(address, "'", `'\''`) + "'"
	if strings.Contains(address, "{") {
		return "-g " + text
	}
	return text
}

// Moment writes a short time for people: 85 µs, 3.1 ms, 340 ms, 2.1 s.
func Moment(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	default:
		return prose.Duration(d)
	}
}

// Headline is the server in one line of text.
func (p *Panel) Headline() string {
	first := p.State
	if p.State == "ready" {
		first = "ready on " + p.Address
	}
	return OneLine(strings.Join(append([]string{p.Name, first}, p.Parts...), "   "))
}

// Text draws the panel as plain text.
func (p *Panel) Text() string {
	lines := []string{p.Headline()}
	if p.Curl != "" {
		lines = append(lines, p.Curl)
	}
	return allVisible(append(lines, p.Lines...))
}

// Terminal draws the panel as lines, with colours if colour is set. The command line to copy is never cut.
func (p *Panel) Terminal(width, _ int, colour bool) []string {
	paint := painter(colour)
	head := bold
	if p.Failed {
		head = red
	}
	lines := []string{paint(head, cut(p.Headline(), width))}
	if p.State == "ready" { // an address that is cut is of no use
		lines[0] = paint(head, p.Headline())
	}
	if p.Curl != "" {
		lines = append(lines, paint("", p.Curl))
	}
	for _, l := range p.Lines {
		lines = append(lines, paint(dim, l))
	}
	if p.Waiting && p.State == "starting" {
		lines = append(lines, paint(dim, "Ctrl-C gives it up"))
	}
	return lines
}
