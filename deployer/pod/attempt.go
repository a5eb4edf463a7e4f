package pod

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/metaml/metaml/deployer/run"
)

// Row is one line of rows.json: what a completion index of a resumed run's Job stands for.
type Row struct {
	Trial    int `json:"trial"`
	Attempts int `json:"attempts"` // those before
}

// ParseRows reads rows.json of a run of so many trials.
func ParseRows(data []byte, completions int) ([]Row, error) {
	var rows []Row
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, fmt.Errorf("read %s: %w", RowsName, err)
	}
	seen := make(map[int]bool, len(rows))
	for i, r := range rows {
		switch {
		case r.Trial < 0 || r.Trial >= completions:
			return nil, fmt.Errorf("row %d of %s is trial %d, and the run has trials 0 to %d", i, RowsName, r.Trial,
				completions-1)
		case seen[r.Trial]:
			return nil, fmt.Errorf("trial %d is in %s twice", r.Trial, RowsName)
		case r.Attempts < 0 || r.Attempts > maxAttempts:
			return nil, fmt.Errorf("row %d of %s has %d attempts", i, RowsName, r.Attempts)
		}
		seen[r.Trial] = true
	}
	return rows, nil
}

// maxAttempts bounds what a damaged number of attempts comes to.
const maxAttempts = math.MaxInt32

// Attempt is the attempt of a trial that a pod runs, by its variables: getenv is [os.Getenv]. rows is nil where the
// completion index is the trial.
func Attempt(getenv func(string) string, rows []Row, completions int) (run.AttemptID, error) {
	id := run.AttemptID{Number: 1}
	indexes := completions
	if rows != nil {
		indexes = len(rows)
	}
	index, err := strconv.Atoi(getenv(IndexVariable))
	if err != nil || index < 0 || index >= indexes {
		what := "the run has trials"
		if rows != nil {
			what = RowsName + " has rows"
		}
		return id, fmt.Errorf("%s is %q, and %s 0 to %d", IndexVariable, getenv(IndexVariable), what, indexes-1)
	}
	id.Trial = index
	if rows != nil {
		id.Trial, id.Number = rows[index].Trial, rows[index].Attempts+1
	}
	for _, name := range []string{FailuresVariable, IgnoredVariable} {
		text := getenv(name)
		if text == "" {
			continue // there has been none
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxAttempts {
			return id, fmt.Errorf("%s is %q, which is no number of attempts", name, text)
		}
		id.Number += n
	}
	return id, nil
}
