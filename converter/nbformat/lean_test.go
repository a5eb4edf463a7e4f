package nbformat

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestOutputsAreLeftOut(t *testing.T) {
	text := `{"outputs": [1], "cells": [{"outputs": [{"a": "}"}] , "source": ["x"], "cell_type": "code"},` +
		` {"attachments":{"i.png": {}},"metadata": {"outputs": 2}, "cell_type": "markdown"},` +
		` {"outputs": null, "cell_type": "code"}], "nbformat": 4}` + "\n"
	want := `{"outputs": [1], "cells": [{"outputs": [] , "source": ["x"], "cell_type": "code"},` +
		` {"attachments":{},"metadata": {"outputs": 2}, "cell_type": "markdown"},` +
		` {"outputs": [], "cell_type": "code"}], "nbformat": 4}` + "\n"
	for name, r := range map[string]io.Reader{
		"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
	} {
		t.Run(name, func(t *testing.T) {
			nb, got, err := ReadLean(r)
			if err != nil || string(got) != want || len(nb.Cells) != 3 {
				t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
			}
		})
	}
	long := strings.Repeat(`"`+strings.Repeat("y", chunk/3)+`",`, 10)
	var b strings.Builder
	for i := range 5 {
		fmt.Fprintf(&b, `{"cell_type": "code", "source": [%s"%d"], "outputs": [%s1]},`, long, i, long)
	}
	all := `{"cells": [` + strings.TrimSuffix(b.String(), ",") + `], "nbformat": 4}`
	_, got, err := ReadLean(strings.NewReader(all))
	if short := strings.ReplaceAll(b.String(), "["+long+"1]", "[]"); err != nil ||
		string(got) != `{"cells": [`+strings.TrimSuffix(short, ",")+`], "nbformat": 4}` {
		t.Errorf("%v: %d bytes are kept", err, len(got))
	}
}
