// Package folder is the run folder on disk (docs/internals/protocols.md §4): where everything of a run lies, and how it
// is written so that a crash at any moment leaves something whole to read.
//
// Read [Run] first. Three rules hold: a folder is made under a temporary name and renamed into place; the event file
// ([Log], [Reader]) has one writer, by lock, which first cuts a torn last line; every other file is replaced whole
// ([Replace]) or only ever appended to, a line at a time.
//
// It imports deployer/run, golang.org/x/sys and leaves alone, and knows neither processes of trials nor the engine.
package folder

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/jsonscan"
	"github.com/metaml/metaml/internal/usererror"
)

// Runs gives the folder that holds the run folders: $XDG_DATA_HOME/metaml/runs.
func Runs() (string, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", usererror.Wrap(err, usererror.CodeHome, "there is no folder for runs: HOME is not set",
				"Set XDG_DATA_HOME, or HOME, to a folder of your own.")
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "metaml", "runs"), nil
}

// Run is the folder of one run; its value is the path.
type Run string

func (r Run) join(elem ...string) string {
	return filepath.Join(append([]string{string(r)}, elem...)...)
}

// Spec is run.json.
func (r Run) Spec() string { return r.join("run.json") }

// Lock is packages.txt: those of the image that was made for the run, with hashes, as a requirements file of pip.
func (r Run) Lock() string { return r.join("packages.txt") }

// Program is the program folder.
func (r Run) Program() string { return r.join("program") }

// Code is the part of the program folder that has a digest.
func (r Run) Code() string { return r.join("program", "code") }

// Revision is the folder of revision n (from 1) of a server. It is laid out as a run's: run.json, program,
// environment.json, and for worker i what a trial has.
func (r Run) Revision(n int) Run { return Run(r.join("revisions", fmt.Sprintf("%05d", n))) }

// Revisions lists the revisions of a server that were submitted, in their order.
func (r Run) Revisions() []int {
	entries, err := os.ReadDir(r.join("revisions"))
	if err != nil {
		return nil
	}
	var all []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 0 &&
			r.Revision(n) == Run(r.join("revisions", e.Name())) {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// ReadEnvironment reads environment.json. The error is fs.ErrNotExist when it is gone.
func (r Run) ReadEnvironment() ([]string, error) {
	data, err := os.ReadFile(r.EnvironmentFile())
	if err != nil {
		return nil, fmt.Errorf("read the environment of the run: %w", err)
	}
	var env []string
	if err := json.Unmarshal(data, &env); err != nil {
		return nil, fmt.Errorf("read the environment of the run in %q: %w", r.EnvironmentFile(), err)
	}
	return env, nil
}

// Model is what metaml.model() gives the workers of a revision.
func (r Run) Model() string { return r.join("model") }

// ReplicasFile says how many replicas of a server were requested last. It is beside the revisions, so that who watches
// for them sees it change.
func (r Run) ReplicasFile() string { return r.join("revisions", "replicas.json") }

// SocketsFile names the folder of a server's sockets where that could not have the name that follows from the server's.
func (r Run) SocketsFile() string { return r.join("sockets") }

// FrontLog is the standard output and error of a server's front.
func (r Run) FrontLog() string { return r.join("front.log") }

// Map is the source map.
func (r Run) Map() string { return r.join("program", "map.json") }

// IncludeName is the folder of a program folder with the files that go with the program, under their paths below the
// working directory.
const IncludeName = "include"

// ExpectedName is the file of a program folder that says how top-level names looked in the session that the program was
// cut from.
const ExpectedName = "expected.json"

// Expected is the run's file of that name.
func (r Run) Expected() string { return r.join("program", ExpectedName) }

// PackageLock lists the distributions that the program loaded.
func (r Run) PackageLock() string { return r.join("lock.txt") }

// TableFile is table.jsonl.
func (r Run) TableFile() string { return r.join("table.jsonl") }

// Events is events.jsonl.
func (r Run) Events() string { return r.join("events.jsonl") }

// MonitorFile is monitor.json.
func (r Run) MonitorFile() string { return r.join("monitor.json") }

// MonitorLock is the file that the monitor locks.
func (r Run) MonitorLock() string { return r.join("monitor.lock") }

// MonitorLog is the monitor's standard output and error.
func (r Run) MonitorLog() string { return r.join("monitor.log") }

// StopFile holds the stop requests.
func (r Run) StopFile() string { return r.join("stop") }

// EnvironmentFile is the submitter's environment. It goes when the run has succeeded, when the server is stopped or its
// revision replaced, and a month after another end.
func (r Run) EnvironmentFile() string { return r.join("environment.json") }

// Reserve is space that is given back when the disk is full.
func (r Run) Reserve() string { return r.join("reserve") }

// Loader is the folder of the loader's output.
func (r Run) Loader() string { return r.join("loader") }

// Trial is the folder of trial i.
func (r Run) Trial(i int) string { return r.join("trials", fmt.Sprintf("%05d", i)) }

// Trials is the folder with those of all trials.
func (r Run) Trials() string { return r.join("trials") }

// Scalars is the folder with trial i's metrics as TensorBoard reads them.
func (r Run) Scalars(i int) string { return filepath.Join(r.Trial(i), "tensorboard") }

// TensorBoard is the folder for temporary files of the run's TensorBoard.
func (r Run) TensorBoard() string { return r.join("tensorboard") }

// Stream is the file with what an attempt printed: [Stdout] or [Stderr].
func (r Run) Stream(i, attempt int, stream string) string {
	return filepath.Join(r.Attempt(i, attempt), stream)
}

// Output is what metaml.output() gives trial i.
func (r Run) Output(i int) string { return filepath.Join(r.Trial(i), "output") }

// ComingOutput is the folder with what has come so far of what trial i wrote elsewhere; it takes the place of
// [Run.Output] when it is whole.
func (r Run) ComingOutput(i int) string { return r.Output(i) + ".new" }

// comingSize is the file that says how large it will be.
func (r Run) comingSize(i int) string { return r.ComingOutput(i) + ".json" }

// NoteComing notes how many bytes of trial i's output are to come; less than 1 is not known.
func (r Run) NoteComing(i int, size int64) error { return ReplaceJSON(r.comingSize(i), size) }

// Came removes that note.
func (r Run) Came(i int) error { return os.Remove(r.comingSize(i)) }

// Coming reports how many bytes of trial i's output have come, and of how many; all is 0 where that is not known, ok
// false where nothing comes.
func (r Run) Coming(i int) (came, all int64, ok bool) {
	data, err := os.ReadFile(r.comingSize(i))
	if err != nil {
		return 0, 0, false
	}
	_ = json.Unmarshal(data, &all) // else it is not known
	_ = filepath.WalkDir(r.ComingOutput(i), func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				came += info.Size()
			}
		}
		return nil // it may take its place at this moment
	})
	return came, max(all, 0), true
}

// Checkpoints is the folder with what metaml.checkpoint() kept of trial i.
func (r Run) Checkpoints(i int) string { return filepath.Join(r.Trial(i), "checkpoints") }

// LeftOutput is what attempt left in metaml.output() of trial i, once another attempt has begun.
func (r Run) LeftOutput(i, attempt int) string { return filepath.Join(r.Attempt(i, attempt), "output") }

// Restoring is the folder in which the output of the next attempt of trial i is made.
func (r Run) Restoring(i int) string { return filepath.Join(r.Trial(i), "restoring") }

// Cwd is the working directory of trial i when trials do not share one.
func (r Run) Cwd(i int) string { return filepath.Join(r.Trial(i), "cwd") }

// Attempt is the folder of an attempt (from 1) of trial i.
func (r Run) Attempt(i, attempt int) string {
	return filepath.Join(r.Trial(i), "attempt-"+strconv.Itoa(attempt))
}

// Result is what an attempt's function returned, pickled; where it could not be, Result + ".txt" says why.
func (r Run) Result(i, attempt int) string {
	return filepath.Join(r.Attempt(i, attempt), "result.pickle")
}

// Attempts lists the attempts of trial i that have a folder, in their order.
func (r Run) Attempts(i int) []int {
	entries, err := os.ReadDir(r.Trial(i))
	if err != nil {
		return nil
	}
	var all []int
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), "attempt-")
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(number); err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// LatestAttempt finds the highest attempt of trial i that has a folder; 0 is none.
func (r Run) LatestAttempt(i int) int {
	if all := r.Attempts(i); len(all) > 0 {
		return all[len(all)-1]
	}
	return 0
}

// ReadSpec reads run.json.
func (r Run) ReadSpec() (run.Spec, error) {
	var spec run.Spec
	data, err := os.ReadFile(r.Spec())
	if err != nil {
		return spec, fmt.Errorf("read the run's description: %w", err)
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return spec, fmt.Errorf("read the run's description %q: %w", r.Spec(), err)
	}
	switch {
	case spec.V > 1:
		return spec, fmt.Errorf("the run was written by a newer MetaML (version %d of run.json)", spec.V)
	case spec.Name == "" || spec.Completions < 0 || spec.Completions > maxCompletions:
		return spec, fmt.Errorf("the run's description %q is damaged", r.Spec())
	}
	return spec, nil
}

// maxCompletions bounds what a damaged run.json can make a reader allocate.
const maxCompletions = 1 << 20

// ReadTable reads the parameters of all trials; nil if the run has none.
func (r Run) ReadTable() ([]run.Row, error) {
	f, err := os.Open(r.TableFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the parameter table: %w", err)
	}
	defer f.Close()
	rows, err := ParseTable(f)
	if err != nil {
		return nil, fmt.Errorf("read the parameter table %q: %w", r.TableFile(), err)
	}
	return rows, nil
}

// ParseTable reads lines of JSON objects, keeping the order of their names.
func ParseTable(from io.Reader) ([]run.Row, error) {
	var rows []run.Row
	in := bufio.NewReaderSize(from, 1<<16)
	for line := 1; ; line++ {
		text, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 {
			row, err := parseRow(text)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
			rows = append(rows, row)
		}
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func parseRow(text []byte) (run.Row, error) {
	if row, ok := scanRow(text); ok {
		return row, nil
	}
	return decodeRow(text)
}

func decodeRow(text []byte) (run.Row, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	row := run.Row{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		row = append(row, run.Param{Name: name.(string), Value: value})
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one value")
	}
	return row, nil
}

// scanRow reads a row as [FormatRow] and Python write it, and leaves others to decodeRow. It keeps parts of the text.
func scanRow(text []byte) (run.Row, bool) {
	s := jsonscan.New(bytes.TrimRight(text, "\n"))
	if !s.Skip('{') {
		return nil, false
	}
	row := run.Row{}
	for ; !s.Skip('}'); s.Skip(' ') {
		if len(row) > 0 && !s.Skip(',') {
			return nil, false
		}
		if len(row) > 0 {
			s.Skip(' ')
		}
		name, ok := s.Plain()
		if !ok || !s.Skip(':') {
			return nil, false
		}
		s.Skip(' ')
		value := s.Number()
		if len(value) == 0 {
			if value, ok = s.Value(); !ok || !json.Valid(value) {
				return nil, false
			}
		}
		row = append(row, run.Param{Name: string(name), Value: slices.Clip(value)})
	}
	return row, s.AtEnd()
}

// FormatRow writes a row as one JSON object, in its order.
func FormatRow(row run.Row) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range row {
		if i > 0 {
			b.WriteString(", ")
		}
		name, err := json.Marshal(p.Name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteString(": ")
		if err := json.Compact(&b, p.Value); err != nil {
			return nil, fmt.Errorf("value of %q: %w", p.Name, err)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// WriteTable writes table.jsonl.
func (r Run) WriteTable(rows []run.Row) error {
	var b bytes.Buffer
	for i, row := range rows {
		line, err := FormatRow(row)
		if err != nil {
			return fmt.Errorf("write row %d of the parameter table: %w", i, err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return atomicfile.Write(r.TableFile(), b.Bytes(), 0o600)
}

// ReplaceJSON replaces a file by v as JSON: readers see the old content or the new.
func ReplaceJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return atomicfile.Write(path, append(data, '\n'), 0o600)
}

// Monitor is monitor.json: the latest monitor of a run.
type Monitor struct {
	PID       int    `json:"pid"`
	StartTime int64  `json:"start_time"` // [StartTime]
	BootID    string `json:"boot_id"`
}

// ReadMonitor reads monitor.json; the zero value says that no monitor was ever started.
func (r Run) ReadMonitor() Monitor {
	var m Monitor
	if data, err := os.ReadFile(r.MonitorFile()); err == nil {
		_ = json.Unmarshal(data, &m)
	}
	return m
}

// Stop is one request in the stop file.
type Stop struct {
	Trial *int `json:"trial"` // nil: the whole run
	// Revision is the one of a server whose start is given up; 0: the whole server.
	Revision int       `json:"revision,omitempty"`
	Now      bool      `json:"now"` // do not wait for the trial to save anything
	Time     time.Time `json:"time"`
}

// AppendStop requests a stop of the monitor. One line is one write, so that several commands may do it at once.
func (r Run) AppendStop(s Stop) error {
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("ask for a stop: %w", err)
	}
	line = append(line, '\n')
	err = r.withReserve(func() error {
		f, err := OpenOwn(r.StopFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE)
		if err != nil {
			return err
		}
		n, err := f.Write(line)
		if n > 0 && n < len(line) {
			line = append([]byte{'\n'}, line...) // ends what is there of it
		}
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return fmt.Errorf("ask for a stop: %w", err)
	}
	return nil
}

// ReadStops gives the requests from offset on and the offset after them. Lines that are not whole yet are left for
// later; what is no request is skipped.
func (r Run) ReadStops(offset int64) ([]Stop, int64, error) {
	f, err := os.Open(r.StopFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, offset, fmt.Errorf("read the stop requests: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, offset, maxStops))
	if err != nil {
		return nil, offset, fmt.Errorf("read the stop requests: %w", err)
	}
	var stops []Stop
	for {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			return stops, offset, nil
		}
		var s Stop
		if json.Unmarshal(data[:end], &s) == nil {
			stops = append(stops, s)
		}
		data, offset = data[end+1:], offset+int64(end)+1
	}
}

// maxStops bounds what is read of the stop file at once, in bytes.
const maxStops = 16 << 20
