package launch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/environ"
	"github.com/metaml/metaml/internal/talk"
)

// memory keeps what interpreters answered of themselves and of what is installed, as long as none of the folders
// changes that the answer came from: a Python takes longer to start than all else that a command does. The zero value
// keeps nothing.
type memory struct {
	folder string
	who    string // the interpreter, and what else its answers depend on
}

// memoryOf is the memory of an interpreter. Of one that chooses another, such as a shim of pyenv, nothing is kept.
func (l *Launcher) memoryOf(python string) memory {
	if l.Cache == "" {
		return memory{}
	}
	real, err := filepath.EvalSymlinks(python)
	if err != nil || isScript(real) {
		return memory{}
	}
	who := fmt.Appendf(nil, "%q %q %q %q", python, real, environ.Get(l.Environ, "PYTHONPATH"),
		environ.Get(l.Environ, "PYTHONHOME"))
	// Our own program has the module that is asked.
	for _, file := range []string{real, filepath.Join(filepath.Dir(filepath.Dir(python)), "pyvenv.cfg"), l.Binary} {
		if info, err := os.Stat(file); err == nil {
			who = fmt.Appendf(who, " %d %d", info.Size(), info.ModTime().UnixNano())
		}
	}
	return memory{folder: filepath.Join(l.Cache, "answers"), who: string(who)}
}

func isScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer func() { _ = f.Close() }()
	var start [2]byte
	_, err = io.ReadFull(f, start[:])
	return err != nil || string(start[:]) == "#!"
}

// kept is an answer.
type kept struct {
	Stamps map[string]int64 `json:"stamps"` // folder → when it was changed last, in ns since 1970
	Answer json.RawMessage  `json:"answer"`
}

func (m memory) file(question any) string {
	text, _ := json.Marshal(question) // of plain values
	sum := sha256.Sum256(append([]byte(m.who+"\n"), text...))
	return filepath.Join(m.folder, hex.EncodeToString(sum[:])+".json")
}

// recall gives the answer to a question, if it is kept and still right.
func (m memory) recall(question, answer any) bool {
	if m.folder == "" {
		return false
	}
	var k kept
	at := m.file(question)
	data, err := os.ReadFile(at)
	if err != nil || json.Unmarshal(data, &k) != nil {
		return false
	}
	for folder, changed := range k.Stamps {
		info, err := os.Stat(folder)
		if err != nil || info.ModTime().UnixNano() != changed {
			return false
		}
	}
	return json.Unmarshal(k.Answer, answer) == nil
}

// settled is how long ago a folder was changed, at least, so that its time tells of the next change: file systems
// count in steps.
const settled = 2 * time.Second

// keep keeps an answer. Where that fails it is asked for again.
func (m memory) keep(question, answer any, stamps map[string]int64) {
	if m.folder == "" {
		return
	}
	for _, changed := range stamps {
		if time.Since(time.Unix(0, changed)) < settled {
			return
		}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return
	}
	data, err := json.Marshal(kept{Stamps: stamps, Answer: text})
	if err == nil && os.MkdirAll(m.folder, 0o700) == nil {
		_ = atomicfile.Write(m.file(question), data, 0o600)
		m.sweep()
	}
}

// unused is how long an answer may lie there.
const unused = 30 * 24 * time.Hour

// sweep removes old answers. What cannot be removed stays.
func (m memory) sweep() {
	entries, err := os.ReadDir(m.folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > unused {
			_ = os.Remove(filepath.Join(m.folder, e.Name()))
		}
	}
}

// remembering answers from memory what it can, and starts a Python for the rest.
type remembering struct {
	memory memory
	start  func(ctx context.Context) (*answering, error)
	python *answering // nil as long as none is needed
}

// ask implements answers.
func (r *remembering) ask(ctx context.Context, question talk.Need) (talk.FromModule, error) {
	lasting := question.Lock != nil || question.Distributions != nil
	var have talk.FromModule
	if lasting && r.memory.recall(question, &have) {
		return have, nil
	}
	if r.python == nil {
		var err error
		if r.python, err = r.start(ctx); err != nil {
			return have, err
		}
	}
	have, err := r.python.ask(ctx, question)
	if err == nil && lasting && have.Stamps != nil {
		r.memory.keep(question, have, have.Stamps)
	}
	return have, err
}

func (r *remembering) close() {
	if r.python != nil {
		r.python.close()
	}
}
