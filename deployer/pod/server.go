package pod

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// ServerPort is the port of its pod at which a server answers.
const ServerPort = 8080

// Linger is how long the pod of a server goes on taking requests when it is asked to end: about as long as all nodes of
// a cluster need to leave it out of its Service.
const Linger = 5 * time.Second

// ReachedByService is the text of a note with the code [run.NoteService] where all is well.
const ReachedByService = "reached through the Service"

// ServerMessage is what the pod of a server says at the end, where that is a failure, as JSON in the file of its
// termination message.
type ServerMessage struct {
	V        int        `json:"v"`
	Revision int        `json:"revision"`
	Reason   run.Reason `json:"reason,omitempty"`
	Text     string     `json:"text,omitempty"`
	Hint     string     `json:"hint,omitempty"`
	Error    *run.Error `json:"error,omitempty"`
	Lines    string     `json:"lines,omitempty"` // the last that its workers and its top level printed
	Cut      bool       `json:"cut,omitempty"`   // something was left out, for the length
}

// Encode is the message in at most [MaxMessage] bytes. What is left out for that is, in this order: the traceback, the
// outer frames, the first of the lines, the ends of texts.
func (m ServerMessage) Encode() []byte {
	m.V = 1
	data := m.encode()
	if len(data) <= MaxMessage {
		return data
	}
	m.Cut = true
	m.Error = shorterError(m.Error, func(e *run.Error) bool {
		m.Error = e
		data = m.encode()
		return len(data) <= MaxMessage
	})
	for len(data) > MaxMessage && m.Lines != "" {
		_, m.Lines, _ = strings.Cut(m.Lines, "\n")
		data = m.encode()
	}
	for limit := 1024; len(data) > MaxMessage && limit > 0; limit /= 2 {
		m.Text, m.Hint = shorten(m.Text, limit), shorten(m.Hint, limit)
		m.Reason = run.Reason(shorten(string(m.Reason), limit))
		m.Error = shortenError(m.Error, limit)
		data = m.encode()
	}
	return data
}

func (m ServerMessage) encode() []byte { return encode(m) }

// DecodeServer reads the message of a server's pod; ok is false where it left none, or something else.
func DecodeServer(text string) (m ServerMessage, ok bool) {
	err := json.Unmarshal([]byte(text), &m)
	return m, err == nil && m.V == 1 && m.Revision > 0
}

// shorterError leaves the traceback and then the outer frames of an error out, until it fits. nil stays nil.
func shorterError(of *run.Error, fits func(*run.Error) bool) *run.Error {
	if of == nil {
		return nil
	}
	e := *of
	e.Traceback = ""
	for !fits(&e) && len(e.Frames) > 1 {
		e.Frames = e.Frames[1:] // the innermost says most
	}
	return &e
}

// shortenError bounds the texts of an error, in bytes. Where there is little room, there are no frames.
func shortenError(of *run.Error, limit int) *run.Error {
	if of == nil {
		return nil
	}
	e := *of
	e.Text, e.Type = shorten(e.Text, limit), shorten(e.Type, limit)
	e.Origin = run.ErrorOrigin(shorten(string(e.Origin), limit))
	if limit < 512 {
		e.Frames = nil
	}
	return &e
}
