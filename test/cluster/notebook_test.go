//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// cell is a code cell of a notebook file; outputs are there once it was executed.
type cell struct {
	Type     string         `json:"cell_type"`
	Source   text           `json:"source"`
	Metadata map[string]any `json:"metadata"`
	Count    *int           `json:"execution_count"`
	Outputs  []struct {
		Type string `json:"output_type"`
		Text text   `json:"text"`
		Data struct {
			Plain text `json:"text/plain"`
		} `json:"data"`
		Error string `json:"ename"`
		Value string `json:"evalue"`
	} `json:"outputs"`
}

// text is written as one string, or as a list of its lines.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var lines []string
	if err := json.Unmarshal(data, &lines); err == nil {
		*t = text(strings.Join(lines, ""))
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

// shows is all that stands under a cell.
func (c *cell) shows() string {
	var all strings.Builder
	for _, one := range c.Outputs {
		all.WriteString(string(one.Text + one.Data.Plain))
		all.WriteString(one.Error + one.Value + "\n")
	}
	return all.String()
}

// digits are the cells of examples/digits-on-a-cluster.ipynb up to its sweep, with as many epochs.
func digits(t *testing.T, epochs int) []string {
	t.Helper()
	data, err := os.ReadFile("../../examples/digits-on-a-cluster.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	var notebook struct{ Cells []cell }
	if err := json.Unmarshal(data, &notebook); err != nil {
		t.Fatal(err)
	}
	var cells []string
	for _, one := range notebook.Cells {
		if one.Type == "code" {
			source := strings.Replace(string(one.Source), "EPOCHS = 100\n", fmt.Sprintf("EPOCHS = %d\n", epochs), 1)
			cells = append(cells, source)
		}
		if strings.HasPrefix(string(one.Source), "%%train") {
			break
		}
	}
	return cells
}

// at is what is done to a kernel, "interrupt" or "kill", once a cell shows a text.
type at struct{ act, text string }

// executes runs cells in our kernel by nbclient, as one notebook.
func (p *person) executes(at at, sources ...string) (cells []cell, failed bool) {
	p.t.Helper()
	ctx := p.t.Context()
	type notebook struct {
		Format   int            `json:"nbformat"`
		Minor    int            `json:"nbformat_minor"`
		Metadata map[string]any `json:"metadata"`
		Cells    []cell         `json:"cells"`
	}
	made := notebook{Format: 4, Minor: 4, Metadata: map[string]any{"kernelspec": map[string]string{
		"name": "metaml", "display_name": "Python (MetaML)", "language": "python",
	}}}
	for _, source := range sources {
		one := cell{Type: "code", Source: text(source), Metadata: map[string]any{}}
		one.Outputs = slices.Grow(one.Outputs, 1)
		made.Cells = append(made.Cells, one)
	}
	data, err := json.Marshal(made)
	if err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join(p.home, "digits.ipynb")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	script, err := filepath.Abs("notebook.py")
	if err != nil {
		p.t.Fatal(err)
	}
	c := exec.CommandContext(ctx, python(p.t), script, file, at.act, at.text)
	c.Dir, c.Env = p.home, p.jupyter()
	out, err := c.CombinedOutput()
	exit, ended := errors.AsType[*exec.ExitError](err)
	if err != nil && (!ended || exit.ExitCode() != 1 || bytes.Contains(out, []byte("Traceback"))) {
		p.t.Fatalf("execute the notebook: %v\n%s", err, out)
	}
	data, err = os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &made); err != nil {
		p.t.Fatal(err)
	}
	return made.Cells, ended
}

// jupyter installs our kernel, and gives an environment that finds it there alone.
func (p *person) jupyter() []string {
	p.t.Helper()
	p.must("install", "--prefix", filepath.Join(p.home, "prefix"), "--python", python(p.t))
	// Its path is short, as those of sockets must be. What a killed kernel leaves there goes with it.
	sockets, err := os.MkdirTemp("", "k")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	return append(slices.Clone(p.env),
		"JUPYTER_PATH="+filepath.Join(p.home, "prefix", "share", "jupyter"),
		"JUPYTER_RUNTIME_DIR="+filepath.Join(p.home, "runtime"), "IPYTHONDIR="+filepath.Join(p.home, "ipython"),
		"XDG_RUNTIME_DIR="+sockets)
}

// A sweep of a notebook, with an image that has its packages.
func TestTheDigitsNotebookSweepsOnTheCluster(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	p.env = append(p.env, "METAML_IMAGE="+inside.Python, "METAML_MEMORY=512Mi")
	const after = "best = run.best('accuracy')\n" +
		"print(run.name, best.index, best.metrics['accuracy'] > 0.9, best.parameters['learning_rate'] > 0)"
	cells, failed := p.executes(at{}, append(digits(t, 20), after)...)
	sweep, last := cells[len(cells)-2].shows(), cells[len(cells)-1].shows()
	if failed {
		t.Fatalf("a cell failed: %s%s", sweep, last)
	}
	name := "train-model-1@" + inside.Researcher + "/" + space
	table := regexp.MustCompile(`(?m)^` + name +
		`   16 trials   succeeded in .*   best accuracy 0\.9\d+ \(trial \d+\)$` +
		`\n *trial +accuracy ↑ +learning_rate +hidden_layer_size +dropout +loss +time$`)
	if !table.MatchString(sweep) {
		t.Errorf("under the cell there is no %s:\n%s", table, sweep)
	}
	s := p.show(name)
	if s.State != "succeeded" || s.counts("succeeded") != 16 || s.Best == nil {
		t.Fatalf("it is %+v", s)
	}
	if want := fmt.Sprintf("%s %d True True\n", name, *s.Best); !strings.HasPrefix(last, want) {
		t.Errorf("in the next cell it is %q, want %q", last, want)
	}
	for i, one := range s.Trials {
		if one.Metrics["accuracy"] > s.Trials[*s.Best].Metrics["accuracy"] {
			t.Errorf("trial %d is better than the best, %d", i, *s.Best)
		}
	}
	if list := p.must("runs"); !regexp.MustCompile(`(?m)^train-model-1@?.* succeeded `).MatchString(list) {
		t.Errorf("runs are %s", list)
	}
}

// ■ leaves a run on a cluster, and so does the kernel that ends. Another machine takes it up by cluster state alone.
// What the session had of words that nobody named is nowhere but on the first.
func TestASweepThatANotebookLeftIsStoppedFromAnotherMachine(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	first, second := newPerson(t, inside.Admin, space), newPerson(t, inside.Admin, space)
	first.plants()
	first.env = append(first.env, "METAML_IMAGE="+inside.Python, "METAML_MEMORY=512Mi")
	sources := digits(t, 1_000_000)
	sweep := &sources[len(sources)-1]
	const line, says = "    network = ", "    print('its token has', len(token), 'letters')\n"
	*sweep = strings.Replace(*sweep, line, says+line, 1)
	*sweep = strings.Replace(*sweep, "--parallelism 4 --completions 16", "--parallelism 2 --completions 6", 1)
	sources = slices.Concat(secretive[:len(secretive)-1], sources)
	cells, failed := first.executes(at{"interrupt", "●"}, sources...) // once a trial runs
	name := "train-model-1@" + inside.Admin + "/" + space
	if shown := cells[len(cells)-1].shows(); !failed || !strings.Contains(shown, "Detached"+name+" goes on") {
		t.Fatalf("■ ended the cell with %s", shown)
	} else if !strings.Contains(shown, "PLANTED_TOKEN") || strings.Contains(shown, planted) {
		t.Errorf("it does not name the variable alone that the trials do not get: %s", shown)
	}
	if s := first.show(name); s.State != "running" {
		t.Errorf("after the kernel it is %+v", s)
	}

	second.briefly("attach", name)
	second.sees(name, "two trials run, and the first learns", func(s shown) bool {
		return s.counts("running") == 2 && s.Trials[0].Metrics["accuracy"] >= 0.5
	})
	if list := second.must("runs"); !strings.Contains(list, "train-model-1") {
		t.Errorf("another machine sees %s", list)
	}
	second.must("stop", name)
	if out, code := second.metaml("attach", name); code != 1 || !strings.Contains(out, "was stopped") {
		t.Errorf("attach ended with %d: %s", code, out)
	}
	for _, p := range []*person{first, second} {
		s := p.sees(name, "it is stopped", func(s shown) bool { return s.State == "stopped" })
		if s.counts("stopped") != 6 || s.Trials[0].Metrics["accuracy"] < 0.5 {
			t.Errorf("it is %+v", s)
		}
	}
	if log := second.must("logs", name+":0"); !strings.HasPrefix(log, "its token has 0 letters\n") {
		t.Errorf("a trial printed %q", log)
	}
	keeps(t, space, "its token has")
	if where := having(t, second.home, planted); where != "" {
		t.Errorf("a planted word is on the other machine, in %s", where)
	}
	if having(t, first.home, planted) == "" {
		t.Error("this test does not see what the first machine has")
	}
}

// Who started a run on a cluster may be killed: it is followed without them.
func TestASweepOutlivesWhoStartedIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		kill func(t *testing.T, p *person)
	}{
		{"a kernel", func(t *testing.T, p *person) {
			t.Helper()
			before, after, _ := strings.Cut(counts, "@metaml.Train")
			_, function, _ := strings.Cut(after, "\n")
			executed, failed := p.executes(at{"kill", "●"}, before,
				"%%train --hyper-parameters rows --parallelism 3\n"+function)
			if !failed {
				t.Errorf("the kernel was killed, and under the cell is %s", executed[1].shows())
			}
		}},
		{"a command", func(t *testing.T, p *person) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(p.home, "sweep.py"), []byte(counts), 0o600); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), binary(t), "run", "sweep.py", "--python", python(t))
			command.Dir, command.Env = p.home, p.env
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is listed", func(context.Context) (bool, error) {
				out, code := p.metaml("show", "fit-1") //nolint:contextcheck // it is the test's, whose end ends this
				return code == 0 && strings.Contains(out, "●"), errors.New(out)
			})
			if err := command.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = command.Wait() // it was killed
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			space := namespace(t)
			p := newPerson(t, inside.Admin, space)
			c.kill(t, p)
			s := p.sees("fit-1", "it ends", func(s shown) bool { return s.State == "succeeded" })
			if s.counts("succeeded") != 3 {
				t.Errorf("it is %+v", s)
			}
			for i, one := range s.Trials {
				if one.Attempt != 1 || one.Metrics["loss"] != float64(i) {
					t.Errorf("trial %d is %+v", i, one)
				}
			}
		})
	}
}
