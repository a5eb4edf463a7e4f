package nbformat

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func addSeeds(f *testing.F) {
	f.Helper()
	for _, text := range asWritten {
		f.Add([]byte(text))
	}
	for i, version := range versions {
		g := newGenerator(uint64(i))
		f.Add([]byte(g.write(g.notebook(version[0], version[1]))))
	}
	f.Add([]byte(`{"worksheets":[{"cells":[{"cell_type":"heading","level":1e9,"code":"x","prompt_number":"1"}]}]}`))
	f.Add([]byte("\xff\xfe{\x00}\x00"))
	f.Add([]byte(`{"cells":0,"cells":[]}`))
	f.Add([]byte("{\"a\"\u00e9\xf0"))
	f.Add([]byte("{\n<<<<<<< a\n"))
}

// FuzzRead reads the same in one piece and byte by byte.
func FuzzRead(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		nb, err := ReadBytes(data)
		other, otherErr := Read(iotest.OneByteReader(bytes.NewReader(data)))
		if fmt.Sprint(err) != fmt.Sprint(otherErr) || !reflect.DeepEqual(nb, other) {
			t.Errorf("in one piece: %+v, %v\nbyte by byte: %+v, %v", nb, err, other, otherErr)
		}
		located, places, locateErr := Locate(bytes.NewReader(data))
		if fmt.Sprint(err) != fmt.Sprint(locateErr) || !reflect.DeepEqual(nb, located) {
			t.Errorf("located: %+v, %v", located, locateErr)
		}
		lean, text, leanErr := ReadLean(iotest.HalfReader(bytes.NewReader(data)))
		if fmt.Sprint(err) != fmt.Sprint(leanErr) || !reflect.DeepEqual(nb, lean) {
			t.Errorf("lean: %+v, %v", lean, leanErr)
		}
		if err == nil {
			if again, err := ReadBytes(text); err != nil || !reflect.DeepEqual(nb, again) {
				t.Errorf("without outputs: %+v, %v", again, err)
			}
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		for i, c := range nb.Cells {
			if c.Type == "" || c.Count < 0 {
				t.Errorf("got %+v", c)
			}
			lines := strings.Count(strings.TrimSuffix(c.Source, "\n"), "\n") + 1
			if len(places[i].Lines) < lines && c.Source != "" && nb.Format == 4 {
				t.Errorf("there are %d places of %d lines", len(places[i].Lines), lines)
			}
		}
	})
}

// FuzzParse writes back what it parsed, agrees with Read about the cells, and survives all that one can do to a
// document.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		nb, readErr := ReadBytes(data)
		if err != nil {
			if readErr == nil {
				t.Errorf("Read reads it, but Parse says %v", err)
			}
			return
		}
		if !bytes.Equal(d.Bytes(), data) {
			t.Errorf("written back: %q", d.Bytes())
		}
		if readErr == nil {
			compareCells(t, d, nb)
		} else if !strings.HasPrefix(readErr.Error(), "cell ") {
			t.Errorf("Parse parses it, but Read says %v", readErr)
		}
		d.Validate()
		d.Format()
		for _, c := range d.Cells() {
			if c.Value().Kind() != Object {
				continue
			}
			c.SetSource(c.Source() + "\nmore")
			c.SetTags("a", "b")
			c.ClearOutputs()
		}
		if _, err := Parse(d.Bytes()); err != nil {
			t.Fatalf("changed, it cannot be parsed: %v\n%q", err, d.Bytes())
		}
		d.Upgrade()
		upgraded, err := Parse(d.Format())
		if err != nil {
			t.Fatalf("upgraded, it cannot be parsed: %v\n%q", err, d.Format())
		}
		if got := upgraded.Format(); !bytes.Equal(got, d.Format()) {
			t.Errorf("formatted again, it is another: %q, then %q", d.Format(), got)
		}
	})
}

func compareCells(t *testing.T, d *Document, nb *Notebook) {
	t.Helper()
	major, minor := d.Version()
	got := &Notebook{
		Format: major, Minor: minor, Language: d.Language(), Version: d.LanguageVersion(),
		Kernel: d.Metadata().Get("kernelspec").Get("name").Text(),
	}
	for _, c := range d.Cells() {
		cell := Cell{Type: c.Type(), Source: c.Source(), ID: c.ID(), Count: c.Count(), Tags: c.Tags()}
		switch cell.Type {
		case "heading":
			cell.Type, cell.Source = "markdown", heading(c.Level(), cell.Source)
		case "html", "text":
			cell.Type = "markdown"
		}
		got.Cells = append(got.Cells, cell)
	}
	if !reflect.DeepEqual(got, nb) {
		t.Errorf("Parse: %+v\nRead:  %+v", got, nb)
	}
}

func TestReadAndParseAgree(t *testing.T) {
	for _, text := range append(generated(50, false), generated(50, true)...) {
		d, err := Parse([]byte(text))
		nb, readErr := ReadBytes([]byte(text))
		switch {
		case err == nil && readErr == nil:
			compareCells(t, d, nb)
		case readErr == nil, err == nil && !strings.HasPrefix(readErr.Error(), "cell "):
			t.Errorf("%q: Parse says %v, Read %v", text, err, readErr)
		}
		if t.Failed() {
			t.Fatalf("of %q", text)
		}
	}
}
