// Package prose writes the small parts of sentences that every message needs: lists of names, counts, durations,
// shortened text and the name that was probably meant. It imports the standard library alone, and every package may
// import it.
package prose

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// List joins names for a sentence: "a", "a and b", "a, b and c".
func List(names []string) string { return join(names, " and ") }

// Either joins names for a choice: "a", "a or b", "a, b or c".
func Either(names []string) string { return join(names, " or ") }

func join(names []string, last string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + last + names[len(names)-1]
}

// Clause gives what somebody else said as the end of a sentence of ours, which ends without a full stop.
func Clause(said string) string { return strings.TrimRight(strings.TrimSpace(said), ".") }

// Shorten gives s, or as many of its first characters as fit into n with an ellipsis behind them. n is at least 1.
func Shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// Count writes a number of things: "1 trial", "2 trials", "12,345 trials".
func Count(n int, thing string) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n == 1 {
		return s + " " + thing
	}
	return s + " " + thing + "s"
}

// Duration writes a duration for people: 340 ms, 9.8 s, 42 s, 3 min 20 s, 2 h 5 min, 3 d 4 h.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return twoUnits(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < 24*time.Hour:
		return twoUnits(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	default:
		return twoUnits(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
	}
}

func twoUnits(n int, unit string, m int, small string) string {
	if m == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %d %s", n, unit, m, small)
}
