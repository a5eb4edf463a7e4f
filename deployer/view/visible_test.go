package view_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

func TestWhatATerminalWouldObeyIsShown(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ünïcode, 日本語, 🙂\n\ttab": "plain, ünïcode, 日本語, 🙂\n\ttab",
		"\x1b]0;title\x07":              `\x1b]0;title\x07`,
		"\x1b[2J":                       `\x1b[2J`,
		"\u009b2J":                      `\x9b2J`,
		"\x9b2J":                        `\x9b2J`,
		"\x7f\x00":                      `\x7f\x00`,
		"over\rwritten":                 `over\rwritten`,
		"line\r\nline":                  "line\nline",
		"a\u202eb\u2066c\u200fd":        `a\u202eb\u2066c\u200fd`,
		"one\u2028two\u2029three":       `one\u2028two\u2029three`,
		"pay\u200bload\ufeff":           `pay\u200bload\ufeff`,
		"a\u200cb":                      `a\u200cb`,
		"می\u200cخواهم":                 "می\u200cخواهم",
		"👩\u200d💻":                      "👩\u200d💻",
		"x\U000e0041":                   `x\U000e0041`,
		"cut \xe2\x82":                  `cut \xe2\x82`,
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			if got := view.Visible(text); got != want {
				t.Errorf("%q is shown as %q, want %q", text, got, want)
			}
		})
	}
	if got := view.OneLine("a\nb\tc"); got != "a b c" {
		t.Errorf("on one line: %q", got)
	}
}

// obeyed finds what must not reach a terminal, a browser or a notebook.
func obeyed(s string) string {
	for i, r := range s {
		switch {
		case r == '\n' || r == '\t':
		case r == utf8.RuneError && s[i] != "\ufffd"[0], unicode.IsControl(r),
			unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp),
			r == 0x200b || r == 0x2060 || r == 0xfeff:
			return s[max(0, i-20):min(len(s), i+20)]
		}
	}
	return ""
}

func FuzzVisible(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b[31mred", "\u202e", "\xff", "\r\n", "\u200d", "👩\u200d💻", "\xa9\u200d💻"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := view.Visible(s)
		if bad := obeyed(got); bad != "" {
			t.Errorf("%q is shown as %q: %q", s, got, bad)
		}
		if again := view.Visible(got); again != got {
			t.Errorf("%q is shown as %q, and that as %q", s, got, again)
		}
	})
}

var colours = regexp.MustCompile("\x1b\\[[0-9;:]*m")

// FuzzDrawings puts bytes of a stranger wherever a run has text, and checks every drawing.
func FuzzDrawings(f *testing.F) {
	for _, s := range []string{
		"x", "\x1b]0;title\x07", "\x1b[2J\x1b[31m", "a\u202eb", "line\nline", "\u009b",
		"<img src=x>", "javascript:alert(1)", "http://a/\x1b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Skip()
		}
		frames := []run.Frame{{File: s, Line: 1, Function: s, Text: s, Mine: true}}
		spec := run.Spec{
			Name: s, Source: s, Completions: 6, Parallelism: 1, Server: &run.ServerSpec{Revision: 1, Model: s, Host: s},
		}
		state := run.NewState(spec)
		trial := func(i int) *int { return &i }
		state.Apply(run.Event{
			Type: run.EventTrialEnded, Trial: trial(0), Attempt: 2, State: run.Succeeded,
			Metrics: run.Metrics{s: 1, s + "2": 2},
		})
		state.Apply(run.Event{
			Type: run.EventTrialEnded, Trial: trial(1), Attempt: 1, State: run.Failed,
			Error: &run.Error{Type: s, Text: s, Frames: frames, Traceback: s}, Hint: s,
		})
		for i, reason := range map[int]string{3: s, 4: s, 5: "a" + s} {
			state.Apply(run.Event{
				Type: run.EventTrialWaiting, Trial: trial(i), Attempt: 1, Reason: run.Reason(reason), Text: s, Hint: s,
			})
		}
		state.Apply(run.Event{
			Type: run.EventTrialEnded, Trial: trial(2), Attempt: 1, State: run.Failed, Reason: run.Reason(s),
		})
		state.Apply(run.Event{Type: run.EventNote, Code: "x", Text: s, Hint: s})
		value := func(b string) run.Row {
			return run.Row{
				{Name: s, Value: quoted}, {Name: "b" + s, Value: json.RawMessage(b)}, {Name: "c", Value: quoted},
			}
		}
		facts := view.Facts{
			Spec: spec, Table: []run.Row{value("1"), value("2"), value(string(quoted))}, Remarks: []string{s},
			TensorBoard: s,
		}
		var drawn []string
		table := view.New(facts, state, start)
		for _, r := range table.Rows {
			drawn = append(drawn, table.Line(r))
		}
		for i := range state.Trials {
			summary, body := view.Failure(&state.Trials[i])
			drawn = append(drawn, summary, body)
		}
		state.Apply(run.Event{Type: run.EventEnded, State: run.Failed, Reason: run.Reason(s), Text: s})
		over := view.New(facts, state, start)
		for _, server := range []*run.Server{
			{Address: s, Example: s, Revision: 1},
			{Failed: &run.RevisionFailure{Revision: 1, Reason: run.Reason(s), Text: s, Hint: s}},
			{Failed: &run.RevisionFailure{Revision: 1, Error: &run.Error{Type: s, Text: s, Frames: frames}}},
		} {
			state := &run.State{
				Name: s, Phase: run.Running, Server: server, Submitted: time.Unix(0, 0), Notes: state.Notes,
			}
			panel := view.NewPanel(view.ServerFacts{Spec: spec, Remarks: []string{s}}, state, start)
			drawn = append(drawn, panel.Text(), panel.HTML(), panel.Headline(), view.ServerFailure(server.Failed))
			drawn = append(drawn, panel.Terminal(80, 24, false)...)
			drawn = append(drawn, panel.Lines...)
		}
		for _, table := range []*view.Table{table, over} {
			drawn = append(drawn, table.Text(), table.HTML(), table.Headline())
			drawn = append(drawn, table.Terminal(80, 24, false)...)
			drawn = append(drawn, table.Remarks()...)
			drawn = append(drawn, table.Above()...)
			for _, line := range table.Terminal(80, 24, true) {
				drawn = append(drawn, colours.ReplaceAllString(line, ""))
			}
		}
		drawn = append(drawn, view.Fold(s, s, s))
		for _, d := range drawn {
			if bad := obeyed(d); bad != "" {
				t.Errorf("%q is drawn raw: %q", s, bad)
			}
			if strings.Contains(d, `href="`) && !strings.Contains(d, `href="http://`) &&
				!strings.Contains(d, `href="https://`) && !strings.Contains(d, `href="/`) {
				t.Errorf("%q is a link", s)
			}
		}
	})
}

func TestALinkLeadsToAPageAlone(t *testing.T) {
	facts, state := sample(t)
	for address, linked := range map[string]bool{
		"http://127.0.0.1:6006/": true, "https://hub.example/user/a/proxy/6006/": true, "/user/a/proxy/6006/": true,
		"javascript:alert(1)": false, "JavaScript:alert(1)": false, "data:text/html,x": false, "//evil.example/": false,
		`/\evil.example`: false,
		"http:alert":     false, "java\nscript:alert(1)": false, " javascript:alert(1)": false,
		"file:///etc/passwd": false,
	} {
		t.Run(address, func(t *testing.T) {
			facts.TensorBoard = address
			if got := strings.Contains(view.New(facts, state, start).HTML(), "<a "); got != linked {
				t.Errorf("%q is a link: %t, want %t", address, got, linked)
			}
		})
	}
}

func TestALogKeepsItsColoursAlone(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m\n":           "\x1b[1;31mred\x1b[0m\n\x1b[0m",
		"\x1b[38;5;8mgrey":                 "\x1b[38;5;8mgrey\x1b[0m",
		"\x1b[8mhidden":                    `\x1b[8mhidden`,
		"\x1b[2J\x1b]0;x\x07\x1b[1A":       `\x1b[2J\x1b]0;x\x07\x1b[1A`,
		" 10%\r 20%\r\n":                   " 10%\n 20%\n",
		"\u009b31m \u202e \x1b":            `\x9b31m \u202e \x1b`,
		"half \xe2\x82":                    `half \xe2\x82`,
		"\x1b[" + strings.Repeat("1;", 99): `\x1b[` + strings.Repeat("1;", 99),
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			for _, size := range []int{1, 3, len(text)} { // it comes in pieces
				var out bytes.Buffer
				log := &view.Log{To: &out}
				for rest := []byte(text); len(rest) > 0; {
					n := min(size, len(rest))
					if _, err := log.Write(rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if err := log.Close(); err != nil || out.String() != want {
					t.Errorf("%q in pieces of %d: %q, want %q", text, size, out.String(), want)
				}
			}
		})
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b[0m"), 1)
	f.Add([]byte("a\r\nb\xe2\x82\xac"), 2)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		size = max(1, size%16)
		var out, whole bytes.Buffer
		pieces, at := &view.Log{To: &out}, &view.Log{To: &whole}
		for rest := text; len(rest) > 0; {
			n := min(size, len(rest))
			_, _ = pieces.Write(rest[:n])
			rest = rest[n:]
		}
		_, _ = at.Write(text)
		_, _ = pieces.Close(), at.Close()
		if bad := obeyed(colours.ReplaceAllString(whole.String(), "")); bad != "" {
			t.Errorf("%q is written raw: %q", text, bad)
		}
		if out.String() != whole.String() {
			t.Errorf("in pieces of %d it is %q, whole %q", size, out.String(), whole.String())
		}
	})
}
