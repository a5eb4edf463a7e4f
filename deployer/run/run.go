// Package run holds the plain types that every other part of MetaML shares: what a run is ([Spec]), what happened to it
// ([Event]) and what it looks like now ([State], a fold of its events).
//
// Read [Event] first, then [State.Apply]. The rules are those of docs/reference/rules.md: states, objective, retries.
// Nothing here does I/O, knows a target or knows Jupyter; the package imports the standard library alone.
package run

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

// Kind says what a run is for.
type Kind string

// The kinds of run.
const (
	Train Kind = "train"
	Serve Kind = "serve"
)

// Spec is everything that a target must know to execute a run. It is written once, before anything starts, and never
// changes; what may grow later (trials) is in the event stream.
type Spec struct {
	V       int       `json:"v"`
	ID      string    `json:"id,omitempty"` // random, given by the target: another folder of this name is another run
	Name    string    `json:"name"`         // series and ordinal, "train-model-7"; unique on its target
	Series  string    `json:"series"`       // readable series name, "train-model"
	Key     string    `json:"key"`          // run key, hex sha256 (docs/reference/rules.md §5)
	Owner   string    `json:"owner"`        // who submitted it
	Source  string    `json:"source"`       // notebook or file it came from, for people
	Kind    Kind      `json:"kind"`         // train or serve
	Created time.Time `json:"created"`      // submission time

	Digest string   `json:"digest"`         // digest of the program's code, hex sha256
	Entry  string   `json:"entry"`          // name of the entry function
	Python string   `json:"python"`         // path of the interpreter that runs it (local)
	Cwd    string   `json:"cwd"`            // working directory of the trials (local)
	BootID string   `json:"boot_id"`        // the machine's boot when it was submitted (local)
	Path   []string `json:"path,omitempty"` // sys.path entries of the session beyond the interpreter's own

	Completions int `json:"completions"` // number of trials
	Parallelism int `json:"parallelism"` // trials at a time
	// attempts beyond the first, for causes that are not the user's code
	Retries     int           `json:"retries"`
	Timeout     time.Duration `json:"timeout,omitempty"`   // per attempt; 0 is none
	Objective   Objective     `json:"objective,omitzero"`  // as set; the zero value means "choose"
	Seed        *int64        `json:"seed,omitempty"`      // base seed set by --seed
	TrialCwd    bool          `json:"trial_cwd,omitempty"` // --cwd trial: each trial in a folder of its own
	Strict      bool          `json:"strict,omitempty"`    // --strict: a value that differs refuses it
	Fresh       bool          `json:"fresh,omitempty"`     // --fresh-process: never fork
	TensorBoard bool          `json:"tensorboard,omitempty"`
	Notify      string        `json:"notify,omitempty"` // a command that is started when the run is done
	Whole       string        `json:"whole,omitempty"`  // the parameter that gets a row of the table as one dict
	// names of top-level random generators to reseed in each trial
	Reseed []string `json:"reseed,omitempty"`
	// libraries the program seeds itself: random, numpy, torch, tensorflow
	SelfSeeded []string `json:"self_seeded,omitempty"`

	Server *ServerSpec `json:"server,omitempty"` // of a serving run

	Settings []Setting         `json:"settings,omitempty"` // every setting with its value and where it came from
	Env      map[string]string `json:"env,omitempty"`      // extra environment of the trials (thread counts)
}

// ServerSpec is what one revision of a server is. A server is a run that stays; running its cell again gives it another
// revision behind the same address. Spec.Completions is the number of its workers in all when it was submitted,
// Spec.Timeout the longest that a request may take.
type ServerSpec struct {
	Revision int `json:"revision"`           // from 1, given by the target
	Of       int `json:"of,omitempty"`       // the revision that this one is again; 0: it is new
	Replaces int `json:"replaces,omitempty"` // in a cluster: the revision that answered when it was submitted
	Replicas int `json:"replicas,omitempty"` // copies of the server, as its cell said last
	// the most of them, where an autoscaler of the cluster chooses from Replicas to these; 0: always Replicas
	MaxReplicas int    `json:"max_replicas,omitempty"`
	Workers     int    `json:"workers,omitempty"` // processes of each copy that call the function
	Path        string `json:"path"`              // of the URL: "/predict"
	Host        string `json:"host"`              // address to listen on: "127.0.0.1"
	Port        int    `json:"port,omitempty"`    // 0: a stable free port, chosen by the target
	// names that it is known by beside those of this machine; "*" is any
	Hosts   []string `json:"hosts,omitempty"`
	Origins []string `json:"origins,omitempty"` // of pages of other sites that may ask it; "*" is any
	Auth    string   `json:"auth,omitempty"`    // [AuthToken]: requests must have the server's token; "": nothing
	// Ingress and Expose are how callers outside of its cluster reach it: by this host, or by a load balancer of its
	// own.
	Ingress string `json:"ingress,omitempty"`
	Expose  bool   `json:"expose,omitempty"`
	Route   *Route `json:"route,omitempty"` // what leads there from Ingress, chosen by the target
	// most inputs that one call gets; 0: the function gets one input, not a list
	Batch int    `json:"batch,omitempty"`
	Model string `json:"model,omitempty"` // what metaml.model() is: "train-model-7:5" (run and trial)
	// where its files lie when it is submitted; the revision keeps its own copy
	ModelFolder string `json:"model_folder,omitempty"`
	Example     string `json:"example,omitempty"` // an input for the test before it is ready, JSON
}

// AuthToken is the value of [ServerSpec.Auth] with which callers must send the server's token.
const AuthToken = "token"

// Locked reports whether callers must have the server's token. Any value that is not known counts as that.
func (s *ServerSpec) Locked() bool { return s.Auth != "" }

// ThreadVariables bound the threads of the numerical libraries, in the environment of a trial or worker.
var ThreadVariables = []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"}

// DefaultRequestTimeout is how long a request may take when no --timeout says otherwise.
const DefaultRequestTimeout = 30 * time.Second

// RequestTimeout is how long a request to a server may take.
func (s *Spec) RequestTimeout() time.Duration { return cmp.Or(s.Timeout, DefaultRequestTimeout) }

// Setting is one setting as it was resolved.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // "cell", "decorator", "environment METAML_X", "metaml.toml:4", "default"
}

// Words gives a setting's value on one line: the items of a list that are on lines of their own with commas.
func (s Setting) Words() string { return strings.ReplaceAll(s.Value, "\n", ", ") }

// Param is one hyperparameter of one trial: its name and its typed value, in the encoding of
// docs/internals/protocols.md §2.
type Param struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// Row holds the hyperparameters of one trial, in the order of the function's signature. Row i belongs to trial i, also
// when it is retried. In table.jsonl a row is one JSON object per line.
type Row []Param

// Phase is the state of a trial or a run.
type Phase string

// The states (docs/reference/rules.md §7). Everything else (queued, retrying, lost, signal …) is a reason, never a
// state.
const (
	Pending   Phase = "pending"
	Running   Phase = "running"
	Stopped   Phase = "stopped"
	Failed    Phase = "failed"
	Succeeded Phase = "succeeded"
)

// Final reports whether nothing can follow p.
func (p Phase) Final() bool { return p == Stopped || p == Failed || p == Succeeded }
