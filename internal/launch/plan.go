package launch

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/prose"
)

// planRows is how many rows of the table a plan shows.
const planRows = 10

// PlanText is a plan as people read it. outline is what its place would do.
func (s *Submission) PlanText(plan *deployer.Plan, outline []run.Section) string {
	spec := plan.Spec
	var out strings.Builder
	if spec.Kind == run.Serve {
		host := spec.Server.Host
		if s.Settings.Text("target") == run.Kubernetes {
			host = run.ParseName(spec.Name).Run
		}
		units := prose.Count(spec.UnitsOf(0), spec.Unit())
		if wanted := spec.Server.Wanted(); wanted.Ranged() {
			units = wanted.Words()
		}
		fmt.Fprintf(&out, "%s   %s behind %s:%s%s   on %s with %s\n", spec.Name, units, host,
			cmp.Or(s.Settings.Text("port"), "PORT"),
			spec.Server.Path, s.Settings.Text("target"), spec.Python)
	} else {
		fmt.Fprintf(&out, "%s   %s, %d at a time   on %s with %s\n", spec.Name, prose.Count(spec.Completions, "trial"),
			spec.Parallelism, s.Settings.Text("target"), spec.Python)
	}
	fmt.Fprintf(&out, "\n%s\n%s\n", s.Summary(), s.body(s.Settings.Bool("explain")))
	if len(plan.Table) > 0 {
		fmt.Fprintln(&out, "\nhyperparameters")
		for i, row := range plan.Table {
			if i == planRows {
				fmt.Fprintf(&out, "  … %s more\n", prose.Count(len(plan.Table)-planRows, "row"))
				break
			}
			fmt.Fprintf(&out, "  %d", i)
			for _, p := range row {
				fmt.Fprintf(&out, "  %s=%s", p.Name, view.Value(p.Value))
			}
			fmt.Fprintln(&out)
		}
	}
	if files := s.files(); len(files) > 0 {
		fmt.Fprintln(&out, "\nfiles that the program names; on this machine it reads them where they are")
		for _, f := range files {
			fmt.Fprintf(&out, "  %s  %s, line %d\n", f.Path, cmp.Or(s.cellLabel(f.Cell), "script"), f.Line)
		}
	}
	if without := s.expected.Without(); len(without) > 0 && s.Settings.Bool("explain") {
		fmt.Fprintln(&out, "\nvalues that are not compared with the notebook's")
		for _, name := range without {
			fmt.Fprintln(&out, "  "+name)
		}
	}
	fmt.Fprintln(&out, "\nsettings")
	for _, v := range spec.Settings {
		fmt.Fprintf(&out, "  %s = %s (%s)\n", v.Name, v.Words(), v.Origin)
	}
	for _, section := range outline {
		fmt.Fprintf(&out, "\n%s\n", section.Title)
		for _, line := range section.Lines {
			fmt.Fprintf(&out, "  %s\n", line)
		}
	}
	if n, ok := spec.Env["OMP_NUM_THREADS"]; ok {
		fmt.Fprintf(&out, "  threads of numerical libraries = %s (cores / parallelism)\n", n)
	}
	if spec.Kind == run.Serve && spec.Server.Model != "" {
		fmt.Fprintf(&out, "  metaml.model() = %s\n", spec.Server.ModelFolder)
	}
	for _, remark := range plan.Before {
		fmt.Fprintln(&out, "\n"+remark)
	}
	for _, n := range PlanNotes(plan, run.Submitted{Spec: spec, Attached: plan.Attach != nil, Differs: plan.Differs}) {
		fmt.Fprintln(&out, "\n"+n)
	}
	return out.String()
}

// PlanJSON is `metaml plan --json`.
type PlanJSON struct {
	V          int               `json:"v"`
	Name       string            `json:"name"`
	Key        string            `json:"key"`
	Digest     string            `json:"digest"`
	Entry      string            `json:"entry"`
	Attach     bool              `json:"attach"`
	Trials     int               `json:"trials"`
	Parallel   int               `json:"parallelism"`
	Python     string            `json:"python"`
	Packages   map[string]string `json:"packages"`
	Environ    map[string]string `json:"environment"`
	Settings   []run.Setting     `json:"settings"`
	Statements []statementJSON   `json:"statements"`
	Table      []any             `json:"table"`
	Outline    []run.Section     `json:"outline,omitempty"`
	Notes      []string          `json:"notes"`
}

type statementJSON struct {
	Cell int      `json:"cell"`
	Line int      `json:"line"`
	Text string   `json:"text"`
	Why  []string `json:"why"`
}

// PlanJSON gives a plan for programs. outline is what its place would do.
func (s *Submission) PlanJSON(plan *deployer.Plan, outline []run.Section) (*PlanJSON, error) {
	j := &PlanJSON{
		V: 1, Name: plan.Spec.Name, Key: plan.Spec.Key, Digest: plan.Spec.Digest, Entry: plan.Spec.Entry,
		Attach: plan.Attach != nil, Trials: plan.Spec.Completions,
		Parallel: plan.Spec.Parallelism, Python: plan.Spec.Python, Packages: map[string]string{},
		Environ: plan.Spec.Env, Settings: plan.Spec.Settings,
		Table: []any{}, Outline: outline, Notes: slices.Concat([]string{}, plan.Before, plan.Notes),
	}
	for _, d := range s.packages {
		j.Packages[d.Name] = d.Version
	}
	for _, st := range s.statements() {
		j.Statements = append(j.Statements, statementJSON{
			Cell: st.Cell, Line: st.Line, Text: strings.TrimRight(st.Text, "\n"), Why: st.Why,
		})
	}
	for _, row := range plan.Table {
		text, err := folder.FormatRow(row)
		if err != nil {
			return nil, fmt.Errorf("encode a row of hyperparameters: %w", err)
		}
		j.Table = append(j.Table, json.RawMessage(text))
	}
	return j, nil
}

func (s *Submission) files() []slicer.FileMention {
	if s.slice == nil {
		return nil
	}
	return s.slice.Files
}

func (s *Submission) statements() []slicer.Statement {
	if s.slice == nil {
		return nil
	}
	return s.slice.Statements
}
