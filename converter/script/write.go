package script

import (
	"embed"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
)

//go:embed helpers/*.py
var helperFiles embed.FS

// helper is what a kernel gives, as code at the head of a script.
type helper struct {
	name  string
	needs []string
}

// helpers are in the order in which they stand in a script.
var helpers = []helper{
	{name: ipython.Lines}, {name: ipython.Run}, {name: ipython.RunScript}, {name: ipython.RunFile},
	{name: ipython.Script}, {name: ipython.Text}, {name: ipython.Timeit},
	{name: "path"}, {name: "get_ipython"},
	{name: "show"}, {name: "display", needs: []string{"show"}}, {name: "rich", needs: []string{"display"}},
	{name: "capture"}, {name: "colab"}, {name: "figures"}, {name: "loop"},
}

// source is the code of a helper.
func (s *scripting) source(name string) string {
	if code := ipython.Source(name); code != "" {
		return code
	}
	switch {
	case name == "loop":
		return "import asyncio as _metaml_asyncio\n\n_metaml_loop = _metaml_asyncio.new_event_loop()\n" +
			"_metaml_asyncio.set_event_loop(_metaml_loop)"
	case name == "figures" && s.o.Show:
		name = "windows"
	}
	data, err := helperFiles.ReadFile("helpers/" + name + ".py")
	if err != nil {
		panic("script: no helper " + name) // all are named in this file
	}
	code := strings.TrimRight(string(data), "\n")
	if name == "figures" {
		code = strings.Replace(code, `"NAME-%d.png" %`, quoted(strings.ReplaceAll(s.o.Name, "%", "%%")+"-%d.png")+" %", 1)
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
	if s.o.Inline != "" {
		add(strings.TrimRight(s.o.Inline, "\n"))
	}
	if len(s.future) > 0 {
		add("")
		for _, f := range s.future {
			add(f)
		}
	}
	for i := len(helpers) - 1; i >= 0; i-- {
		if s.used[helpers[i].name] {
			for _, need := range helpers[i].needs {
				s.used[need] = true
			}
		}
	}
	first := true
	for _, h := range helpers {
		if !s.used[h.name] {
			continue
		}
		if first {
			add("")
			if s.o.Percent {
				add("# %%")
			}
			add("# What the notebook's kernel gives, in plain Python.")
		}
		first = false
		add("\n")
		add(s.source(h.name))
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
	if s.used["figures"] {
		s.body = append(s.body, outLine{}, outLine{text: "_metaml_figures()  # what functions drew that do not say so"})
	}
	all = append(all, s.body...)
	for len(all) > 0 && all[len(all)-1].text == "" {
		all = all[:len(all)-1]
	}
	var b strings.Builder
	for i, l := range all {
		b.WriteString(l.text)
		b.WriteByte('\n')
		if l.cell > 0 && strings.TrimSpace(l.text) != "" {
			s.out.Lines = append(s.out.Lines, Line{Script: i + 1, Cell: l.cell, Label: l.label, Line: l.line, File: l.file})
		}
	}
	s.out.Text = b.String()
}
