package launch

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// said is a line that the module gets.
type said struct {
	Type, Code, Text, Hint string
	ID                     int
}

// converseWith plays the module: it begins with one line, answers `options` with request, and gives the last line.
func converseWith(t *testing.T, l *Launcher, begin, request string) said {
	t.Helper()
	in, toMetaml := io.Pipe()
	fromMetaml, out := io.Pipe()
	l.In, l.Out = in, out
	served := make(chan error, 1)
	go func() {
		served <- l.Converse(t.Context(), true, ToRun)
		_ = out.Close()
	}()
	send := func(line string) {
		if _, err := io.WriteString(toMetaml, line+"\n"); err != nil {
			t.Error(err)
		}
	}
	send(begin)
	var last said
	lines := bufio.NewScanner(fromMetaml)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		last = said{}
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			t.Fatal(err)
		}
		switch last.Type {
		case "options":
			send(request)
		case "need": // the module knows no name
			answer, err := json.Marshal(map[string]any{"v": 1, "type": "have", "id": last.ID})
			if err != nil {
				t.Fatal(err)
			}
			send(string(answer))
		}
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	_ = toMetaml.Close()
	return last
}

func TestACellIsRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	begin := func(kind, line, more string) string {
		return `{"v":1,"type":"begin","kind":"` + kind + `","line":"` + line + `","cwd":"/","cell":{"seq":1}` +
			more + `}`
	}
	document := func(version, source string) string {
		return `{"v":1,"type":"request","session":{"v":1,"kind":"live","cwd":"/",` +
			`"interpreter":{"path":"/p","version":"` + version + `"},"cells":[{"seq":1,"source":"` + source +
			`","code":"` + source + `","ok":true}]}}`
	}
	const hint = "Leave it out (%s): runs execute on this machine."
	for _, c := range []struct {
		name, begin, request string
		want                 said
	}{
		{
			"another kind", begin("tune", "", ""), "",
			said{Code: "kind", Text: "%%tune is not in this version"},
		},
		{
			"an option that is not there", begin("train", "--speed 3", ""), "",
			said{Code: "option", Text: "%%train: "},
		},
		{
			"an old Python", begin("train", "", ""), document("3.9.1", `def f():\n    pass\n`),
			said{Code: "python", Text: "%%train: /p is Python 3.9.1, and MetaML needs 3.10 or newer"},
		},
		{
			"no function", begin("train", "", ""), document("3.11.1", "x = 1"),
			said{Code: "no-function", Text: "%%train: "},
		},
		{
			"a model that is no run and no variable", begin("serve", "--model fitted", ""), "",
			said{Code: "model", Text: "%%serve: --model fitted: "},
		},
		{
			"an example that is neither", begin("serve", "--example '{1'", ""),
			document("3.11.1", `def f(row):\n    pass\n`),
			said{Code: "example", Text: "%%serve: --example takes an input as JSON"},
		},
		{
			"the target on the line", begin("train", "--target kubernetes", ""), "",
			said{Code: "target", Text: "%%train: target kubernetes is not in this version of MetaML"},
		},
		{
			"the target of a decorator", begin("train", "", `,"settings":{"target":"kubernetes"}`), "",
			said{Code: "target", Text: "@Train: target kubernetes is not in this version of MetaML"},
		},
		{
			"the target of the session's environment",
			begin("train", "", `,"environment":{"METAML_TARGET":"kubernetes"}`), "",
			said{
				Code: "target", Text: "%%train: target kubernetes is not in this version of MetaML",
				Hint: strings.Replace(hint, "%s", "METAML_TARGET", 1),
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := converseWith(t, launcherIn(t, t.TempDir()), c.begin, c.request)
			if got.Type != "refused" || got.Code != c.want.Code || !strings.HasPrefix(got.Text, c.want.Text) {
				t.Errorf("%+v", got)
			}
		})
	}
}
