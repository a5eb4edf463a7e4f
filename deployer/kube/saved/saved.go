// Package saved is the record of a run as one small file, which is kept in the cluster: the pods of a run, and the
// machine that followed it, may be gone when somebody wants to know what became of it.
//
// Read [Pack] and [Unpack] first. The file is a tar archive, compressed by gzip, of the events of a run folder and the
// ends of what its attempts printed; where that is too much, it has less, and says so. It imports deployer/folder and
// deployer/run alone, and neither sends nor reads anything in a cluster.
package saved

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// MaxSize is how large a file may be, in bytes: a ConfigMap has at most 1 MiB, its names included (Kubernetes,
// "ConfigMaps").
const MaxSize = 1<<20 - 16<<10

// Head says what a file has.
type Head struct {
	V        int       `json:"v"`
	Run      string    `json:"run"`               // the identity of the run
	Time     time.Time `json:"time"`              // when it was written
	Reports  int       `json:"reports,omitempty"` // at most so many of an attempt, the last ones; 0: all of them
	Printed  int64     `json:"printed,omitempty"` // at most so many bytes of what an attempt printed, the last ones
	Attempts []Attempt `json:"attempts,omitempty"`
}

// Attempt is one whose pod is known.
type Attempt struct {
	Trial  int    `json:"trial"`
	Number int    `json:"number"`
	Pod    string `json:"pod"` // its UID
}

// version is that of the format.
const version = 1

// The names in an archive.
const (
	headName   = "record.json"
	eventsName = "events.jsonl"
)

// amount is how much of a run is kept.
type amount struct {
	reports int   // of an attempt; 0: all
	printed int64 // bytes of an attempt's log
}

// amounts are tried in their order.
var amounts = []amount{
	{0, 64 << 10}, {0, 16 << 10}, {0, 4 << 10}, {1000, 4 << 10}, {200, 2 << 10}, {50, 1 << 10}, {10, 512}, {1, 0},
}

// Packer packs a run again and again.
type Packer struct {
	Folder folder.Run
	Run    string                     // the identity of the run
	Pod    func(run.AttemptID) string // the UID of an attempt's pod; "": unknown

	from int // of amounts: what was too much once is not tried again
}

// errTooLarge is why less is tried.
var errTooLarge = errors.New("the record is larger than what a ConfigMap may have")

// Pack gives as much of the run's record as there is room for. The folder may grow meanwhile.
func (p *Packer) Pack() ([]byte, error) {
	for ; p.from < len(amounts); p.from++ {
		data, err := p.pack(amounts[p.from])
		if !errors.Is(err, errTooLarge) {
			return data, err
		}
	}
	p.from--
	return nil, errTooLarge
}

// bounded is a buffer that takes no more than [MaxSize].
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > MaxSize {
		return 0, errTooLarge
	}
	return b.Buffer.Write(p)
}

func (p *Packer) pack(a amount) ([]byte, error) {
	var to bounded
	zip := gzip.NewWriter(&to)
	archive := tar.NewWriter(zip)
	reports, attempts, err := p.count()
	if err != nil {
		return nil, err
	}
	head := Head{V: version, Run: p.Run, Time: time.Now().UTC(), Reports: a.reports, Printed: a.printed}
	for _, id := range attempts {
		if pod := p.Pod(id); pod != "" {
			head.Attempts = append(head.Attempts, Attempt{Trial: id.Trial, Number: id.Number, Pod: pod})
		}
	}
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	if err := add(archive, headName, text); err != nil {
		return nil, err
	}
	if err := p.events(archive, a.reports, reports); err != nil {
		return nil, err
	}
	for _, id := range attempts {
		for _, stream := range []string{folder.Stdout, folder.Stderr} {
			end, err := lastOf(p.Folder.Stream(id.Trial, id.Number, stream), a.printed)
			if err == nil && len(end) > 0 {
				err = add(archive, logName(id, stream), end)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return to.Bytes(), nil
}

func add(to *tar.Writer, name string, data []byte) error {
	if err := to.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := to.Write(data)
	return err
}

// count finds the attempts of which the events tell, and how many reports each has.
func (p *Packer) count() (reports map[run.AttemptID]int, attempts []run.AttemptID, err error) {
	reports = map[run.AttemptID]int{}
	err = p.Folder.EachEvent(func(e run.Event) error {
		id, ok := of(e)
		if ok && e.Type == run.EventTrialReport {
			reports[id]++
		}
		if ok && e.Type == run.EventTrialStarted {
			attempts = append(attempts, id)
		}
		return nil
	})
	slices.SortFunc(attempts, func(a, b run.AttemptID) int {
		return cmp.Or(cmp.Compare(a.Trial, b.Trial), cmp.Compare(a.Number, b.Number))
	})
	return reports, slices.Compact(attempts), err
}

// part is how many bytes of events are one entry of an archive: the events are not held as a whole.
const part = 128 << 10

// events adds the events. Of the reports of an attempt, of which there are so many, the last are kept; 0 keeps all.
func (p *Packer) events(to *tar.Writer, most int, reports map[run.AttemptID]int) error {
	var lines bytes.Buffer
	flush := func() error {
		defer lines.Reset()
		return add(to, eventsName, lines.Bytes())
	}
	err := p.Folder.EachEvent(func(e run.Event) error {
		if e.Type == run.EventNote && e.Code == run.NoteTensorBoard {
			return nil // its address is one of this machine
		}
		e.Output = ""
		if id, ok := of(e); ok && e.Type == run.EventTrialReport && most > 0 {
			reports[id]--
			if reports[id] >= most {
				return nil
			}
			e.Last = true // what was before it is not there
		}
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("keep event %s: %w", e.Type, err)
		}
		lines.Write(line)
		lines.WriteByte('\n')
		if lines.Len() < part {
			return nil
		}
		return flush()
	})
	if err != nil || lines.Len() == 0 {
		return err
	}
	return flush()
}

// of is the attempt of which an event tells.
func of(e run.Event) (id run.AttemptID, ok bool) {
	if e.Trial == nil || e.Attempt < 1 {
		return id, false
	}
	return run.AttemptID{Trial: *e.Trial, Number: e.Attempt}, true
}

func logName(id run.AttemptID, stream string) string {
	return fmt.Sprintf("%d/%d/%s", id.Trial, id.Number, stream)
}

// lastOf reads the last bytes of a file, from the beginning of a line where there is one. It says how much was left
// out.
func lastOf(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) || most == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keep the end of a log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("keep the end of a log: %w", err)
	}
	from := max(info.Size()-most, 0)
	end, err := io.ReadAll(io.NewSectionReader(file, from, most))
	if err != nil {
		return nil, fmt.Errorf("keep the end of a log: %w", err)
	}
	if from == 0 {
		return end, nil
	}
	if at := bytes.IndexByte(end, '\n'); at >= 0 && at+1 < len(end) {
		end, from = end[at+1:], from+int64(at)+1
	}
	return append(fmt.Appendf(nil, leftOut+"%s left out …]\n", prose.Bytes(from)), end...), nil
}

// leftOut is how a log begins whose beginning is not kept.
const leftOut = "[… "

// Shortened reports whether a log that was unpacked is only the end of what was printed.
func Shortened(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	begin := make([]byte, len(leftOut))
	_, err = io.ReadFull(file, begin)
	return err == nil && string(begin) == leftOut
}
