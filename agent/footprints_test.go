package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

func TestFilesThatSeveralTrialsWriteAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec  run.Spec
		file  string
		times int // that trials write it
		want  bool
	}{
		"by two trials":            {run.Spec{Completions: 2}, "model.keras", 2, true},
		"by one trial":             {run.Spec{Completions: 2}, "model.keras", 1, false},
		"a hidden file":            {run.Spec{Completions: 2}, ".cache", 2, false},
		"a notebook":               {run.Spec{Completions: 2}, "train.ipynb", 2, false},
		"each trial has a folder":  {run.Spec{Completions: 2, TrialCwd: true}, "model.keras", 2, false},
		"there is one trial alone": {run.Spec{Completions: 1}, "model.keras", 2, false},
		"the workers of a server":  {run.Spec{Completions: 2, Server: &run.ServerSpec{}}, "log", 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.spec.Cwd = t.TempDir()
			f := newFootprints(c.spec, tokens{"token"})
			path := filepath.Join(c.spec.Cwd, c.file)
			writeFile(t, path, "x")
			for i := range c.times {
				written := f.since.Add(time.Duration(i+1) * time.Second)
				if err := os.Chtimes(path, written, written); err != nil {
					t.Fatal(err)
				}
				f.ended(f.since)
				f.last = time.Time{} // as if a second had passed
			}
			notes := f.notes()
			if (len(notes) == 1) != c.want {
				t.Fatalf("%v", notes)
			}
			if c.want && !strings.HasPrefix(notes[0].Text, "`"+c.file+"` was written by several trials") {
				t.Errorf("%q", notes[0].Text)
			}
		})
	}
}

func TestAFileThatAnotherProcessWritesIsNotATrials(t *testing.T) {
	t.Parallel()
	f := newFootprints(run.Spec{Completions: 2, Cwd: t.TempDir()}, tokens{"token"})
	log, err := os.Create(filepath.Join(f.dir, "run.log")) // this process has it open
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i := range 2 {
		written := f.since.Add(time.Duration(i+1) * time.Second)
		if err := os.Chtimes(log.Name(), written, written); err != nil {
			t.Fatal(err)
		}
		f.ended(f.since)
		f.last = time.Time{}
	}
	if notes := f.notes(); notes != nil {
		t.Errorf("%v", notes)
	}
}
