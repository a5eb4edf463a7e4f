package serve

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/collect"
)

// Outputs are the archives of a run's trials, in a folder: outputs/TRIAL/KIND/ROUND-ATTEMPT-NUMBER.tar. Of each trial
// and kind there is one, but while the next takes its place.
type Outputs struct {
	root  *os.Root
	limit int64

	mu    sync.Mutex
	bytes int64 // of all archives, those on their way included
	there map[slot]collect.Output
	busy  map[slot]bool // one is on its way
}

type slot struct {
	trial int
	kind  collect.Kind
}

func (s slot) folder() string { return path.Join(strconv.Itoa(s.trial), string(s.kind)) }

const coming = "coming" // the name of an archive that is on its way

// OpenOutputs reads what is in a folder, which is made if it is missing. Limit bounds the bytes of all archives.
func OpenOutputs(dir string, limit int64) (*Outputs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of outputs: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of outputs: %w", err)
	}
	o := &Outputs{root: root, limit: limit, there: map[slot]collect.Output{}, busy: map[slot]bool{}}
	var older []string
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		found, at, ok := parse(name)
		if !ok { // a process that was killed left it
			older = append(older, name)
			return nil
		}
		found.Size, found.Time = info.Size(), info.ModTime().UTC()
		if before, known := o.there[at]; known {
			if before.Compare(found) > 0 {
				before, found = found, before
			}
			older = append(older, path.Join(at.folder(), before.FileName()))
			o.bytes -= before.Size
			if found.Size == before.Size && found.FileName() == before.FileName() {
				return nil
			}
		}
		o.there[at] = found
		o.bytes += found.Size
		return nil
	})
	for _, name := range older {
		err = errors.Join(err, root.Remove(name))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the folder of outputs: %w", err), root.Close())
	}
	return o, nil
}

// parse reads the name of an archive.
func parse(name string) (o collect.Output, at slot, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return o, at, false
	}
	o, ok = collect.ParseFileName(parts[2])
	trial, err := strconv.Atoi(parts[0])
	o.Trial, o.Kind = trial, collect.Kind(parts[1])
	at = slot{trial, o.Kind}
	return o, at, ok && err == nil && collect.CheckOutput(o) == nil && path.Join(at.folder(), o.FileName()) == name
}

// Close closes the folder.
func (o *Outputs) Close() error { return o.root.Close() }

// List are the archives that are there.
func (o *Outputs) List() []collect.Output {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]collect.Output, 0, len(o.there))
	for _, one := range o.there {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b collect.Output) int {
		return cmp.Or(cmp.Compare(a.Trial, b.Trial), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

var (
	errLater = errors.New("a later attempt of the trial has sent its files already")
	errBusy  = errors.New("the trial is sending its files already")
	errFull  = errors.New("the monitor has no room for them")
)

// keep takes an archive in place of the one before, once all of it is on the disk.
func (o *Outputs) keep(of collect.Output, from io.Reader) (kept collect.Output, err error) {
	at := slot{of.Trial, of.Kind}
	o.mu.Lock()
	before, replaces := o.there[at]
	of.Number = before.Number + 1
	switch {
	case o.busy[at]:
		err = errBusy
	case replaces && before.Compare(of) > 0:
		err = errLater
	default:
		o.busy[at] = true
	}
	o.mu.Unlock()
	if err != nil {
		return of, err
	}
	name := path.Join(at.folder(), coming)
	size, err := o.receive(name, from)
	of.Size, of.Time = size, time.Now().UTC()
	if err == nil {
		err = o.root.Rename(name, path.Join(at.folder(), of.FileName()))
	}
	if err != nil {
		_ = o.root.Remove(name) // or when the folder is opened again
	} else if replaces {
		_ = o.root.Remove(path.Join(at.folder(), before.FileName())) // the same
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.busy, at)
	if err != nil {
		o.bytes -= size
		return of, err
	}
	if replaces {
		o.bytes -= before.Size
	}
	o.there[at] = of
	return of, nil
}

// receive writes an archive to the disk. Its bytes are counted as they come.
func (o *Outputs) receive(name string, from io.Reader) (size int64, err error) {
	if err := o.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return 0, err
	}
	file, err := o.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(writer(func(p []byte) (int, error) {
		o.mu.Lock()
		full := o.bytes+int64(len(p)) > o.limit
		if !full {
			o.bytes += int64(len(p))
			size += int64(len(p))
		}
		o.mu.Unlock()
		if full {
			return 0, errFull
		}
		return file.Write(p)
	}), from)
	if err == nil {
		err = file.Sync()
	}
	return size, errors.Join(err, file.Close())
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// open gives the archive of a trial.
func (o *Outputs) open(at slot) (*os.File, collect.Output, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	of, ok := o.there[at]
	if !ok {
		return nil, of, fs.ErrNotExist
	}
	file, err := o.root.Open(path.Join(at.folder(), of.FileName()))
	return file, of, err
}

// patient is a body that may take long, as long as something comes.
type patient struct {
	io.Reader
	control *http.ResponseController
}

func (p patient) Read(b []byte) (int, error) {
	now := time.Now()
	err := errors.Join(p.control.SetReadDeadline(now.Add(stall)), p.control.SetWriteDeadline(now.Add(2*stall)))
	if err != nil {
		return 0, err
	}
	return p.Reader.Read(b)
}

// stall is how long nothing may come of an archive.
const stall = 30 * time.Second

// slotOf reads which archive a request is about.
func slotOf(r *http.Request) (slot, error) {
	trial, err := strconv.Atoi(r.PathValue("trial"))
	at := slot{trial, collect.Kind(r.PathValue("kind"))}
	if err != nil || collect.CheckOutput(collect.Output{Trial: trial, Kind: at.kind, Round: 1, Attempt: 1}) != nil {
		return at, fmt.Errorf("no trial has the archive %q of kind %q", r.PathValue("trial"), r.PathValue("kind"))
	}
	return at, nil
}

func (s *Server) putOutput(w http.ResponseWriter, r *http.Request) {
	at, err := slotOf(r)
	of := collect.Output{Trial: at.trial, Kind: at.kind}
	for name, to := range map[string]*int{"round": &of.Round, "attempt": &of.Attempt} {
		n, invalid := strconv.Atoi(r.URL.Query().Get(name))
		*to, err = n, errors.Join(err, invalid)
	}
	if err == nil {
		err = collect.CheckOutput(of)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	kept, err := s.outputs.keep(of, patient{r.Body, http.NewResponseController(w)})
	switch {
	case errors.Is(err, errFull):
		refuse(w, http.StatusInsufficientStorage, fmt.Errorf("the monitor keeps at most %d MiB of the files of a run",
			s.outputs.limit>>20))
	case errors.Is(err, errLater):
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, fmt.Errorf("keep the files of trial %d: %w", of.Trial, err))
	default:
		s.replyJSON(w, kept)
	}
}

func (s *Server) listOutputs(w http.ResponseWriter, _ *http.Request) {
	lie, err := s.folders.list()
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	s.replyJSON(w, append(s.outputs.List(), lie...))
}

func (s *Server) replyJSON(w http.ResponseWriter, what any) {
	body, err := json.Marshal(what)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, http.StatusOK, "application/json", body)
}

func (s *Server) getOutput(w http.ResponseWriter, r *http.Request) {
	at, err := slotOf(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if s.folders != "" && at.kind == collect.Latest {
		s.folders.send(w, r, at.trial)
		return
	}
	file, of, err := s.outputs.open(at)
	if errors.Is(err, fs.ErrNotExist) {
		refuse(w, http.StatusNotFound, fmt.Errorf("trial %d has left no %s", at.trial, at.kind))
		return
	}
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("ETag", strconv.Quote(of.FileName()))
	http.ServeContent(&unhurried{w, http.NewResponseController(w)}, r, "", of.Time, file)
}

// unhurried is an answer that may take long, as long as something of it is taken.
type unhurried struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (u *unhurried) Write(p []byte) (int, error) {
	if err := u.control.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return u.ResponseWriter.Write(p)
}
