package launch

import (
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/usererror"
)

const (
	// quiet is how long a submission goes on before it says what it does: most are over by then.
	quiet = time.Second
	// oftenDrawn is how often an image that is made is drawn; rarelySaid is how often it is said how far a step of it
	// is, where there are no pictures.
	oftenDrawn = 200 * time.Millisecond
	rarelySaid = 5 * time.Second
)

// Progress shows what a submission does that takes long. Each function is called by one goroutine at a time.
type Progress struct {
	Say  func(text string)   // a line
	Draw func(is view.Build) // a picture of the image that is made, in the place of the one before; nil: lines
}

// progress says what a submission does that takes long.
type progress struct {
	Progress

	mu    sync.Mutex
	timer *time.Timer
	last  string // what goes on now
	said  string
	late  bool
	build run.Build
	shown time.Time // when the image was drawn, or a step of it said, last
	drawn bool
	over  bool
}

// begin starts the clock. end follows.
func (p *progress) begin() {
	p.timer = time.AfterFunc(quiet, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.late = true
		if len(p.build) > 0 {
			p.step(p.build[len(p.build)-1])
			return
		}
		p.tell()
	})
}

// note takes what the target does now.
func (p *progress) note(e run.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Type == run.EventBuildStep && e.Build != nil {
		p.build.Apply(*e.Build)
		p.step(*e.Build)
		return
	}
	if e.Code != "" { // people should know it
		if p.Say != nil && !p.over {
			p.Say(usererror.Sentences(e.Text, e.Hint))
		}
		return
	}
	p.last = e.Text
	p.tell()
}

func (p *progress) tell() {
	if p.late && !p.over && p.Say != nil && p.last != p.said {
		p.said = p.last
		p.Say(p.last)
	}
}

// step shows how far an image is: each new step, and now and then within one.
func (p *progress) step(s run.BuildStep) {
	switch now := time.Now(); {
	case !p.late || p.over:
	case p.Draw != nil:
		if s.State.Final() || now.Sub(p.shown) >= oftenDrawn {
			p.shown, p.drawn = now, true
			p.Draw(view.Build{Steps: p.build})
		}
	case s.Text != p.last:
		p.shown, p.last = now, s.Text
		p.tell()
	case s.State == run.Running && s.Total > 0 && now.Sub(p.shown) >= rarelySaid:
		p.shown = now
		p.Say(view.StepText(&s))
	}
}

// end stops it: nothing is said any more.
func (p *progress) end() {
	p.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		p.Draw(view.Build{Steps: p.build, Over: true})
	}
	p.over = true
}
