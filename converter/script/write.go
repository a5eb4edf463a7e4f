package script

import (
	"embed"
	"maps"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
)

//go:embed helpers/*.py
var helperFiles embed.FS

// order are the helpers, which are what a kernel gives as code at the head of a script, as they stand there.
var order = []string{
	ipython.Lines, ipython.Run, ipython.RunScript, ipython.RunFile, ipython.Script, ipython.Text, ipython.Timeit,
	"path", "get_ipython", "show", "display", "handle", "rich", "nothing", "capture", "colab_drive", "colab_files",
	"colab_userdata", "colab_auth", "colab_output", "colab_data_table", "figures", "loop",
}

// kernelGives is the line above the helpers.
const kernelGives = "# What the notebook's kernel gives, in plain Python."

// helper is one with its code.
type helper struct{ name, code string }

// helpers are those that the script uses.
func (s *scripting) helpers() []helper {
	s.used["display"] = s.used["display"] || s.used["handle"]
	s.used["show"] = s.used["show"] || s.used["display"] || s.used["capture"]
	s.nested = s.nested || s.used["display"]
	var all []helper
	for _, name := range order {
		if s.used[name] {
			all = append(all, helper{name, s.source(name)})
		}
	}
	return all
}

// source is the code of a helper.
func (s *scripting) source(name string) string {
	if code := ipython.Source(name); code != "" {
		return code
	}
	file := name
	switch {
	case name == "loop":
		return "import asyncio as _metaml_asyncio\n\n_metaml_loop = _metaml_asyncio.new_event_loop()\n" +
			"_metaml_asyncio.set_event_loop(_metaml_loop)"
	case name == "figures" && s.o.Show:
		file = "windows"
	case name == "show" && !s.nested:
		file = "show_plain"
	}
	data, err := helperFiles.ReadFile("helpers/" + file + ".py")
	if err != nil {
		panic("script: no helper " + name) // all are named in this file
	}
	code := strings.TrimRight(string(data), "\n")
	switch name {
	case "figures":
		name := strings.ReplaceAll(s.o.Name, "%", "%%") + "-%d.png"
		code = strings.Replace(code, `"NAME-%d.png" %`, quoted(name)+" %", 1)
	case "show":
		if s.used["figures"] {
			code = strings.Replace(code, "    if value is not None:\n", "    if type(value).__module__ == "+
				"\"matplotlib.figure\":\n        _metaml_save(value)\n    if value is not None:\n", 1)
		}
	case "display":
		if s.used["handle"] {
			code = strings.Replace(code, "(*values, ", "(*values, display_id=None, ", 1) +
				"\n    return _metaml_handle(display_id) if display_id else None"
		}
	}
	return code
}

// finish puts the parts together.
func (s *scripting) finish() {
	var all []outLine
	add := func(text string) {
		for l := range strings.SplitSeq(text, "\n") {
			all = append(all, outLine{text: l})
		}
	}
	source := s.o.Source
	if source == "" {
		source = "a notebook"
	}
	add("# Made by metaml-nbconvert from " + source + ".")
	if len(s.future) > 0 {
		add("")
		for _, f := range s.future {
			add(f)
		}
	}
	for i, h := range s.helpers() {
		if i == 0 {
			add("")
			if s.o.Percent {
				add("# %%")
			}
			add(kernelGives)
		}
		add("\n")
		add(h.code)
	}
	if len(s.heads) > 0 {
		add("\n")
		for _, name := range slices.Sorted(maps.Keys(s.heads)) {
			add(name + " = " + s.heads[name])
		}
	}
	add("")
	if len(s.options) > 0 {
		add("import argparse as _metaml_argparse\n")
		add("_metaml_options = _metaml_argparse.ArgumentParser(argument_default=_metaml_argparse.SUPPRESS)")
		for _, option := range s.options {
			add(option)
		}
		add("_metaml_given = vars(_metaml_options.parse_args())")
		add("")
	}
	body := untrailed(s.body)
	if len(body) == 0 {
		all = untrailed(all)
	}
	size, mapped := 0, 0
	for _, lines := range [][]outLine{all, body} {
		for i := range lines {
			size += len(lines[i].text) + 1
			if lines[i].cell != nil {
				mapped++
			}
		}
	}
	var b strings.Builder
	b.Grow(size)
	s.out.Lines = make([]Line, 0, mapped)
	n := 0
	for _, lines := range [][]outLine{all, body} {
		for i := range lines {
			l := &lines[i]
			b.WriteString(l.text)
			b.WriteByte('\n')
			if n++; l.cell != nil && strings.TrimSpace(l.text) != "" {
				s.out.Lines = append(s.out.Lines, Line{
					Script: n, Cell: l.cell.cell, Label: l.cell.label, Line: l.line, File: l.cell.file,
				})
			}
		}
	}
	s.out.Text = b.String()
}

// untrailed leaves out blank lines at the end.
func untrailed(lines []outLine) []outLine {
	for len(lines) > 0 && lines[len(lines)-1].text == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
