package solve

import (
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/metaml/metaml/deployer/image/builder"
)

// order is that of the steps: when one begins, those before it are over. Commands of the user come after them.
var order = []string{
	builder.StepBase, builder.StepSystem, builder.StepFrame, builder.StepUV, builder.StepResolve, builder.StepInstall,
}

// rank is the place of a step.
func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	if name == builder.StepPush {
		return len(order) + 1
	}
	return len(order)
}

// watcher folds what a builder says into steps: operations of one name are one step. It belongs to who follows;
// afterwards it says what failed.
type watcher struct {
	say      func(builder.Step)
	vertices map[digest.Digest]*vertex
	steps    []*step
	failed   *vertex // the last: what fails before may be tried in another way
}

// vertex is one operation of the graph, or the export.
type vertex struct {
	of  *step
	log []byte
}

// step is what operations of one name do.
type step struct {
	name        string // "" is not shown
	began, last time.Time
	running     map[digest.Digest]bool
	said        time.Time
	ended       bool
	sizes       map[string][2]int64 // of what it loads or sends, by name: bytes so far, and all
}

const (
	often   = 100 * time.Millisecond // in which a step is shown at most once
	keepLog = 64 << 10               // of each operation, in bytes: the end
)

func newWatcher(say func(builder.Step)) *watcher {
	return &watcher{say: say, vertices: map[digest.Digest]*vertex{}}
}

// follow reads updates until there are no more.
func (w *watcher) follow(updates <-chan *client.SolveStatus) {
	for update := range updates {
		for _, v := range update.Vertexes {
			w.vertex(v)
		}
		for _, s := range update.Statuses {
			if v := w.vertices[s.Vertex]; v != nil {
				v.of.sizes[s.ID] = [2]int64{s.Current, s.Total}
				if time.Since(v.of.said) > often {
					w.show(v.of)
				}
			}
		}
		for _, l := range update.Logs {
			if v := w.vertices[l.Vertex]; v != nil {
				v.log = append(v.log, l.Data...)
				v.log = v.log[max(0, len(v.log)-keepLog):]
			}
		}
	}
	w.end(len(order) + 2)
}

// vertex notes where an operation is.
func (w *watcher) vertex(is *client.Vertex) {
	v := w.vertices[is.Digest]
	if v == nil {
		v = &vertex{of: w.step(shown(is.Name))}
		w.vertices[is.Digest] = v
	}
	if is.Error != "" && !strings.Contains(is.Error, "context canceled") {
		w.failed = v
	}
	if is.Started == nil || is.Cached {
		return
	}
	s := v.of
	if s.ended {
		return // the builder looks once more whether all is there
	}
	if s.began.IsZero() {
		s.began = *is.Started
		w.end(rank(s.name))
	}
	if is.Completed == nil {
		s.running[is.Digest] = true
	} else {
		delete(s.running, is.Digest)
		s.last = *is.Completed
	}
	w.show(s)
}

// step is the one of a name.
func (w *watcher) step(name string) *step {
	if i := slices.IndexFunc(w.steps, func(s *step) bool { return s.name == name }); i >= 0 {
		return w.steps[i]
	}
	s := &step{name: name, running: map[digest.Digest]bool{}, sizes: map[string][2]int64{}}
	w.steps = append(w.steps, s)
	return s
}

// end says of the steps before a place that they are over.
func (w *watcher) end(before int) {
	for _, s := range w.steps {
		if !s.ended && !s.began.IsZero() && len(s.running) == 0 && rank(s.name) < before {
			s.ended = true
			w.show(s)
		}
	}
}

// show says where a step is.
func (w *watcher) show(s *step) {
	if s.name == "" || s.began.IsZero() {
		return
	}
	s.said = time.Now()
	is := builder.Step{Name: s.name, Ended: s.ended, Seconds: time.Since(s.began).Seconds()}
	if s.ended {
		is.Seconds = s.last.Sub(s.began).Seconds()
	}
	for _, size := range s.sizes {
		is.Done += size[0]
		is.All += max(size[0], size[1])
	}
	w.say(is)
}

// shown is the name of a step as people read it.
func shown(name string) string {
	switch {
	case strings.HasPrefix(name, "exporting") || strings.HasPrefix(name, "pushing"):
		return builder.StepPush
	case strings.HasPrefix(name, "["):
		return "" // BuildKit's own
	}
	return name
}

// failure says why there is nothing.
func (w *watcher) failure(err error) *builder.Failure {
	f := &builder.Failure{Message: err.Error(), Unreachable: gone(err)}
	if w.failed != nil && !f.Unreachable {
		f.Step, f.Log = w.failed.of.name, string(w.failed.log)
	}
	return f
}
