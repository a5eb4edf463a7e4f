package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/launch/watch"
)

// ServerDetail is `metaml show --json` of a server: what the Server object in Python is made of.
type ServerDetail struct {
	V          int             `json:"v"`
	Name       string          `json:"name"`
	Kind       run.Kind        `json:"kind"`
	Series     string          `json:"series"`
	Key        string          `json:"key"`
	Source     string          `json:"source"`
	State      run.Phase       `json:"state"`
	Reason     run.Reason      `json:"reason"`
	Text       string          `json:"text"`
	Liveness   run.Liveness    `json:"liveness"`
	Ready      bool            `json:"ready"` // it answered the request
	URL        string          `json:"url"`
	ClusterURL string          `json:"cluster_url"` // for programs in its cluster; "": it is on this machine
	PublicURL  string          `json:"public_url"`  // for callers outside of its cluster; "": there is none yet
	Revision   int             `json:"revision"`    // that answers; 0 is none
	Starting   int             `json:"starting"`    // that is being started; 0 is none
	Failed     *FailedRevision `json:"failed"`
	Revisions  []Revision      `json:"revisions"`
	Workers    []Worker        `json:"workers"`
	Replicas   int             `json:"replicas"` // that it has, be it since metaml scale or by an autoscaler
	Range      *run.Replicas   `json:"range"`    // from which the autoscaler chooses; null: there is none
	PerReplica int             `json:"workers_per_replica"`
	Batch      int             `json:"batch"`
	Timeout    float64         `json:"timeout"` // seconds
	Host       string          `json:"host"`
	Port       int             `json:"port"` // as set; 0: chosen
	Auth       string          `json:"auth"` // what callers must have: none, token
	Path       string          `json:"path"`
	Model      string          `json:"model"`
	Example    string          `json:"example"`      // JSON
	Made       bool            `json:"example_made"` // from the signature
	Restarts   int             `json:"restarts"`
	Answer     float64         `json:"answer"` // seconds that its first answer took
	Submitted  time.Time       `json:"submitted"`
	ReadySince *time.Time      `json:"ready_since"`
	Ended      *time.Time      `json:"ended"`
	Folder     string          `json:"folder"`
	Record     Record          `json:"record"`
	Settings   []run.Setting   `json:"settings"`
	Notes      []Note          `json:"notes"`
}

// FailedRevision is the newest revision that never got ready.
type FailedRevision struct {
	Revision int        `json:"revision"`
	Reason   run.Reason `json:"reason"`
	Text     string     `json:"text"`
	Hint     string     `json:"hint"`
	Error    *run.Error `json:"error"`
}

// Revision is one of those that were submitted.
type Revision struct {
	Revision  int       `json:"revision"`
	Submitted time.Time `json:"submitted"`
	Ready     bool      `json:"ready"` // it answers, or has done so
	Of        int       `json:"of"`    // the one that it is again; 0: it was new
}

// revisionsOf are the revisions of a server, in their order.
func revisionsOf(client *deployer.Client, l *run.Listed) []Revision {
	all := []Revision{}
	for _, n := range client.Runs.Folder(l.Spec.Name).Revisions() {
		spec, err := client.Runs.RevisionSpec(l.Spec.Name, n)
		if err != nil || spec.Server == nil {
			continue
		}
		all = append(all, Revision{
			Revision: n, Submitted: spec.Created, Ready: slices.Contains(l.State.Server.Answered, n),
			Of: spec.Server.Of,
		})
	}
	return all
}

// Worker is one of the processes that answer.
type Worker struct {
	Worker   int               `json:"worker"`
	Revision int               `json:"revision"`
	Attempt  int               `json:"attempt"`
	PID      int               `json:"pid"`
	Ready    bool              `json:"ready"`
	Reason   run.Reason        `json:"reason"`
	Error    *run.Error        `json:"error"`
	Log      map[string]string `json:"log"`
}

// ServerDetailOf gives a server as `metaml show --json` prints it.
func ServerDetailOf(client *deployer.Client, l *run.Listed) *ServerDetail {
	s, state, spec := l.State.Server, l.State, watch.Revision(client, l)
	j := &ServerDetail{
		V: 1, Name: spec.Name, Kind: spec.Kind, Series: spec.Series, Key: spec.Key, Source: spec.Source,
		State: state.Phase, Reason: state.Reason, Text: state.Text,
		Liveness: l.Liveness, Ready: l.Answers() && s.Answering() > 0, URL: Address(l), ClusterURL: spec.ServiceURL(),
		PublicURL: publicURL(l),
		Revision:  s.Answering(),
		Starting:  s.Starting, Workers: []Worker{}, Revisions: revisionsOf(client, l),
		PerReplica: spec.WorkersOf(1), Batch: spec.Server.Batch, Timeout: spec.Timeout.Seconds(),
		Host: spec.Server.Host, Port: spec.Server.Port,
		Auth: cmp.Or(spec.Server.Auth, "none"),
		Path: spec.Server.Path, Model: spec.Server.Model, Example: s.Example,
		Made: s.Example != "" && spec.Server.Example == "", Restarts: s.Restarts, Answer: s.Answer,
		Submitted: spec.Created,
		Folder:    folderOf(client, l), Record: recordOf(client, l), Settings: spec.Settings,
		Notes: notesJSON(state.Notes),
	}
	wanted, _ := s.ReplicasOf(spec.Server)
	j.Replicas = wanted.Min
	if wanted.Ranged() {
		j.Range, j.Replicas = &wanted, s.Number(wanted)
	}
	if f := s.Failed; f != nil {
		j.Failed = &FailedRevision{Revision: f.Revision, Reason: f.Reason, Text: f.Text, Hint: f.Hint, Error: f.Error}
	}
	if !s.Ready.IsZero() {
		j.ReadySince = &s.Ready
	}
	if !state.Ended.IsZero() {
		j.Ended = &state.Ended
	}
	for i := range s.Workers {
		w := &s.Workers[i]
		ready := w.Ready && l.Liveness != run.Dead
		places := client.Runs.WorkerAttempt(spec.Name, w.Revision, w.Index, w.Attempt)
		j.Workers = append(j.Workers, Worker{
			Worker: w.Index, Revision: w.Revision, Attempt: w.Attempt, PID: w.PID, Ready: ready, Reason: w.Reason,
			Error: w.Error,
			Log:   map[string]string{"stdout": places.Stdout, "stderr": places.Stderr},
		})
	}
	return j
}

// publicURL is where callers outside of its cluster ask a server, or "".
func publicURL(l *run.Listed) string {
	if l.State.Phase.Final() {
		return ""
	}
	return l.State.Server.Public.URL
}
