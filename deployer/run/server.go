package run

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Server is what a serving run looks like now; part of [State].
type Server struct {
	Revision int   // the one that answers, or did when it is being started again; 0: none yet
	Answered []int // the revisions that did at some time, in their order
	Replicas int   // copies of the server that were requested since it was submitted; 0: as its revision says
	// the most of them, where an autoscaler chooses from Replicas to these; 0: always Replicas
	MaxReplicas int
	Address     string // of the endpoint: "http://127.0.0.1:21873/predict"
	Ready       time.Time
	Seconds     float64 // from its start until it was ready
	Answer      float64 // seconds that its first answer took; 0 when it was not tested
	Example     string  // an input, JSON; "" is unknown
	Starting    int     // the revision that is being started; 0: none
	Since       time.Time
	Failed      *RevisionFailure // the latest revision that never got ready, unless a newer one has
	Workers     []Worker         // of the answering revision, and of the one that is being started
	Restarts    int              // workers of ready revisions that ended and were started again
	Front       int              // process of the front that was started last; 0 is none that is known
	Public      Public           // how callers outside of its cluster reach it
}

// Health is what a server answers to the request whether it answers now.
type Health string

// The kinds of health.
const (
	HealthReady   Health = "ready"   // a worker can answer
	HealthWaiting Health = "waiting" // its front takes requests, and no worker can answer yet
	HealthSilent  Health = "silent"  // nobody answers where it should
)

// RevisionFailure says why a revision of a server never got ready.
type RevisionFailure struct {
	Revision int
	Reason   Reason
	Error    *Error
	Text     string
	Hint     string
}

// Worker is one process of a server that calls the function.
type Worker struct {
	Revision int
	Index    int
	Attempt  int
	PID      int
	Started  time.Time
	Ready    bool
	Ended    bool // it ended and none has taken its place yet
	Reason   Reason
	Exit     *int
	Error    *Error
	Text     string
}

// Unit is what the processes of a server are called that the record follows: on this machine each worker is one, in a
// cluster each pod with its workers.
func (s *Spec) Unit() string {
	if s.Setting("target") == Kubernetes {
		return "replica"
	}
	return "worker"
}

// UnitsOf is how many of them there are with so many replicas; 0 is as many as the spec says.
func (s *Spec) UnitsOf(replicas int) int {
	if s.Server != nil && s.Setting("target") == Kubernetes {
		return max(cmp.Or(replicas, s.Server.Replicas), 1)
	}
	return s.WorkersOf(replicas)
}

// Setting is the value of a setting as it was resolved.
func (s *Spec) Setting(name string) string {
	for i := range s.Settings {
		if s.Settings[i].Name == name {
			return s.Settings[i].Value
		}
	}
	return ""
}

// Port is the port of its address; 0 if it has none.
func (s *Server) Port() int {
	rest, _ := strings.CutPrefix(s.Address, "http://")
	host, _, _ := strings.Cut(rest, "/")
	port, _ := strconv.Atoi(host[strings.LastIndexByte(host, ':')+1:])
	return port
}

// Answering is the revision that answers; 0 is none yet, also while one that did is started again.
func (s *Server) Answering() int {
	if s.Starting == s.Revision {
		return 0
	}
	return s.Revision
}

// WorkersOf gives the workers of a revision, by index.
func (s *Server) WorkersOf(revision int) []Worker {
	var workers []Worker
	for _, w := range s.Workers {
		if w.Revision == revision {
			workers = append(workers, w)
		}
	}
	return workers
}

// CountWorkers counts the workers of a revision that are known, and those among them that answer.
func (s *Server) CountWorkers(revision int) (ready, known int) {
	workers := s.WorkersOf(revision)
	for i := range workers {
		if workers[i].Ready {
			ready++
		}
	}
	return ready, len(workers)
}

// Number is how many replicas a server has now that is to have so many: in a range those that there are.
func (s *Server) Number(r Replicas) int {
	alive := 0
	for i := range s.Workers {
		if w := &s.Workers[i]; w.Revision == cmp.Or(s.Revision, s.Starting) && !w.Ended {
			alive++
		}
	}
	return r.Within(alive)
}

// MaxWorkers bounds the workers of a server.
const MaxWorkers = 1 << 12

func (s *State) applyServer(e Event) {
	if s.Server == nil {
		s.Server = &Server{}
	}
	v := s.Server
	switch e.Type {
	case EventServerStarting:
		if s.Phase == Pending {
			s.Phase = Running
		}
		v.Starting, v.Since = e.Revision, e.Time
		if v.Failed != nil && v.Failed.Revision == e.Revision { // it is tried once more
			v.Failed = nil
		}
		v.keep(v.Revision, e.Revision)
	case EventServerReady:
		s.Phase = Running
		v.Revision, v.Address, v.Ready, v.Seconds = e.Revision, e.Address, e.Time, e.Seconds
		v.Answer, v.Example = e.Answer, e.Example
		if len(v.Answered) == 0 || v.Answered[len(v.Answered)-1] < e.Revision {
			v.Answered = append(v.Answered, e.Revision)
		}
		if v.Starting <= e.Revision {
			v.Starting = 0
		}
		if v.Failed != nil && v.Failed.Revision <= e.Revision {
			v.Failed = nil
		}
		v.keep(v.Revision, v.Starting)
	case EventServerFailed:
		v.Failed = &RevisionFailure{Revision: e.Revision, Reason: e.Reason, Error: e.Error, Text: e.Text, Hint: e.Hint}
		if v.Starting == e.Revision {
			v.Starting = 0
		}
		if v.Revision == e.Revision { // it had answered, and could not be started again
			v.Revision = 0
		}
		v.keep(v.Revision, v.Starting)
	case EventServerPublic:
		v.Public = Public{URL: e.Address, Text: e.Text, Waits: e.Code == NoteWaiting}
	case EventServerScaled:
		v.Replicas, v.MaxReplicas = max(e.Replicas, 0), max(e.MaxReplicas, 0)
	case EventWorkerStarted, EventWorkerReady, EventWorkerEnded:
		v.applyWorker(e)
	case EventFrontStarted:
		v.Front = e.PID
	case EventFrontEnded:
		v.Front = 0
	}
}

// keep forgets the workers of other revisions.
func (s *Server) keep(revisions ...int) {
	s.Workers = slices.DeleteFunc(s.Workers, func(w Worker) bool { return !slices.Contains(revisions, w.Revision) })
}

func (s *Server) applyWorker(e Event) {
	if e.Worker == nil || *e.Worker < 0 || (e.Revision != s.Revision && e.Revision != s.Starting) {
		return
	}
	var w *Worker
	for i := range s.Workers {
		if s.Workers[i].Revision == e.Revision && s.Workers[i].Index == *e.Worker {
			w = &s.Workers[i]
		}
	}
	if e.Type == EventWorkerEnded && e.Reason == ReasonScaled {
		s.Workers = slices.DeleteFunc(s.Workers, func(w Worker) bool {
			return w.Revision == e.Revision && w.Index == *e.Worker && w.Attempt <= e.Attempt
		})
		return
	}
	if w == nil {
		if len(s.Workers) >= MaxWorkers {
			return
		}
		s.Workers = append(s.Workers, Worker{Revision: e.Revision, Index: *e.Worker})
		w = &s.Workers[len(s.Workers)-1]
	}
	if e.Attempt < w.Attempt {
		return
	}
	switch e.Type {
	case EventWorkerStarted:
		if w.Attempt > 0 && e.Attempt > w.Attempt && e.Revision == s.Revision {
			s.Restarts += e.Attempt - w.Attempt // of a worker that keeps dying not each is an event
		}
		*w = Worker{Revision: e.Revision, Index: w.Index, Attempt: e.Attempt, PID: e.PID, Started: e.Time}
	case EventWorkerReady:
		w.Ready = true
	case EventWorkerEnded:
		w.Ended, w.Ready, w.Reason, w.Exit, w.Error, w.Text = true, false, e.Reason, e.Exit, e.Error, e.Text
	}
}

// ServicePort is the port of a server's Service in a cluster where no --port names another.
const ServicePort = 80

// ServiceURL is the address of a server's endpoint within its cluster.
func ServiceURL(service, namespace string, port int, path string) string {
	host := service + "." + namespace
	if port != 0 && port != ServicePort {
		host += ":" + strconv.Itoa(port)
	}
	return "http://" + host + path
}

// ServiceURL is the address at which the programs of its cluster ask a server; "" is one on this machine. The place of
// a run in a cluster is CONTEXT/NAMESPACE.
func (s *Spec) ServiceURL() string {
	name := ParseName(s.Name)
	slash := strings.LastIndex(name.Place, "/")
	if s.Server == nil || slash < 0 {
		return ""
	}
	return ServiceURL(name.Run, name.Place[slash+1:], s.Server.Port, s.Server.Path)
}
