package saved

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// The limits of what is unpacked. Whoever may write into the namespace may have written the file.
const (
	maxEntry    = 1 << 20   // bytes
	maxUnpacked = 256 << 20 // bytes
	maxAttempt  = 100_000   // the number of an attempt
)

// Unpack puts a file's events and logs into the folder of a run, which has none yet. trials is how many the run has. A
// file of another run, or another version, is an error; in that case, and where the file is damaged, what was written
// is to be removed.
func Unpack(data []byte, of run.Spec, into folder.Run) (Head, error) {
	u := unpacking{spec: of, into: into}
	defer func() {
		if u.events != nil {
			_ = u.events.Close() // it was synchronised, or is removed
		}
	}()
	if err := u.all(data); err != nil {
		return u.head, fmt.Errorf("read the record that is kept in the cluster: %w", err)
	}
	return u.head, nil
}

type unpacking struct {
	spec   run.Spec
	into   folder.Run
	head   Head
	events *os.File
	n      int64 // events so far
}

func (u *unpacking) all(data []byte) error {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	limited := &io.LimitedReader{R: zip, N: maxUnpacked}
	archive := tar.NewReader(limited)
	for first := true; ; first = false {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) && limited.N > 0 {
			break
		}
		if err == nil && (entry.Typeflag != tar.TypeReg || entry.Size > maxEntry) {
			err = fmt.Errorf("%q has no place in it", entry.Name)
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		if err := u.entry(entry.Name, content, first); err != nil {
			return err
		}
	}
	if u.events == nil {
		return errors.New("it has no events")
	}
	return u.events.Sync()
}

func (u *unpacking) entry(name string, content []byte, first bool) error {
	switch {
	case (name == headName) != first:
		return fmt.Errorf("%q is not at its place", name)
	case name == headName:
		return u.begin(content)
	case name == eventsName:
		return u.lines(content)
	}
	id, stream, err := u.parse(name)
	if err != nil {
		return err
	}
	path := u.into.Stream(id.Trial, id.Number, stream)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func (u *unpacking) begin(content []byte) error {
	if err := json.Unmarshal(content, &u.head); err != nil {
		return err
	}
	if u.head.V != version {
		return fmt.Errorf("it is of version %d, and this MetaML reads version %d", u.head.V, version)
	}
	if u.head.Run != u.spec.ID {
		return errors.New("it is another run's")
	}
	for _, a := range u.head.Attempts {
		if !u.fits(a.Trial, a.Number) {
			return fmt.Errorf("the run has no attempt %d of trial %d", a.Number, a.Trial)
		}
	}
	var err error
	u.events, err = os.OpenFile(u.into.Events(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return err
}

func (u *unpacking) fits(trial, attempt int) bool {
	return trial >= 0 && trial < u.spec.Completions && attempt >= 1 && attempt <= maxAttempt
}

// lines writes events: numbered anew, and without what is about the machine that wrote them.
func (u *unpacking) lines(content []byte) error {
	var to bytes.Buffer
	for line := range bytes.Lines(content) {
		var e run.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Trial != nil && !u.fits(*e.Trial, max(e.Attempt, 1)) {
			return fmt.Errorf("the run has no trial %d", *e.Trial)
		}
		u.n++
		e.N, e.Seq, e.Run, e.Output = u.n, u.n, u.spec.Name, ""
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		to.Write(text)
		to.WriteByte('\n')
	}
	_, err := u.events.Write(to.Bytes())
	return err
}

func (u *unpacking) parse(name string) (id run.AttemptID, stream string, err error) {
	parts := strings.Split(name, "/")
	if len(parts) == 3 {
		id.Trial, err = strconv.Atoi(parts[0])
		if err == nil {
			id.Number, err = strconv.Atoi(parts[1])
		}
		stream = parts[2]
	}
	if err != nil || name != logName(id, stream) || !u.fits(id.Trial, id.Number) ||
		stream != folder.Stdout && stream != folder.Stderr {
		return id, stream, fmt.Errorf("%q has no place in it", name)
	}
	return id, stream, nil
}
