package view

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

func TestWhyTrialsAreNoForksIsSaid(t *testing.T) {
	t.Parallel()
	const line = "each trial loads the program again, in 1.2 s, since it cannot be forked: "
	for _, c := range []struct {
		name   string
		loaded run.Loaded
		trials int
		fresh  bool
		want   string
	}{
		{
			"a thread",
			run.Loaded{Seconds: 1.2, Causes: []string{"thread 'ticker' is running, cell 3 line 2"}},
			2,
			false, line + "thread 'ticker' is running, cell 3 line 2",
		},
		{"many", run.Loaded{Seconds: 1.2, Causes: []string{"a", "b", "c", "d"}}, 2, false, line + "a; b (and 2 more)"},
		{"one trial", run.Loaded{Seconds: 1.2, Causes: []string{"a"}}, 1, false, ""},
		{"as set", run.Loaded{Seconds: 1.2, Causes: []string{"--fresh-process"}}, 2, true, ""},
		{"forks", run.Loaded{Seconds: 1.2, Fork: true}, 2, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			spec := run.Spec{Name: "a-1", Kind: run.Train, Completions: c.trials, Fresh: c.fresh}
			state := run.NewState(spec)
			state.Loaded = &c.loaded
			table := New(Facts{Spec: spec, Remarks: []string{"first"}}, state, time.Now())
			want := []string{"first"}
			if c.want != "" {
				want = append(want, c.want)
			}
			if got := table.Remarks(); !slices.Equal(got, want) {
				t.Errorf("%s: %q", c.name, got)
			}
			if !strings.Contains(table.Text(), c.want) ||
				!strings.Contains(table.HTML(), strings.ReplaceAll(c.want, "'", "&#39;")) {
				t.Errorf("%s: %s", c.name, table.Text())
			}
		})
	}
}
