package talk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestLinesAreWrittenWithVersionAndType(t *testing.T) {
	no := false
	for want, line := range map[string]Line{
		`{"v":1,"type":"detach"}`:          Detach{},
		`{"v":1,"type":"stop","now":true}`: Stop{Now: true},
		`{"v":1,"type":"need","id":3,"describe":["x"],"sizes":false}`: Need{
			ID:       3,
			Describe: []string{"x"}, Sizes: &no,
		},
		`{"v":1,"type":"done","state":"succeeded","error":null}`: Done{State: "succeeded"},
		`{"v":1,"type":"refused","code":"option","text":"no","hint":"","cell":2,"line":1}`: Refused{
			Code: "option",
			Text: "no", Cell: 2, Line: 1,
		},
		`{"v":1,"type":"display","bundle":{"text/plain":"x"},` +
			`"update":false}`: Display{Bundle: map[string]string{"text/plain": "x"}},
		`{"v":1,"type":"stream","text":"a\nb"}`: Stream{Text: "a\nb"},
		`{"v":1,"type":"submitted","run":"train-1","attached":true}`: Submitted{
			Run:      "train-1",
			Attached: true,
		},
		`{"v":1,"type":"slice","bundle":{},"display_id":"d"}`: Slice{
			Bundle:    map[string]string{},
			DisplayID: "d",
		},
		`{"v":1,"type":"need","id":1,"draw":{"name":"g","limit":0,"completions":2,"parallelism":3,"parameters":null,` +
			`"required":["x"]}}`: Need{
			ID: 1, Draw: &Draw{Name: "g", Completions: 2, Parallelism: 3, Required: []string{"x"}},
		},
	} {
		t.Run(string(line.kind()), func(t *testing.T) {
			var out bytes.Buffer
			if err := NewWriter(&out).Send(line); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != want+"\n" {
				t.Errorf("got  %swant %s", got, want)
			}
			var fields map[string]any
			if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
				t.Error(err)
			}
		})
	}
}

type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAReaderThatHasGoneIsTold(t *testing.T) {
	if err := NewWriter(gone{}).Send(Detach{}); !errors.Is(err, ErrClosed) || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

func TestLinesAreReadOneByOne(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	r := NewReader(strings.NewReader("a\n" + long + "\n\nunfinished"))
	for _, want := range []string{"a\n", long + "\n", "\n"} {
		if got, err := r.Next(); err != nil || string(got) != want {
			t.Errorf("got %.20q, %v; want %.20q", got, err, want)
		}
	}
	if got, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("an unfinished line is %q, %v", got, err)
	}
}

func TestALineHasALimit(t *testing.T) {
	_, err := NewReader(io.MultiReader(strings.NewReader(strings.Repeat("x", MaxLine)),
		strings.NewReader("yz\n"))).Next()
	if err == nil || err.Error() != "a line over 64 MiB" {
		t.Errorf("got %v", err)
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"v":1,"type":"begin","cell":{"parent":"x","alone":true}}`))
	f.Add([]byte(`{"type":"display","bundle":{"text/plain":"x"},"update":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		Parse(data)
		r := NewReader(bytes.NewReader(data))
		read := 0
		for {
			line, err := r.Next()
			if err != nil {
				break
			}
			read += len(line)
		}
		if want := bytes.LastIndexByte(data, '\n') + 1; read != want {
			t.Errorf("read %d bytes of %d in whole lines", read, want)
		}
	})
}
