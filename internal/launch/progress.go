package launch

import (
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// quiet is how long a submission goes on before it says what it does: most are over by then.
const quiet = time.Second

// progress says what a submission does that takes long.
type progress struct {
	say func(text string)

	mu    sync.Mutex
	timer *time.Timer
	last  string // what goes on now
	said  string
	late  bool
}

// begin starts the clock. end follows.
func (p *progress) begin() {
	p.timer = time.AfterFunc(quiet, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.late = true
		p.tell()
	})
}

// note takes what the target does now.
func (p *progress) note(e run.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = e.Text
	p.tell()
}

func (p *progress) tell() {
	if p.late && p.say != nil && p.last != p.said {
		p.said = p.last
		p.say(p.last)
	}
}

// end stops it: nothing is said any more.
func (p *progress) end() {
	p.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say = nil
}
