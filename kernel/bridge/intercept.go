package bridge

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"

	"github.com/metaml/metaml/kernel/wire"
)

// The functions of the table.

func (b *Bridge) shellRequest(c *client, _ wire.Channel, m wire.Message, h wire.Header) {
	b.gate.Request(c.identity, m, h)
}

func (b *Bridge) interruptRequest(c *client, ch wire.Channel, m wire.Message, _ wire.Header) {
	b.gate.Interrupt()
	c.socket(b, ch).Send(m.Frames)
}

func (b *Bridge) shutdownRequest(c *client, ch wire.Channel, m wire.Message, h wire.Header) {
	b.quitting.Store(true)
	b.shutdowns.note(h.ID, shutdown{c.identity, ch, m})
	b.cells.Detach()
	c.socket(b, ch).Send(m.Frames)
}

func (b *Bridge) shutdownReply(c *client, ch wire.Channel, m wire.Message) {
	if parent, err := wire.ParseHeader(m.Parent()); err == nil {
		b.shutdowns.answered(parent.ID)
	}
	b.servers[ch].Send(c.identity, m.Frames)
}

// shutdown is a request to end that the wrapped kernel has not answered yet.
type shutdown struct {
	client  string
	channel wire.Channel
	request wire.Message
}

type shutdowns struct {
	mu      sync.Mutex
	waiting map[string]shutdown // by the request's id
}

// maxShutdowns bounds what is kept: who asks more often than that does not wait for each reply.
const maxShutdowns = 64

func (s *shutdowns) note(id string, one shutdown) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = map[string]shutdown{}
	}
	if len(s.waiting) < maxShutdowns {
		s.waiting[id] = one
	}
}

func (s *shutdowns) answered(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

// answerShutdowns answers in place of a wrapped kernel that has ended.
func (b *Bridge) answerShutdowns() {
	b.shutdowns.mu.Lock()
	defer b.shutdowns.mu.Unlock()
	for _, s := range b.shutdowns.waiting {
		var asked struct {
			Restart bool `json:"restart"`
		}
		_ = json.Unmarshal(s.request.Content(), &asked) // what is no object wants no restart
		frames, err := b.maker.Make(s.request.Routing(), "shutdown_reply", s.request.Header(), nil,
			map[string]any{"status": "ok", "restart": asked.Restart})
		if err == nil {
			b.servers[s.channel].Send(s.client, frames)
		}
	}
	b.shutdowns.waiting = nil
}

func (b *Bridge) executeReply(c *client, _ wire.Channel, m wire.Message) {
	parent, err := wire.ParseHeader(m.Parent())
	if err != nil {
		b.Reply(c.identity, m.Frames)
		return
	}
	b.gate.Reply(c.identity, parent.ID, m.Frames)
}

func (b *Bridge) childWelcome(wire.Message) bool {
	b.isSubscribed()
	return true
}

func (b *Bridge) childStatus(m wire.Message) bool {
	if !bytes.Contains(m.Content(), []byte(`"idle"`)) {
		return false
	}
	parent, err := wire.ParseHeader(m.Parent())
	if err != nil {
		return false
	}
	b.gate.Idle(parent.ID, m.Frames)
	return true
}

func (b *Bridge) childInput(m wire.Message) bool {
	var input struct {
		Count int `json:"execution_count"`
	}
	if parent, err := wire.ParseHeader(m.Parent()); err == nil && json.Unmarshal(m.Content(), &input) == nil {
		b.gate.Input(parent.ID, input.Count)
	}
	text := b.takeNotice()
	if text == "" {
		return false
	}
	b.Publish(m.Frames, false)
	frames, err := b.maker.Make([][]byte{[]byte("stream.stderr")}, "stream", m.Parent(), nil,
		map[string]string{"name": "stderr", "text": text + "\n"})
	if err != nil {
		b.log.Error("a notice could not be shown", "error", err)
		return true
	}
	b.Publish(frames, false)
	return true
}

func (b *Bridge) kernelInfoReply(c *client, ch wire.Channel, m wire.Message) {
	b.rewriteReply(c, ch, m, func(fields map[string]json.RawMessage) {
		var banner string
		if json.Unmarshal(fields["banner"], &banner) != nil {
			return // an error reply
		}
		set(fields, "implementation", "metaml")
		set(fields, "banner", strings.TrimRight(banner, "\n")+"\n"+b.banner()+"\n")
		if shown := b.gate.Shown(); len(shown) > 0 {
			set(fields, "metaml", map[string]any{"shown": shown})
		}
	})
}

// banner is our line; it says so when %%train will not be found.
func (b *Bridge) banner() string {
	line := "MetaML " + b.cfg.Version + " -- %%train over a cell runs its function as a sweep."
	if text := b.module.text.Load(); text != nil {
		line += " " + *text
	}
	return line
}

func (b *Bridge) connectReply(c *client, ch wire.Channel, m wire.Message) {
	b.rewriteReply(c, ch, m, func(fields map[string]json.RawMessage) {
		for _, ch := range wire.Channels {
			if _, ok := fields[string(ch)+"_port"]; ok {
				set(fields, string(ch)+"_port", b.front.Ports[ch])
			}
		}
	})
}

func set(fields map[string]json.RawMessage, name string, value any) {
	if raw, err := json.Marshal(value); err == nil {
		fields[name] = raw
	}
}

// rewriteReply sends a reply with changed fields; all others stay as they came.
func (b *Bridge) rewriteReply(c *client, ch wire.Channel, m wire.Message, change func(map[string]json.RawMessage)) {
	frames := m.Frames
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(m.Content(), &fields); err == nil {
		change(fields)
		if changed, err := b.maker.Replace(m, fields); err == nil {
			frames = changed
		}
	}
	b.servers[ch].Send(c.identity, frames)
}
