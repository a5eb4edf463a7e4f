// Package session reads the session document: what was executed in a notebook, a console or a script, and what is alive
// there. It is the input of everything that MetaML does with a cell (docs/reference/rules.md §2). The document is made
// inside Python (by hooks in the kernel or by the decorators) or here, from a saved notebook or a script
// ([FromNotebook], [FromScript], [FromSource]).
//
// It may import internal/usererror, converter/nbformat and converter/token.
package session

import "os"

// Version is the version of the document that this package writes; it reads every document of the same major version.
const Version = 1

// Document is a session: executed cells and living names.
type Document struct {
	V           int         `json:"v"`
	Kind        Kind        `json:"kind"`
	Interpreter Interpreter `json:"interpreter"`
	Memory      int64       `json:"memory,omitempty"` // of a live session: bytes that its process has in memory
	Cwd         string      `json:"cwd"`
	Path        []string    `json:"path"` // sys.path
	// notebook or file, as a path where it is known; for people and for the series
	Source string          `json:"source,omitempty"`
	Cells  []Cell          `json:"cells"`           // in the order of their execution
	Names  map[string]Name `json:"names,omitempty"` // what is alive; absent for a saved notebook or script
	// loaded modules whose source lies outside the interpreter's own folders
	Modules []Module `json:"modules,omitempty"`
}

// Kind says where a document came from.
type Kind string

// The kinds of document.
const (
	Live   Kind = "live"   // a running kernel or console: what was executed is known
	Saved  Kind = "saved"  // a saved notebook: its code cells, once, in document order
	Script Kind = "script" // a file, as one cell
)

// Interpreter is the Python that the session runs on.
type Interpreter struct {
	Path     string `json:"path"`     // sys.executable
	Version  string `json:"version"`  // "3.11.7"
	Platform string `json:"platform"` // sysconfig.get_platform(): "linux-x86_64"
	Prefix   string `json:"prefix"`   // sys.prefix
}

// Cell is one execution of one cell. The same cell executed twice is two of them.
type Cell struct {
	Seq int `json:"seq"` // our own number, from 1, never reused in a session
	// execution count, In[n]: a label only; 0 where it is not known or names no single cell
	Count  int    `json:"count,omitempty"`
	ID     string `json:"id,omitempty"` // the front end's cell id: a label only
	Source string `json:"source"`       // as typed, before IPython's transformation
	// as executed; empty where nobody transformed it (saved notebooks)
	Code string `json:"code,omitempty"`
	OK   *bool  `json:"ok"` // nil: success unknown (a cell from before the module was loaded)
	// line of Source, from 1, at which a failed cell stopped; 0 is unknown
	FailedLine int     `json:"failed_line,omitempty"`
	Seconds    float64 `json:"seconds,omitempty"`
	// seq of the cell that executed this one (the body of %%capture); such a cell is never replayed beside its parent
	Parent int    `json:"parent,omitempty"`
	Origin string `json:"origin,omitempty"` // "cell" (default), "history", "run" (%run of a file), "startup"
	// number of the kernel's life in this document, if it has cells from before a restart
	Kernel int `json:"kernel,omitempty"`
}

// Name is a name that is alive at the top level of the session.
type Name struct {
	// "module", "function", "class", "value", "metaml" (bound to one of our objects)
	Kind     string `json:"kind"`
	Module   string `json:"module,omitempty"`   // __module__, or the module's own name
	Qualname string `json:"qualname,omitempty"` // __qualname__ of functions and classes
	Type     string `json:"type,omitempty"`     // "numpy.ndarray", "builtins.int"
	// The following are filled in when the name is requested (need {describe}).
	Importable bool   `json:"importable,omitempty"` // "from Module import Qualname" gives this very object
	Repr       string `json:"repr,omitempty"`       // of a scalar: int, float, bool, None, short str
	Shape      []int  `json:"shape,omitempty"`
	Dtype      string `json:"dtype,omitempty"`
	Size       int64  `json:"size,omitempty"`   // bytes if it were shipped by --with; -1 if it cannot be
	Origin     string `json:"origin,omitempty"` // how it came to be, where that is known: "before the restart", "exec"
}

// Module is a loaded module that lies outside the interpreter's own folders: the user's own code beside the notebook.
type Module struct {
	Name     string  `json:"name"`
	File     string  `json:"file"`
	Modified float64 `json:"modified"` // time of the file when it was imported, seconds since 1970; 0 is unknown
	Package  bool    `json:"package,omitempty"`
	// Source is the code, where it stands in the notebook (%%writefile) and File may not be there; nil: it is in File
	Source []byte `json:"-"`
}

// Code is the module's source.
func (m Module) Code() ([]byte, error) {
	if m.Source != nil {
		return m.Source, nil
	}
	return os.ReadFile(m.File)
}
