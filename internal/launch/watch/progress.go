package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/talk"
)

// progress shows a run where a display cannot be replaced: lines of text while it goes on, then the table once, and the
// failures.
type progress struct {
	peer *talk.Writer
	// once: nobody waits for the run, and what is displayed later would be lost or stand under another cell.
	once bool
	// before is displayed above the table, if there is anything.
	before map[string]string

	last     Drawing
	shown    bool
	said     string // what the last line was about
	next     time.Time
	every    time.Duration
	notes    map[string]bool
	failures []*Failure
}

// NewProgress shows a run in a front end that does not replace displays. once: nobody waits for the run. before is
// displayed above the table, if there is anything.
func NewProgress(to *talk.Writer, once bool, before map[string]string) Screen {
	return &progress{peer: to, once: once, before: before}
}

// A line is said each time something has changed, first after a second, later ever more rarely: a run may last for
// days, and a notebook keeps every line.
const (
	firstLine = time.Second
	rareLine  = time.Minute
)

func (p *progress) show(d Drawing) error {
	p.last = d
	if p.once {
		if p.shown {
			return nil
		}
		p.shown = true
		return p.display(Bundle(d))
	}
	subject, headline, remarks, over := "", "", []string(nil), false // over: what close displays follows
	switch d := d.(type) {
	case *view.Table:
		over = d.Phase.Final()
		subject, headline = fmt.Sprint(d.Counts, d.Phase, d.Loading), d.Headline()
		for i := range d.Waits {
			subject += "\n" + d.Waits[i].Text
		}
		for i := range d.Notes {
			if d.Notes[i].Code == run.NoteCluster || d.Notes[i].Code == run.NoteDiffers {
				subject += "\n" + d.Notes[i].Text
			}
		}
		remarks = slices.Concat(d.Differs(), d.WaitLines(), d.Remarks())
	case *view.Panel:
		over = d.State != "starting"
		subject, headline, remarks = d.State, d.Headline(), d.Lines
	}
	now := time.Now()
	if over || subject == p.said || now.Before(p.next) {
		return nil
	}
	p.said = subject
	p.every = min(max(2*p.every, firstLine), rareLine)
	p.next = now.Add(p.every)
	var b strings.Builder
	b.WriteString(headline + "\n")
	if p.notes == nil {
		p.notes = map[string]bool{}
	}
	sayOnce(&b, p.notes, remarks)
	return p.peer.Send(talk.Stream{Text: view.Visible(b.String())})
}

func (p *progress) failed(f *Failure) error {
	if !p.once {
		p.failures = append(p.failures, f)
	}
	return nil
}

func (p *progress) close() error {
	if p.once || p.last == nil {
		return nil
	}
	if p.before != nil {
		if err := p.display(p.before); err != nil {
			return err
		}
	}
	if err := p.display(Bundle(p.last)); err != nil {
		return err
	}
	for _, f := range p.failures {
		if err := p.display(f.Bundle()); err != nil {
			return err
		}
	}
	return nil
}

func (p *progress) display(b map[string]string) error {
	return p.peer.Send(talk.Display{Bundle: b})
}
