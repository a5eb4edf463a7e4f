package run

import (
	"fmt"
	"strconv"
)

// Replicas is how many copies of a server there are to be: Min of them, or, where Max is set, from Min to Max, as the
// load of their processors needs. The zero value is as many as the server's revision says.
type Replicas struct {
	Min int `json:"min"`
	Max int `json:"max,omitempty"` // 0: always Min
}

// Ranged reports whether an autoscaler chooses the number.
func (r Replicas) Ranged() bool { return r.Max > 0 }

// Within is the number from Min to Max that is nearest to n.
func (r Replicas) Within(n int) int {
	if !r.Ranged() {
		return r.Min
	}
	return min(max(n, r.Min), r.Max)
}

// String is how people write it: "3", "2..10".
func (r Replicas) String() string {
	if r.Ranged() {
		return fmt.Sprintf("%d..%d", r.Min, r.Max)
	}
	return strconv.Itoa(r.Min)
}

// Words gives it with its unit: "1 replica", "3 replicas", "2..10 replicas".
func (r Replicas) Words() string {
	if !r.Ranged() && r.Min == 1 {
		return "1 replica"
	}
	return r.String() + " replicas"
}

// Bounds stands behind the number that there is now: " (2 to 10)" of a range, else nothing.
func (r Replicas) Bounds() string {
	if !r.Ranged() {
		return ""
	}
	return fmt.Sprintf(" (%d to %d)", r.Min, r.Max)
}

// Wanted is how many replicas the cell of the revision said last; at least one.
func (s *ServerSpec) Wanted() Replicas { return Replicas{Min: max(s.Replicas, 1), Max: s.MaxReplicas} }

// Want has the revision have so many.
func (s *ServerSpec) Want(r Replicas) { s.Replicas, s.MaxReplicas = r.Min, r.Max }
