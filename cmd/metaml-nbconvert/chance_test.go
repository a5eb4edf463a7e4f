package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/script"
	"github.com/metaml/metaml/test/venv"
)

// What a long run takes: how many notebooks it makes, the seed of the first, whether it says why notebooks fail, and
// how many differences it shrinks and shows.
const (
	wholeVariable      = "METAML_WHOLE"
	wholeFromVariable  = "METAML_WHOLE_FROM"
	wholeWhyVariable   = "METAML_WHOLE_WHY"
	wholeShownVariable = "METAML_WHOLE_SHOWN"
)

// wholeFew is how many notebooks are made otherwise.
const wholeFew = 300

// chanceCell is a cell of a notebook made by chance.
type chanceCell struct {
	lines  []string // its statements, each of one or several lines
	magic  string   // a cell magic above them, or ""
	tags   []string
	ending string // what stands behind the last statement
}

func (c chanceCell) source() string {
	text := strings.Join(c.lines, "\n") + c.ending
	if c.magic != "" {
		text = c.magic + "\n" + text
	}
	return text
}

// wholeMaker makes notebooks.
type wholeMaker struct {
	r       *rand.Rand
	live    map[string]string // names with the kinds of their values
	counter int
}

func newWholeMaker(seed int) *wholeMaker {
	return &wholeMaker{r: rand.New(rand.NewPCG(uint64(seed), 17)), live: map[string]string{}}
}

// name is one of a kind that is bound; "" where there is none.
func (m *wholeMaker) name(kind string) string {
	var all []string
	for name, k := range m.live {
		if k == kind || kind == "any" {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	return all[m.r.IntN(len(all))]
}

func anyOf[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// fill puts names and numbers into a text: {+kind} is a name that is bound, {kind} one that is, {0} a number, {1}
// another number for each text. It is "" where a name is missing.
func (m *wholeMaker) fill(text string) string {
	var b strings.Builder
	bound := map[string]string{}
	m.counter++
	number := strconv.Itoa(m.r.IntN(50))
	for {
		i := strings.Index(text, "{")
		if i < 0 {
			break
		}
		b.WriteString(text[:i])
		text = text[i:]
		found := hole.FindStringSubmatch(text)
		if found == nil {
			b.WriteByte('{')
			text = text[1:]
			continue
		}
		text = text[len(found[0]):]
		switch kind, binds := strings.CutPrefix(found[1], "+"); {
		case kind == "0":
			b.WriteString(number)
		case kind == "1":
			b.WriteString(strconv.Itoa(m.counter))
		case binds:
			name := anyOf(m.r, chanceNames)
			bound[name] = kind
			b.WriteString(name)
		default:
			name := m.name(kind)
			if name == "" {
				return ""
			}
			b.WriteString(name)
		}
	}
	b.WriteString(text)
	maps.Copy(m.live, bound)
	return b.String()
}

var hole = regexp.MustCompile(`^\{(\+?(?:int|str|list|dict|set|tup|lines|arr|df|obj|func|any)|0|1)\}`)

// chosen fills one of the texts that can be filled.
func (m *wholeMaker) chosen(all []string) string {
	for range 20 {
		if text := m.fill(anyOf(m.r, all)); text != "" {
			return text
		}
	}
	return "pass"
}

// expression is one with what people write around it.
func (m *wholeMaker) expression() string {
	if m.r.IntN(5) == 0 {
		return m.chosen(chanceLast)
	}
	text := m.chosen(chanceExpressions)
	if strings.Contains(text, "\n") {
		return text
	}
	switch m.r.IntN(16) {
	case 0:
		return "(" + text + ")"
	case 1:
		return "(\n    " + text + "\n)"
	case 2:
		return text + ","
	case 3:
		return text + ", " + m.chosen(chanceExpressions[:chancePlain])
	case 4:
		return "pass; " + text
	case 5:
		return "[" + text + ",\n " + text + "]"
	case 6:
		return "{'k': " + text + "}"
	}
	return text
}

// cell is one of any kind.
func (m *wholeMaker) cells() []chanceCell {
	switch m.r.IntN(20) {
	case 0:
		return m.module()
	case 1:
		return []chanceCell{{magic: m.chosen(chanceCells)}}
	}
	var c chanceCell
	for range m.r.IntN(4) {
		switch m.r.IntN(6) {
		case 0:
			c.lines = append(c.lines, m.chosen(chanceMagics))
		case 1:
			c.lines = append(c.lines, m.expression())
		default:
			c.lines = append(c.lines, m.chosen(chanceStatements))
		}
	}
	if m.r.IntN(3) > 0 || len(c.lines) == 0 {
		c.lines = append(c.lines, m.expression())
		c.ending = anyOf(m.r, chanceEndings)
		if strings.HasSuffix(c.lines[len(c.lines)-1], ";") {
			c.ending = ""
		}
	}
	switch m.r.IntN(20) {
	case 0, 1:
		c.magic = anyOf(m.r, []string{"%%time", "\n%%time", "%%time\n%%time", "%%capture"})
	case 2:
		name := m.fill("out{1}")
		// What magics say of themselves is not in what a script captures.
		c.lines = slices.DeleteFunc(c.lines, func(l string) bool {
			return strings.Contains(l, "%") ||
				strings.Contains(l, "tqdm")
		})
		c.lines = append(c.lines, "pass") // where a semicolon is the last, IPython keeps nothing
		c.ending = ""
		c.magic = "%%capture " + name
		return []chanceCell{c, {lines: []string{m.chosen(chanceStatements), anyOf(m.r, []string{
			name + ".stdout", name + ".show()", "print(" + name + ")", "str(" + name + ")",
			"len(" + name + ".outputs)", name + "()",
		})}}}
	case 3:
		if m.r.IntN(2) == 0 {
			c.tags = append(c.tags, "raises-exception")
			c.lines = append(c.lines, m.chosen(chanceFailures))
			c.ending = ""
		} else {
			c.tags = append(c.tags, anyOf(m.r, []string{"hide-input", "parameters", "scroll"}))
		}
	case 4, 5:
		return []chanceCell{{lines: []string{m.chosen(chanceAwaits)}}, c}
	}
	return []chanceCell{c}
}

// module writes one and uses it.
func (m *wholeMaker) module() []chanceCell {
	name := m.fill("mod{1}")
	body := "N = " + m.fill("{0}") + "\nprint('in', __name__)\ndef twice(x):\n    return [x, x, N]\n"
	all := []chanceCell{{magic: "%%writefile " + name + ".py\n" + body}}
	use := anyOf(m.r, [][]string{
		{"import " + name, name + ".twice(2)"},
		{"from " + name + " import twice as t" + name, "t" + name + "('a')"},
		{"%run " + name + ".py", "twice(N)"},
		{"%run " + name, "N"},
		{"from " + name + " import *", "twice(1);"},
		{"%run -n " + name + ".py", "N"},
		{"%run -i " + name + ".py"},
		{"!cat " + name + ".py"},
		{"exec(open('" + name + ".py').read())"},
	})
	return append(all, chanceCell{lines: use})
}

// notebook gives the cells of one.
func (m *wholeMaker) notebook() []chanceCell {
	cells := []chanceCell{{lines: []string{chanceStart}}}
	if m.r.IntN(12) == 0 {
		cells = append(cells, chanceCell{lines: []string{m.chosen(chanceSettings)}})
	}
	if m.r.IntN(15) == 0 {
		cells = append(cells, chanceCell{lines: []string{"import matplotlib.pyplot as plt"}})
		cells = append(cells, chanceCell{lines: []string{m.chosen(chancePlots)}}, chanceCell{lines: []string{
			m.chosen(chancePlots), m.expression(),
		}})
	}
	for range 4 + m.r.IntN(6) {
		cells = append(cells, m.cells()...)
	}
	if m.r.IntN(20) == 0 {
		cells = append(cells, chanceCell{lines: []string{m.chosen(chanceFailures)}}, chanceCell{lines: []string{"1"}})
	}
	return cells
}

// chanceNotebook is the notebook of cells.
func chanceNotebook(seed int, cells []chanceCell) *nbformat.Notebook {
	r := rand.New(rand.NewPCG(uint64(seed), 5))
	nb := &nbformat.Notebook{Format: 4, Minor: 5, Language: "python"}
	for _, c := range cells {
		if r.IntN(10) == 0 {
			nb.Cells = append(nb.Cells, nbformat.Cell{Type: "markdown", Source: "# A heading\n\n%time *text* '''\n"})
		}
		nb.Cells = append(nb.Cells, nbformat.Cell{Type: "code", Source: c.source(), Tags: c.tags, Count: r.IntN(40)})
	}
	return nb
}

// runner is a process that executes testdata/chance.py.
type runner struct {
	to   io.Writer
	from *json.Decoder
}

func newRunner(t *testing.T, kind string) *runner {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), venv.Python(t), "testdata/chance.py", kind)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "PYTHONHASHSEED=0", "IPYTHONDIR="+t.TempDir(), "COLUMNS=80",
		"PYTHONWARNINGS=ignore")
	if kind == "notebook" {
		cmd.Env = append(cmd.Env, "MPLBACKEND=module://matplotlib_inline.backend_inline")
	}
	to, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = to.Close(), cmd.Wait() })
	return &runner{to, json.NewDecoder(from)}
}

// ranCase is what running a notebook or a script gave.
type ranCase struct {
	Printed string            `json:"printed"`
	Stderr  string            `json:"stderr"`
	Failed  string            `json:"failed"`
	Figures int               `json:"figures"`
	Values  map[string]string `json:"values"`
	Hidden  bool              `json:"hidden"` // something failed of which the kernel does not hear
}

func (r *runner) run(t *testing.T, cases []map[string]any) []ranCase {
	t.Helper()
	if len(cases) == 0 {
		return nil
	}
	base := t.TempDir()
	for i := range cases {
		folder := filepath.Join(base, strconv.Itoa(i))
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		cases[i]["folder"] = folder
	}
	if err := json.NewEncoder(r.to).Encode(cases); err != nil {
		t.Fatalf("chance.py: %v", err)
	}
	var answers []ranCase
	if err := r.from.Decode(&answers); err != nil {
		t.Fatalf("chance.py: %v", err)
	}
	return answers
}

// runners are both.
type runners struct{ notebook, script *runner }

// tried is what became of a notebook.
type triedNotebook struct {
	script   string
	refused  string // why there is no script
	notebook ranCase
	failed   string // why the script fails
	wrong    string
	slice    string // the name that was sliced for
}

// try runs notebooks and their scripts, and those of a slice.
func (by runners) try(t *testing.T, seeds []int, notebooks [][]chanceCell, slices bool) []triedNotebook {
	t.Helper()
	all := make([]triedNotebook, len(notebooks))
	var asNotebooks, asScripts, asSlices []map[string]any
	var of, ofSlices []int
	for i, cells := range notebooks {
		sent := []map[string]any{}
		for _, c := range cells {
			sent = append(sent, map[string]any{"source": c.source(), "tags": append([]string{}, c.tags...)})
		}
		nb := chanceNotebook(seeds[i], cells)
		s, err := script.Of(t.Context(), nb, script.Options{Name: "script", Source: "a.ipynb"})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Refused) > 0 {
			all[i].refused = s.Refused[0].String()
			continue
		}
		all[i].script = s.Text
		asNotebooks = append(asNotebooks, map[string]any{"cells": sent})
		asScripts = append(asScripts, map[string]any{"script": s.Text})
		of = append(of, i)
	}
	done := make(chan []ranCase, 1)
	go func() { done <- by.notebook.run(t, asNotebooks) }()
	scripts := by.script.run(t, asScripts)
	for k, answer := range <-done {
		one := &all[of[k]]
		one.notebook, one.failed = answer, scripts[k].Failed
		if !answer.Hidden {
			one.wrong = disagree(answer, scripts[k])
		}
	}
	if !slices {
		return all
	}
	for _, i := range of {
		if all[i].notebook.Failed != "" || all[i].notebook.Hidden || all[i].wrong != "" {
			continue
		}
		name := sliceable(seeds[i], all[i].notebook.Values)
		if name == "" {
			continue
		}
		nb := chanceNotebook(seeds[i], notebooks[i])
		cut, err := sliced(t.Context(), &options{slice: name}, job{input: "a.ipynb"}, nb)
		if err != nil {
			continue
		}
		s, err := script.Of(t.Context(), cut, script.Options{Name: "script", Source: "a.ipynb"})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Refused) > 0 {
			continue
		}
		all[i].slice = name
		asSlices = append(asSlices, map[string]any{"script": s.Text})
		ofSlices = append(ofSlices, i)
	}
	for k, answer := range by.script.run(t, asSlices) {
		one := &all[ofSlices[k]]
		want := one.notebook.Values[one.slice]
		if got := answer.Values[one.slice]; answer.Failed != "" || got != want {
			one.wrong = fmt.Sprintf("--slice %s gives %q, the notebook has %q\n%s", one.slice, got, want, answer.Stderr)
			one.script, _ = asSlices[k]["script"].(string)
		}
	}
	return all
}

// sliceable is a name at the end of a notebook.
func sliceable(seed int, values map[string]string) string {
	var names []string
	for name := range values {
		if slices.Contains(chanceNames, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return names[seed%len(names)]
}

// said is what magics print of what they do, and what has no fixed value.
var (
	said = regexp.MustCompile(`(?m)CPU times: .*\n *Wall time: .*\n|CPU times: .*?\\nWall time: .*?\\n` +
		`|(env: |Writing |Appending to |Overwriting |Exception reporting mode: )\S.*\n|FOLDER\S*\n` +
		`|The autoreload extension is already .*\n.*%reload_ext autoreload\n| +0%\|.*it/s\]\n` +
		`|\d[^\n]* per loop \(mean .*\n|<IPython.core.display.\w+ object>\n|^<Figure .* with 0 Axes>\n`)
	address = regexp.MustCompile(`0x[0-9a-f]{6,}`)
)

func normal(text string) string {
	text = strings.NewReplacer("\r\n", "\n", `\r\n`, `\n`).Replace(text)
	return strings.TrimRight(address.ReplaceAllString(said.ReplaceAllString(text, ""), "0x"), "\n")
}

// disagree says in what a script differs from its notebook.
func disagree(notebook, script ranCase) string {
	var b strings.Builder
	if notebook.Failed != script.Failed {
		fmt.Fprintf(&b, "the notebook fails by %q, the script by %q\n%s\n%s\n", notebook.Failed, script.Failed,
			notebook.Stderr, script.Stderr)
	}
	if want, got := normal(notebook.Printed), normal(script.Printed); want != got {
		fmt.Fprintf(&b, "the notebook prints\n%s\nthe script\n%s\n", want, got)
	}
	if saved := strings.Count(script.Stderr, "saved the figure "); saved != notebook.Figures {
		fmt.Fprintf(&b, "the notebook shows %d figures, the script %d\n", notebook.Figures, saved)
	}
	for name, want := range notebook.Values {
		if got := script.Values[name]; got != want {
			fmt.Fprintf(&b, "%s is %s in the notebook, %s in the script\n", name, want, got)
		}
	}
	for name, got := range script.Values {
		if _, is := notebook.Values[name]; !is {
			fmt.Fprintf(&b, "%s is not in the notebook, and %s in the script\n", name, got)
		}
	}
	return b.String()
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// TestNotebooksMadeByChance runs notebooks, and the scripts made of them: they print the same, fail by the same, and
// end with the same values. So does the script of a slice, for the value that it was made for.
func TestNotebooksMadeByChance(t *testing.T) {
	n, from := number(t, wholeVariable, wholeFew), number(t, wholeFromVariable, 0)
	by := runners{newRunner(t, "notebook"), newRunner(t, "script")}
	const batch = 50
	ran, refused, failed, cut, wrong, why := 0, 0, 0, 0, 0, map[string]int{}
	for first := from; first < from+n; first += batch {
		var seeds []int
		var notebooks [][]chanceCell
		for seed := first; seed < min(first+batch, from+n); seed++ {
			seeds = append(seeds, seed)
			notebooks = append(notebooks, newWholeMaker(seed).notebook())
		}
		for i, one := range by.try(t, seeds, notebooks, true) {
			switch {
			case one.refused != "":
				refused++
				why[one.refused[strings.Index(one.refused, "line"):]]++
				continue
			case one.notebook.Failed != "":
				failed++
				why[one.notebook.Failed]++
			default:
				ran++
			}
			if one.slice != "" {
				cut++
			}
			if one.wrong == "" {
				continue
			}
			if wrong++; wrong > number(t, wholeShownVariable, 12) {
				continue
			}
			small := by.shrunk(t, seeds[i], notebooks[i], one)
			again := by.try(t, seeds[i:i+1], [][]chanceCell{small}, true)[0]
			t.Errorf("seed %d:\n%s=== script\n%s=== %s", seeds[i], chanceText(small), tail(again.script), again.wrong)
		}
	}
	t.Logf("%d of %d notebooks ran, %d failed, %d were refused; %d slices; %d are wrong", ran,
		n, failed, refused, cut, wrong)
	if os.Getenv(wholeWhyVariable) != "" {
		for text, n := range why {
			t.Log(n, text)
		}
	}
	if n >= 100 && (ran < n/2 || cut < n/4) {
		t.Errorf("only %d of %d notebooks ran, and %d slices", ran, n, cut)
	}
}

// tail is a script without its helpers.
func tail(text string) string {
	if i := strings.Index(text, "# Cell "); i >= 0 {
		return text[i:]
	}
	return text
}

func chanceText(cells []chanceCell) string {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString("# %%")
		if len(c.tags) > 0 {
			b.WriteString(` tags=["` + strings.Join(c.tags, `", "`) + `"]`)
		}
		b.WriteString("\n" + c.source() + "\n")
	}
	return b.String()
}

// shrunk gives a notebook of few statements that is as wrong as one of many.
func (by runners) shrunk(t *testing.T, seed int, cells []chanceCell, was triedNotebook) []chanceCell {
	t.Helper()
	for step := max(1, len(cells)/2); step > 0; {
		var smaller [][]chanceCell
		for from := len(cells); from > 0; from -= step {
			smaller = append(smaller, slices.Concat(cells[:max(0, from-step)], cells[from:]))
		}
		if step == 1 {
			smaller = append(smaller, simpler(cells)...)
		}
		found := -1
		for from := 0; from < len(smaller) && found < 0; from += atOnce {
			part := smaller[from:min(from+atOnce, len(smaller))]
			for i, one := range by.try(t, slices.Repeat([]int{seed}, len(part)), part, true) {
				if one.wrong != "" && one.notebook.Failed == was.notebook.Failed &&
					one.failed == was.failed {
					found = from + i
					break
				}
			}
		}
		switch {
		case found >= 0:
			cells = smaller[found]
			step = min(step, max(1, len(cells)/2))
		case step == 1:
			return cells
		default:
			step /= 2
		}
	}
	return cells
}

// atOnce is how many notebooks are executed before it is looked at what became of them.
const atOnce = 6

// simpler are the notebooks in which one cell has one thing less.
func simpler(cells []chanceCell) (all [][]chanceCell) {
	with := func(i int, c chanceCell) {
		other := slices.Clone(cells)
		other[i] = c
		all = append(all, other)
	}
	for i, c := range cells {
		if c.magic != "" && len(c.lines) > 0 {
			with(i, chanceCell{lines: c.lines, tags: c.tags, ending: c.ending})
		}
		if c.ending != "" {
			with(i, chanceCell{lines: c.lines, tags: c.tags, magic: c.magic})
		}
		for j := range c.lines {
			if len(c.lines) > 1 {
				c.lines = slices.Concat(c.lines[:j], c.lines[j+1:])
				with(i, c)
				c = cells[i]
			}
		}
	}
	return all
}
