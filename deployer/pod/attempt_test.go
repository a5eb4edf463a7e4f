package pod_test

import (
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

func TestWhichAttemptAPodRuns(t *testing.T) {
	resumed := []pod.Row{{Trial: 1, Attempts: 2}}
	for _, c := range []struct {
		name, index, failures, ignored string
		rows                           []pod.Row
		want                           run.AttemptID
		err                            string
	}{
		{"the first", "2", "", "", nil, run.AttemptID{Trial: 2, Number: 1}, ""},
		{"after a failure", "0", "1", "0", nil, run.AttemptID{Trial: 0, Number: 2}, ""},
		{"after failures and evictions", "0", "2", "3", nil, run.AttemptID{Trial: 0, Number: 6}, ""},
		{"of a resumed run", "0", "", "", resumed, run.AttemptID{Trial: 1, Number: 3}, ""},
		{"of a resumed run, after a failure", "0", "1", "", resumed, run.AttemptID{Trial: 1, Number: 4}, ""},
		{"no index", "", "", "", nil, run.AttemptID{}, "JOB_COMPLETION_INDEX is"},
		{"an index of another run", "3", "", "", nil, run.AttemptID{}, "the run has trials 0 to 2"},
		{"an index beyond what is resumed", "1", "", "", resumed, run.AttemptID{}, "rows.json has rows 0 to 0"},
		{"no number", "0", "many", "", nil, run.AttemptID{}, "METAML_POD_FAILURES is \"many\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			variables := map[string]string{
				pod.IndexVariable: c.index, pod.FailuresVariable: c.failures, pod.IgnoredVariable: c.ignored,
			}
			id, err := pod.Attempt(func(name string) string { return variables[name] }, c.rows, 3)
			switch {
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("the error is %v, want %q", err, c.err)
			case c.err == "" && (err != nil || id != c.want):
				t.Errorf("it is %+v, %v", id, err)
			}
		})
	}
}

func TestRowsOfAnotherRunAreRefused(t *testing.T) {
	for _, c := range []struct{ name, text, err string }{
		{"a trial that there is not", `[{"trial": 3}]`, "row 0 of rows.json is trial 3, and the run has trials 0 to 2"},
		{"a trial twice", `[{"trial": 1}, {"trial": 1}]`, "trial 1 is in rows.json twice"},
		{"fewer attempts than none", `[{"trial": 1, "attempts": -1}]`, "row 0 of rows.json has -1 attempts"},
		{"no rows", `{"trial": 1}`, "read rows.json: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := pod.ParseRows([]byte(c.text), 3); err == nil || !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("the error is %v, want %q", err, c.err)
			}
		})
	}
}

func FuzzParseRows(f *testing.F) {
	f.Add([]byte(`[{"trial": 17, "attempts": 2}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := pod.ParseRows(data, 20)
		if err != nil {
			return
		}
		if id, err := pod.Attempt(func(name string) string {
			return map[string]string{pod.IndexVariable: "0"}[name]
		}, rows, 20); err == nil && (id.Trial < 0 || id.Trial >= 20 || id.Number < 1) {
			t.Errorf("%q is %+v", data, id)
		}
	})
}
