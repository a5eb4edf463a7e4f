package main

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
)

// repeated gives a text again and again, up to a number of bytes.
type repeated struct {
	text string
	left int
	rest string
}

func (r *repeated) Read(b []byte) (int, error) {
	if r.rest == "" {
		if r.left < len(r.text) {
			return 0, io.EOF
		}
		r.rest = r.text
		r.left -= len(r.text)
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// A notebook with 200 MiB of outputs is read in little memory, also where it comes through a pipe. That of 1 GiB is
// shown by package nbformat.
func TestLargeOutputsAreNotHeld(t *testing.T) {
	line := `"` + strings.Repeat("x", 78) + `\n", `
	for _, to := range []string{"script", "percent", "markdown"} {
		t.Run(to, func(t *testing.T) {
			in := io.MultiReader(
				strings.NewReader(`{"cells": [{"cell_type": "code", "metadata": {}, "source": "a = 1", "outputs": [`+
					`{"output_type": "stream", "name": "stdout", "text": [`),
				&repeated{text: strings.Repeat(line, 1000), left: 200 << 20},
				strings.NewReader(`"end"]}]}], "metadata": {}, "nbformat": 4}`),
			)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var out, errs bytes.Buffer
			code := run(t.Context(), []string{"-", "--to", to}, in, &out, &errs)
			runtime.ReadMemStats(&after)
			if code != 0 || !strings.Contains(out.String(), "a = 1\n") || errs.Len() > 0 {
				t.Errorf("%d %s %s", code, out.String(), errs.String())
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 30 {
				t.Errorf("it took %d MiB", used)
			}
		})
	}
}
