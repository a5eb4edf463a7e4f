package bridge

import (
	"maps"
	"strings"
	"sync"

	"github.com/metaml/metaml/kernel/wire"
)

// standIn answers instead of an ipykernel that is not there, so that the front end
// shows a readable error under the cell and not a dead kernel.
type standIn struct {
	bridge *Bridge
	why    string

	once sync.Once
	quit chan struct{}
}

func (s *standIn) answer(c *client, ch wire.Channel, m wire.Message, h wire.Header) {
	status := func(state string) {
		s.publish("status", m.Header(), map[string]string{"execution_state": state})
	}
	base, isRequest := strings.CutSuffix(h.Type, "_request")
	if !isRequest {
		return
	}
	status("busy")
	content := map[string]any{"status": "ok"}
	switch base {
	case "kernel_info":
		content = s.info()
	case "execute":
		s.publish("error", m.Header(), s.failure())
		content = map[string]any{
			"status": "error", "execution_count": 0, "user_expressions": struct{}{}, "payload": []any{},
		}
		maps.Copy(content, s.failure())
	case "is_complete":
		content["status"] = "complete"
	case "history":
		content["history"] = []any{}
	case "comm_info":
		content["comms"] = struct{}{}
	case "shutdown", "interrupt":
	default:
		content = map[string]any{"status": "error"}
		maps.Copy(content, s.failure())
	}
	frames, err := s.bridge.maker.Make(m.Routing(), base+"_reply", m.Header(), nil, content)
	if err == nil {
		s.bridge.servers[ch].Send(c.identity, frames)
	}
	status("idle")
	if base == "shutdown" {
		s.once.Do(func() { close(s.quit) })
	}
}

func (s *standIn) failure() map[string]any {
	return map[string]any{"ename": "KernelNotReady", "evalue": s.why, "traceback": []string{"KernelNotReady: " + s.why}}
}

func (s *standIn) info() map[string]any {
	return map[string]any{
		"status": "ok", "protocol_version": "5.3", "implementation": "metaml",
		"implementation_version": s.bridge.cfg.Version,
		"banner":                 s.why, "help_links": []any{},
		"language_info": map[string]any{
			"name": "python", "version": "3", "mimetype": "text/x-python", "file_extension": ".py",
			"pygments_lexer": "ipython3", "nbconvert_exporter": "python",
			"codemirror_mode": map[string]any{"name": "ipython", "version": 3},
		},
	}
}

func (s *standIn) publish(msgType string, parent []byte, content any) {
	frames, err := s.bridge.maker.Make([][]byte{[]byte("kernel." + s.bridge.maker.Session() + "." + msgType)}, msgType,
		parent, nil, content)
	if err == nil {
		s.bridge.Publish(frames, false)
	}
}
