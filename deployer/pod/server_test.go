package pod_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

func TestAServersMessageFitsAndSaysWhatMattersMost(t *testing.T) {
	frames := make([]run.Frame, 100)
	var printed strings.Builder
	for i := range frames {
		frames[i] = run.Frame{File: fmt.Sprintf("file%d.py", i), Line: i}
		fmt.Fprintf(&printed, "line %d of what was printed, which is so and so long\n", i)
	}
	lines := strings.TrimSpace(printed.String())
	long := strings.Repeat("é", 9000)
	for _, c := range []struct {
		name    string
		message pod.ServerMessage
		check   func(m pod.ServerMessage) bool
	}{
		{
			"a short one is whole",
			pod.ServerMessage{Text: "no", Error: &run.Error{Type: "ValueError", Traceback: "here"}, Lines: "a\nb"},
			func(m pod.ServerMessage) bool {
				return !m.Cut && m.Text == "no" && m.Error.Traceback == "here" && m.Lines == "a\nb"
			},
		},
		{
			"the traceback goes first",
			pod.ServerMessage{Error: &run.Error{Text: "no", Frames: frames[:2], Traceback: long}, Lines: "a\nb"},
			func(m pod.ServerMessage) bool {
				return m.Cut && m.Error.Traceback == "" && len(m.Error.Frames) == 2 && m.Lines == "a\nb"
			},
		},
		{
			"then the outer frames",
			pod.ServerMessage{Error: &run.Error{Text: "no", Frames: frames}, Lines: "a\nb"},
			func(m pod.ServerMessage) bool {
				n := len(m.Error.Frames)
				return n > 5 && n < 100 && m.Error.Frames[n-1].Line == 99 && m.Lines == "a\nb"
			},
		},
		{
			"then the first of the lines",
			pod.ServerMessage{Error: &run.Error{Frames: frames[:1]}, Lines: lines, Hint: "do"},
			func(m pod.ServerMessage) bool {
				return len(m.Error.Frames) == 1 && strings.HasPrefix(m.Lines, "line ") && m.Hint == "do" &&
					strings.HasSuffix(m.Lines, lines[len(lines)-100:]) && len(m.Lines) > 2000
			},
		},
		{
			"then the ends of texts",
			pod.ServerMessage{Text: long, Hint: long, Error: &run.Error{Type: long, Text: long}},
			func(m pod.ServerMessage) bool {
				return strings.HasSuffix(m.Error.Text, "é…") && strings.HasPrefix(m.Text, "éé") &&
					strings.HasPrefix(m.Hint, "éé")
			},
		},
		{
			"a line that is too long by itself",
			pod.ServerMessage{Text: "no", Lines: long},
			func(m pod.ServerMessage) bool { return m.Text == "no" && m.Lines == "" },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.message.Revision, c.message.Reason = 7, run.ReasonTest
			data := c.message.Encode()
			m, ok := pod.DecodeServer(string(data))
			if len(data) > pod.MaxMessage || !ok || m.Revision != 7 || m.Reason != run.ReasonTest || !c.check(m) {
				t.Errorf("%d bytes, %v: %s", len(data), ok, data)
			}
		})
	}
}

func TestWhatIsNoMessageOfAServer(t *testing.T) {
	trial := string(pod.Of(&run.Trial{Attempt: 1}).Encode())
	for _, text := range []string{"", "metaml-server: it did not come whole", trial, `{"v":2,"revision":1}`} {
		if m, ok := pod.DecodeServer(text); ok {
			t.Errorf("%q is %+v", text, m)
		}
	}
}

func FuzzDecodeServer(f *testing.F) {
	f.Add(string(pod.ServerMessage{Revision: 1, Text: "no", Lines: "a\nb"}.Encode()))
	f.Add(`{"v":1,"revision":3,"error":{"type":"E","origin":"\u0001","frames":[{"file":"a"}]},"reason":"\u0001"}`)
	f.Add("Error: no such file")
	f.Fuzz(func(t *testing.T, text string) {
		m, ok := pod.DecodeServer(text)
		if !ok {
			return
		}
		data := m.Encode()
		again, ok := pod.DecodeServer(string(data))
		if !ok || len(data) > pod.MaxMessage || again.Revision != m.Revision {
			t.Errorf("%q became a message of %d bytes: %s", text, len(data), data)
		}
	})
}
