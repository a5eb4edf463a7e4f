package settings

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// maxReplicas bounds the replicas of a server.
const maxReplicas = 1000

// ParseReplicas reads N or MIN..MAX. Its error is the rest of a sentence that begins with the name of the setting.
func ParseReplicas(text string) (run.Replicas, error) {
	least, most, ranged := strings.Cut(strings.ReplaceAll(text, "_", ""), "..")
	n, err := strconv.Atoi(least)
	r := run.Replicas{Min: n}
	if ranged && err == nil {
		r.Max, err = strconv.Atoi(most)
	}
	if err != nil || ranged && r.Max == 0 {
		return run.Replicas{}, fmt.Errorf("takes a whole number, or MIN..MAX such as 2..10, not %q", text)
	}
	if r.Min == r.Max {
		r.Max = 0
	}
	return r, CheckReplicas(r)
}

// CheckReplicas refuses more or fewer replicas than a server can have. Its error is the rest of a sentence.
func CheckReplicas(r run.Replicas) error {
	for _, n := range []int{r.Min, cmp.Or(r.Max, 1)} {
		if n < 1 || n > maxReplicas {
			return fmt.Errorf("must be from 1 to %s, not %d", people(maxReplicas), n)
		}
	}
	if r.Max != 0 && r.Max < r.Min {
		return fmt.Errorf("has the least first, as in %d..%d, not %s", r.Max, r.Min, r)
	}
	return nil
}

// Replicas gives how many replicas a server is to have.
func (r *Resolved) Replicas() run.Replicas {
	n, _ := ParseReplicas(r.Text("replicas")) // it was checked when it was resolved
	return n
}

// fitReplicas refuses a range where nothing chooses from it.
func (r *Resolved) fitReplicas() error {
	n, v := r.Replicas(), r.Values["replicas"]
	if !n.Ranged() || r.Text("target") != run.Local {
		return nil
	}
	return usererror.New(usererror.CodeOption, "replicas %s (%s) needs a cluster, whose autoscaler chooses the number",
		n, v.Origin).With("Name a number for this machine, such as --replicas %d.", n.Min)
}
