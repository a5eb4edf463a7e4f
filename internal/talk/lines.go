package talk

import "encoding/json"

// Type says what a line is.
type Type string

// The types of lines. The first group comes from the module, the second from `metaml`, the third goes to `metaml` while
// a run is shown.
const (
	TypeBegin   Type = "begin"
	TypeRequest Type = "request"
	TypeHave    Type = "have"
	TypeBound   Type = "bound"

	TypeNeed      Type = "need"
	TypeOptions   Type = "options"
	TypeSlice     Type = "slice"
	TypeAccepted  Type = "accepted"
	TypeSubmitted Type = "submitted"
	TypeDisplay   Type = "display"
	TypeStream    Type = "stream"
	TypeDone      Type = "done"
	TypeRefused   Type = "refused"

	TypeStop   Type = "stop"
	TypeDetach Type = "detach"
)

// The kinds of conversations beside those of runs, in a begin line.
const (
	KindAttach = "attach" // show a run until it ends
	KindShow   = "show"   // display a run as it is now
)

// EveryVariable stands for all variables of the session where names of variables are requested.
const EveryVariable = "*"

// Line is a line that this package can write.
type Line interface{ kind() Type }

// FromModule is a line that the module sends; which fields it has depends on Type.
type FromModule struct {
	V        int                        `json:"v"`
	Type     Type                       `json:"type"`
	Kind     string                     `json:"kind"`
	Line     string                     `json:"line"`
	Cell     Cell                       `json:"cell"`
	Cwd      string                     `json:"cwd"`
	Source   string                     `json:"source"`
	Settings map[string]json.RawMessage `json:"settings"` // of a decorator: texts, lists, dicts
	// variables of the session: in begin METAML_*, nil if it does not say; in have those that were requested
	Environ  map[string]string `json:"environment"`
	Function string            `json:"function"`
	Session  json.RawMessage   `json:"session"`
	Now      bool              `json:"now"`

	ID            int                        `json:"id"`
	Describe      map[string]json.RawMessage `json:"describe"` // name → session.Name
	Values        *Described                 `json:"values"`
	Distributions map[string]Distribution    `json:"distributions"`
	Lock          json.RawMessage            `json:"lock"`
	Stamps        map[string]int64           `json:"stamps,omitempty"` // folder → its time, of Distributions and Lock
	With          map[string]Shipped         `json:"with"`
	Draw          *Drawn                     `json:"draw"`
	Stars         map[string][]string        `json:"stars"` // module → the names that an import * of it has bound
	Runs          map[string]string          `json:"runs"`  // variable → name of the Run that it holds
	JSON          string                     `json:"json"`
	Error         *PythonError               `json:"error"`
}

// Cell says which cell a conversation is about.
type Cell struct {
	Seq    int    `json:"seq"`
	Count  int    `json:"count"`
	ID     string `json:"id"`
	Parent string `json:"parent"` // message id of its execute_request
	Alone  bool   `json:"alone"`  // the magic is the whole cell
	Lines  bool   `json:"lines"`  // the front end does not replace displays
}

// Described are values of the session, as far as they can be compared with those of another process.
type Described struct {
	Values      map[string]json.RawMessage `json:"values"` // name → docs/internals/protocols.md §2
	Environment json.RawMessage            `json:"environment"`
}

// Distribution is what provides a module.
type Distribution struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Shipped is a value of the session in a file.
type Shipped struct {
	File   string `json:"file"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"`
}

// Drawn are hyperparameters.
type Drawn struct {
	Rows   [][][2]json.RawMessage `json:"rows"`
	Digest string                 `json:"digest"`
	Whole  string                 `json:"whole"`
	Notes  []string               `json:"notes"`
}

// PythonError is why a question has no answer.
type PythonError struct {
	Code      string `json:"code"`
	Text      string `json:"text"`
	Hint      string `json:"hint"`
	Traceback string `json:"traceback"`
}

// Relayed is what a relay reads of a line of either side; it passes on the line as it came.
type Relayed struct {
	Type Type `json:"type"`
	Cell struct {
		Parent string `json:"parent"`
		Alone  bool   `json:"alone"`
	} `json:"cell"`
	Detach    bool            `json:"detach"`
	Run       string          `json:"run"`
	Interrupt string          `json:"interrupt"`
	Bundle    json.RawMessage `json:"bundle"`
	Metadata  json.RawMessage `json:"metadata"`
	DisplayID string          `json:"display_id"`
	Update    bool            `json:"update"`
	Text      string          `json:"text"`
	Error     *Failure        `json:"error"`
}

// Need is a question to the module; one of its fields beside ID is set.
type Need struct {
	ID            int      `json:"id"`
	Describe      []string `json:"describe,omitempty"`
	Values        []string `json:"values,omitempty"` // names whose content is to be described
	Sizes         *bool    `json:"sizes,omitempty"`  // false: Describe leaves out sizes, which take pickling
	Distributions []string `json:"distributions,omitempty"`
	Lock          []string `json:"lock,omitzero"` // modules that the program imports, maybe none; nil is no question
	With          []string `json:"with,omitempty"`
	Draw          *Draw    `json:"draw,omitempty"`
	Runs          []string `json:"runs,omitempty"`
	JSON          string   `json:"json,omitempty"`
	Environment   []string `json:"environment,omitempty"` // variables; only those that are set are answered
	Stars         []string `json:"stars,omitempty"`       // modules of which everything was imported
}

// Draw requests hyperparameters.
type Draw struct {
	Name        string   `json:"name"`
	Limit       int      `json:"limit"`
	Completions int      `json:"completions"`
	Parallelism int      `json:"parallelism"`
	Parameters  []string `json:"parameters"` // null: any
	Required    []string `json:"required"`
	Whole       string   `json:"whole,omitempty"`
	Annotated   bool     `json:"annotated,omitempty"` // Whole says that it takes a dict
	Seed        *int64   `json:"seed,omitempty"`
}

// Options have what the module needs before the body runs.
type Options struct {
	Settings        any      `json:"settings"` // name → {value, origin}
	Parallelism     int64    `json:"parallelism"`
	Completions     int64    `json:"completions"`
	HyperParameters string   `json:"hyper_parameters"`
	With            []string `json:"with"`
	Into            string   `json:"into"`
	Function        string   `json:"function"`
	Detach          bool     `json:"detach"`
	Model           *Model   `json:"model"`
}

// Model is what metaml.model() gives.
type Model struct {
	Name   string `json:"name"`
	Folder string `json:"folder"`
}

// Slice displays what will run.
type Slice struct {
	Bundle    map[string]string `json:"bundle"`
	DisplayID string            `json:"display_id"`
}

// Accepted says that everything is ready and nothing was started.
type Accepted struct {
	Run       string `json:"run"`
	Kind      string `json:"kind"`
	Key       string `json:"key"`
	Attached  bool   `json:"attached"`
	Into      string `json:"into"`
	Metaml    string `json:"metaml"`
	Detach    bool   `json:"detach"`
	Interrupt string `json:"interrupt"`
}

// Submitted names the run that is there.
type Submitted struct {
	Run      string `json:"run"`
	Attached bool   `json:"attached"`
}

// Display shows something below the cell, or replaces what was shown with the same id.
type Display struct {
	Bundle    map[string]string `json:"bundle"`
	DisplayID string            `json:"display_id,omitempty"`
	Update    bool              `json:"update"`
}

// Stream is a line of progress.
type Stream struct {
	Text string `json:"text"`
}

// Done is the last line; Error ends the cell.
type Done struct {
	State string   `json:"state"`
	Error *Failure `json:"error"`
}

// Failure is the error that ends a cell.
type Failure struct {
	Name      string   `json:"ename"`
	Value     string   `json:"evalue"`
	Traceback []string `json:"traceback"`
}

// Refused is a user's mistake; nothing was started.
type Refused struct {
	Code      string `json:"code"`
	Text      string `json:"text"`
	Hint      string `json:"hint"`
	Traceback string `json:"traceback,omitempty"`
	Cell      int    `json:"cell,omitempty"`
	Line      int    `json:"line,omitempty"`
}

// Stop is an interrupt while a run is shown.
type Stop struct {
	Now bool `json:"now"`
}

// Detach ends the cell and not the run.
type Detach struct{}

func (Need) kind() Type      { return TypeNeed }
func (Options) kind() Type   { return TypeOptions }
func (Slice) kind() Type     { return TypeSlice }
func (Accepted) kind() Type  { return TypeAccepted }
func (Submitted) kind() Type { return TypeSubmitted }
func (Display) kind() Type   { return TypeDisplay }
func (Stream) kind() Type    { return TypeStream }
func (Done) kind() Type      { return TypeDone }
func (Refused) kind() Type   { return TypeRefused }
func (Stop) kind() Type      { return TypeStop }
func (Detach) kind() Type    { return TypeDetach }
