package run

import (
	"maps"
	"slices"
	"time"
)

// complete is the part of an attempt's reports of which none is missing.
type complete struct {
	series map[string]Series
	to     time.Time // of the latest report
}

// later is a report before which others may be missing.
type later struct {
	time    time.Time
	metrics Metrics
}

// report takes in a report of the attempt. In a cluster two ways lead to it: the monitor sends every report, in their
// order, and may be late or fail; the pod's log has the last values of each second ([Event.Last]), and is late only
// where the cluster is. So what came by the log counts from the last report on that the monitor sent. Both have the
// time at which the trial reported.
func (t *Trial) report(e Event) {
	if e.Last {
		if t.complete.to.IsZero() || e.Time.After(t.complete.to) {
			t.reportLater(later{e.Time, e.Metrics})
		}
		return
	}
	if e.Time.After(t.complete.to) {
		t.complete.to = e.Time
	}
	if t.complete.series == nil {
		t.complete.series = map[string]Series{}
	}
	for name, v := range e.Metrics {
		t.complete.series[name] = t.complete.series[name].add(v)
	}
	t.tail = slices.DeleteFunc(t.tail, func(l later) bool { return !l.time.After(t.complete.to) })
	if len(t.tail) == 0 {
		t.LastOnly, t.Series = false, t.complete.series
		t.latest(e.Metrics)
		return
	}
	t.Series = map[string]Series{}
	for name, s := range t.complete.series {
		t.Series[name] = s.clone()
	}
	t.latest(e.Metrics)
	for _, l := range t.tail {
		t.extend(l.metrics)
	}
}

// LastReport is when the attempt reported last, as far as that is known.
func (t *Trial) LastReport() time.Time {
	if n := len(t.tail); n > 0 {
		return t.tail[n-1].time
	}
	return t.complete.to
}

// reportLater takes in a report before which others may be missing.
func (t *Trial) reportLater(l later) {
	if len(t.tail) == 0 { // what is complete stays as it is
		whole := t.complete.series
		t.Series = make(map[string]Series, len(whole))
		for name, s := range whole {
			t.Series[name] = s.clone()
		}
	}
	if len(t.tail) == seriesPoints { // of the oldest every second one
		for i := range seriesPoints / 2 {
			t.tail[i] = t.tail[2*i+1]
		}
		t.tail = t.tail[:seriesPoints/2]
	}
	t.tail = append(t.tail, l)
	t.LastOnly = true
	t.extend(l.metrics)
}

// extend adds values to the courses of metrics.
func (t *Trial) extend(m Metrics) {
	for name, v := range m {
		t.Series[name] = t.Series[name].add(v)
	}
	t.latest(m)
}

// latest notes the last values of metrics.
func (t *Trial) latest(m Metrics) {
	if t.reported == nil {
		t.reported = Metrics{}
	}
	maps.Copy(t.reported, m)
	for name, v := range m {
		if _, returned := slices.BinarySearch(t.Returned, name); !returned {
			t.set(name, v)
		}
	}
}
