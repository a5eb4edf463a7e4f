package view

import (
	"math"
	"slices"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

var blocks = []rune("▁▂▃▄▅▆▇█")

// sparks draws the course of the first metric in every row, all on one scale: a higher block is a higher value in
// whatever row it stands, and a course that is half as wide has half as many reports.
func (t *Table) sparks(state *run.State, shown []int) {
	courses := make([]run.Series, len(shown))
	longest := 0
	var values []float64
	for n, i := range shown {
		courses[n] = state.Trials[i].Series[t.Lead]
		longest = max(longest, courses[n].Reports())
		values = append(values, courses[n].Values...)
	}
	low, high := scale(values)
	for n, s := range courses {
		if len(s.Values) < 2 {
			continue
		}
		width := s.Reports()
		if longest > sparkWidth {
			width = max(1, (s.Reports()*sparkWidth+longest-1)/longest)
		}
		t.Rows[n].Spark = Spark(s.Values, width, low, high)
	}
}

// scale is the range that all blocks stand for. A trial that diverges must not flatten all others: what lies far
// outside of where nine of ten values are is cut off.
func scale(values []float64) (low, high float64) {
	values = slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(values) == 0 {
		return 0, 0
	}
	slices.Sort(values)
	at := func(share float64) float64 { return values[int(share*float64(len(values)-1)+0.5)] }
	lower, upper := at(0.05), at(0.95)
	fence := 3 * (upper/2 - lower/2) // halves cannot overflow
	return max(values[0], lower-fence), min(values[len(values)-1], upper+fence)
}

// Spark draws the course of a metric in at most width blocks, from low to high. What is not a finite number is a gap.
func Spark(values []float64, width int, low, high float64) string {
	if width > 0 && len(values) > width {
		thinned := make([]float64, width)
		for i := range thinned {
			thinned[i] = values[len(values)-1]
			if width > 1 {
				thinned[i] = values[i*(len(values)-1)/(width-1)]
			}
		}
		values = thinned
	}
	var b strings.Builder
	for _, v := range values {
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			b.WriteRune(' ')
		case high <= low:
			b.WriteRune(blocks[3])
		default:
			share := (min(max(v, low), high)/2 - low/2) / (high/2 - low/2)
			b.WriteRune(blocks[int(share*float64(len(blocks)-1)+0.5)])
		}
	}
	return b.String()
}
