package front

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"

	"github.com/metaml/metaml/agent/front/librarylog"
)

func init() { librarylog.Go() }

// meters are what /metrics shows, in Prometheus' text format.
type meters struct {
	set      *metrics.Set
	statuses [600]atomic.Pointer[metrics.Counter] // by HTTP status
	latency  *metrics.PrometheusHistogram
	wait     *metrics.PrometheusHistogram
	batch    *metrics.PrometheusHistogram
	restarts *metrics.Counter
}

var (
	secondBounds = []float64{
		0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
	}
	batchBounds = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}
)

func newMeters(f *front) *meters {
	metrics.ExposeMetadata(true) // each family's # TYPE
	set := metrics.NewSet()
	set.NewGauge("metaml_queue_length", func() float64 {
		return f.sum(func(r *revision) int { return r.waiting.len() })
	})
	set.NewGauge("metaml_in_flight", func() float64 {
		return f.sum(func(r *revision) int { return r.outstanding - r.waiting.len() })
	})
	set.NewGauge("metaml_request_bytes", func() float64 { return float64(f.budget.used.Load()) })
	set.NewGauge("metaml_connections", func() float64 { return float64(f.server.GetOpenConnectionsCount()) })
	return &meters{
		set:      set,
		latency:  set.NewPrometheusHistogramExt("metaml_request_seconds", secondBounds),
		wait:     set.NewPrometheusHistogramExt("metaml_queue_seconds", secondBounds),
		batch:    set.NewPrometheusHistogramExt("metaml_batch_size", batchBounds),
		restarts: set.NewCounter("metaml_worker_restarts_total"),
	}
}

// sum adds up a number of all revisions.
func (f *front) sum(of func(*revision) int) float64 {
	n := 0
	for _, r := range f.all() {
		r.mu.Lock()
		n += of(r)
		r.mu.Unlock()
	}
	return float64(n)
}

// answered counts a request of the function.
func (m *meters) answered(status int) {
	counter := m.statuses[status].Load()
	if counter == nil {
		counter = m.set.GetOrCreateCounter(fmt.Sprintf("metaml_requests_total{code=\"%d\"}", status))
		m.statuses[status].Store(counter)
	}
	counter.Inc()
}

// write gives everything. What belongs to one revision is written as it is now, so that a retired one leaves nothing
// behind.
func (m *meters) write(w io.Writer, f *front) {
	m.set.WritePrometheus(w)
	now := metrics.NewSet()
	gauge := func(value float64, name string, args ...any) {
		now.NewGauge(fmt.Sprintf(name, args...), func() float64 { return value })
	}
	for _, r := range f.all() {
		r.mu.Lock()
		connected := r.connected
		r.mu.Unlock()
		gauge(float64(connected), `metaml_workers_ready{revision="%d"}`, r.Number)
	}
	if current := f.current.Load(); current != nil {
		gauge(1, `metaml_revision_info{revision="%d",path=%q}`, current.Number, current.Path)
	}
	now.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
}
