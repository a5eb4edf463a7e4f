package prose

import "strings"

// Nearest gives the one of names that is closest to name, by the number of letters to change, or "" if none is close
// enough to have been meant: a third of its letters may be wrong, and one letter of three to five. Case, dashes and
// underscores do not count, and what begins alike is close.
func Nearest(name string, names []string) string {
	fold := strings.NewReplacer("_", "-").Replace
	want := fold(strings.ToLower(name))
	best, distance := "", max(min(len(want)-2, 1), len(want)/3)+1
	for _, n := range names {
		have := fold(strings.ToLower(n))
		d := Distance(want, have)
		if d > 1 && len(want) > 2 && (strings.HasPrefix(have, want) || strings.HasPrefix(want, have)) {
			d = 1
		}
		if d < distance {
			best, distance = n, d
		}
	}
	return best
}

// Distance counts the letters to insert, delete, replace or swap with their neighbour to get from a to b.
func Distance(a, b string) int {
	var before []int
	previous, current := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, make([]int, len(b)+1)
	}
	return previous[len(b)]
}
