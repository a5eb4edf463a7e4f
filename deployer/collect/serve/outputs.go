package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/collect"
)

// Archives keep what the trials of a run leave behind, as archives.
type Archives interface {
	// Check says why nothing can be kept.
	Check(ctx context.Context) error
	// List gives the archives that are there.
	List(ctx context.Context) ([]collect.Output, error)
	// Keep takes an archive in place of the one before, and returns when it is kept. [collect.ErrLater] and
	// [collect.ErrNoRoom] are for good; after any other error it may be sent again.
	Keep(ctx context.Context, of collect.Output, from io.Reader) (collect.Output, error)
	// Open gives an archive, to read. The error is [fs.ErrNotExist] if there is none.
	Open(ctx context.Context, at collect.Slot) (io.ReadCloser, collect.Output, error)
}

// Outputs are [Archives] in a folder: outputs/TRIAL/KIND/ROUND-ATTEMPT-NUMBER.tar.
type Outputs struct {
	root  *os.Root
	limit int64
	there collect.Outputs

	mu    sync.Mutex
	bytes int64 // of all archives, those on their way included
}

func folderOf(at collect.Slot) string { return path.Join(strconv.Itoa(at.Trial), string(at.Kind)) }

func fileOf(o collect.Output) string { return path.Join(folderOf(o.Slot()), o.FileName()) }

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
	o := &Outputs{root: root, limit: limit}
	var older []string
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		found, ok := parse(name)
		if !ok { // a process that was killed left it
			older = append(older, name)
			return nil
		}
		found.Size, found.Time = info.Size(), info.ModTime().UTC()
		o.bytes += found.Size
		if before := o.there.Add(found); before != nil {
			o.bytes -= before.Size
			older = append(older, fileOf(*before))
		}
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
func parse(name string) (o collect.Output, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return o, false
	}
	o, ok = collect.ParseFileName(parts[2])
	trial, err := strconv.Atoi(parts[0])
	o.Trial, o.Kind = trial, collect.Kind(parts[1])
	return o, ok && err == nil && collect.CheckOutput(o) == nil && fileOf(o) == name
}

// Close closes the folder.
func (o *Outputs) Close() error { return o.root.Close() }

// Check says that something can be kept.
func (o *Outputs) Check(context.Context) error { return nil }

// List gives the archives that are there.
func (o *Outputs) List(context.Context) ([]collect.Output, error) { return o.there.List(), nil }

// Keep takes an archive in place of the one before, once all of it is on the disk.
func (o *Outputs) Keep(_ context.Context, of collect.Output, from io.Reader) (collect.Output, error) {
	of, err := o.there.Begin(of)
	if err != nil {
		return of, err
	}
	defer o.there.End(of)
	name := path.Join(folderOf(of.Slot()), coming)
	size, err := o.receive(name, from)
	of.Size, of.Time = size, time.Now().UTC()
	if err == nil {
		err = o.root.Rename(name, fileOf(of))
	}
	if err != nil {
		_ = o.root.Remove(name) // or when the folder is opened again
		o.free(size)
		return of, err
	}
	if before := o.there.Add(of); before != nil {
		_ = o.root.Remove(fileOf(*before)) // the same
		o.free(before.Size)
	}
	return of, nil
}

func (o *Outputs) free(size int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= size
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
			return 0, fmt.Errorf("%w: the monitor keeps at most %d MiB of the files of a run", collect.ErrNoRoom,
				o.limit>>20)
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

// Open gives the archive of a trial, a file.
func (o *Outputs) Open(_ context.Context, at collect.Slot) (io.ReadCloser, collect.Output, error) {
	for {
		of, ok := o.there.Get(at)
		if !ok {
			return nil, of, fs.ErrNotExist
		}
		file, err := o.root.Open(fileOf(of))
		if now, _ := o.there.Get(at); errors.Is(err, fs.ErrNotExist) && now.Compare(of) > 0 {
			continue // another has taken its place
		}
		if err != nil {
			return nil, of, err
		}
		return file, of, nil
	}
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
func slotOf(r *http.Request) (collect.Slot, error) {
	trial, err := strconv.Atoi(r.PathValue("trial"))
	at := collect.Slot{Trial: trial, Kind: collect.Kind(r.PathValue("kind"))}
	if err != nil || collect.CheckOutput(collect.Output{Trial: trial, Kind: at.Kind, Round: 1, Attempt: 1}) != nil {
		return at, fmt.Errorf("no trial has the archive %q of kind %q", r.PathValue("trial"), r.PathValue("kind"))
	}
	return at, nil
}

func (s *Server) putOutput(w http.ResponseWriter, r *http.Request) {
	at, err := slotOf(r)
	of := collect.Output{Trial: at.Trial, Kind: at.Kind}
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
	kept, err := s.outputs.Keep(r.Context(), of, patient{r.Body, http.NewResponseController(w)})
	switch {
	case errors.Is(err, collect.ErrNoRoom):
		refuse(w, http.StatusInsufficientStorage, err)
	case errors.Is(err, collect.ErrLater):
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, fmt.Errorf("keep the files of trial %d: %w", of.Trial, err))
	default:
		s.replyJSON(w, kept)
	}
}

func (s *Server) checkOutputs(w http.ResponseWriter, r *http.Request) {
	switch err := s.outputs.Check(r.Context()); {
	case errors.Is(err, collect.ErrNoRoom):
		refuse(w, http.StatusInsufficientStorage, err)
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, err)
	default:
		reply(w, http.StatusOK, "text/plain", nil)
	}
}

func (s *Server) listOutputs(w http.ResponseWriter, r *http.Request) {
	sent, err := s.outputs.List(r.Context())
	lie, unread := s.folders.list()
	if err = errors.Join(err, unread); err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	s.replyJSON(w, append(sent, lie...))
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
	if s.folders != "" && at.Kind == collect.Latest {
		s.folders.send(w, r, at.Trial)
		return
	}
	archive, of, err := s.outputs.Open(r.Context(), at)
	if errors.Is(err, fs.ErrNotExist) {
		refuse(w, http.StatusNotFound, fmt.Errorf("trial %d has left no %s", at.Trial, at.Kind))
		return
	}
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	defer archive.Close()
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("ETag", strconv.Quote(of.FileName()))
	to := &unhurried{w, http.NewResponseController(w)}
	if file, seeks := archive.(io.ReadSeeker); seeks {
		http.ServeContent(to, r, "", of.Time, file)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(of.Size, 10))
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(to, archive); err != nil {
		panic(http.ErrAbortHandler) // so that who reads it knows that it is not whole
	}
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
