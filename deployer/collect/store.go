package collect

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Disk is where a [Store] keeps its files. Names have slashes and were checked. A Store calls Write and Replace one at
// a time, and Read at any time.
type Disk interface {
	// Write puts data into a file at offset, and makes the file and its folders where they are missing. Of data the
	// first n bytes are in the file, also when err is not nil.
	Write(name string, data []byte, offset int64) (n int, err error)
	// Read fills p from a file at offset.
	Read(name string, p []byte, offset int64) error
	// Replace puts data in place of a file. After an error or a crash the file may have a part of it.
	Replace(name string, data []byte) error
	// Load gives the content of a file that Replace made, at most limit bytes.
	Load(name string, limit int64) ([]byte, error)
	// Remove removes a file.
	Remove(name string) error
	// Walk calls visit for each file.
	Walk(visit func(name string, size int64)) error
}

// ErrNotThatSource says that a source was another trial before.
var ErrNotThatSource = errors.New("the source is another trial or attempt in what came before")

// Limits are the limits of a store.
type Limits struct {
	File     int64 // bytes of a file
	Run      int64 // bytes of all files
	Files    int   // files of a source
	RunFiles int   // files of all sources
	Sources  int
}

// DefaultLimits are those of the protocol.
var DefaultLimits = Limits{File: MaxFile, Run: MaxRun, Files: MaxFiles, RunFiles: MaxRunFiles, Sources: MaxSources}

// Store is what a monitor has of the files of all sources: on its disk the bytes, as sources/ID/FILE beside
// sources/ID/source.json, and in memory their names and lengths. It is safe for concurrent use.
type Store struct {
	disk   Disk
	id     string
	limits Limits

	mu      sync.Mutex // guards what follows, and the feeds
	sources map[string]*source
	files   int
	bytes   int64
	feeds   map[*Feed]struct{}
	active  activity
}

// source is one source in a store.
type source struct {
	Source
	files   map[string]*file
	folders map[string]bool // those that the names of its files lie in
}

// file is one file in a store.
type file struct {
	source *source
	name   string
	path   string // on the disk
	size   int64
}

const sourcesFolder = "sources/"

func pathOf(id, name string) string { return sourcesFolder + id + "/" + name }

// OpenStore reads what is on a disk. The id is one that no store had before, for [Answer.Store]. A file's length is
// what the disk has: an end that was torn comes again, like everything else that is missing.
func OpenStore(disk Disk, id string, limits Limits) (*Store, error) {
	s := &Store{
		disk: disk, id: id, limits: limits,
		sources: map[string]*source{}, feeds: map[*Feed]struct{}{},
	}
	sizes := map[string]int64{}
	err := disk.Walk(func(name string, size int64) { sizes[name] = size })
	if err != nil {
		return nil, fmt.Errorf("read the folder of the monitor: %w", err)
	}
	for name := range sizes {
		id, found := strings.CutSuffix(strings.TrimPrefix(name, sourcesFolder), "/"+sourceFile)
		if !found || checkID(id) != nil || name != pathOf(id, sourceFile) {
			continue
		}
		data, err := disk.Load(name, maxHead)
		if err != nil {
			return nil, fmt.Errorf("read which trial a source is: %w", err)
		}
		var of Source
		if json.Unmarshal(data, &of) == nil && of.ID == id && CheckSource(of) == nil {
			s.sources[id] = newSource(of)
		}
	}
	for name, size := range sizes {
		id, file, _ := strings.Cut(strings.TrimPrefix(name, sourcesFolder), "/")
		if pathOf(id, file) != name {
			continue // it is not ours
		}
		from := s.sources[id]
		if from == nil { // its source.json is missing or torn; what is left would be counted once it is there again
			if err := disk.Remove(name); err != nil {
				return nil, fmt.Errorf("remove what is left of a source: %w", err)
			}
		} else if CheckName(file) == nil && size > 0 {
			s.add(from, file).size = size
			s.bytes += size
		}
	}
	return s, nil
}

func newSource(of Source) *source {
	return &source{Source: of, files: map[string]*file{}, folders: map[string]bool{}}
}

// Size is how much has come, in bytes.
func (s *Store) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// add makes a file known.
func (s *Store) add(to *source, name string) *file {
	f := &file{source: to, name: name, path: pathOf(to.ID, name)}
	to.files[name] = f
	for i := range len(name) {
		if name[i] == '/' {
			to.folders[name[:i]] = true
		}
	}
	s.files++
	return f
}

// Take appends what is new in a batch. The answer holds also when there is an error, for what was taken before it; the
// error is [ErrNotThatSource], or the disk's, after which the batch may be sent again.
func (s *Store) Take(now time.Time, b Batch) (Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := Answer{Store: s.id, Sizes: make(map[string]int64, len(b.Pieces))}
	answer.Wait = s.active.wait(now, b.Source.ID).Milliseconds()
	from, err := s.source(b)
	if err != nil {
		return answer, err
	}
	for _, p := range b.Pieces {
		var size int64
		reason := ""
		if from == nil { // there is none, since it has sent nothing, or no more may come
			reason = s.refuseSource(p)
		} else {
			size, reason, err = s.take(from, p)
		}
		answer.Sizes[p.File] = size
		if err != nil {
			return answer, err
		}
		if reason != "" {
			if answer.Refused == nil {
				answer.Refused = map[string]string{}
			}
			answer.Refused[p.File] = reason
		}
	}
	return answer, nil
}

// source gives the source of a batch, which is made with the first byte that comes from it.
func (s *Store) source(b Batch) (*source, error) {
	if known := s.sources[b.Source.ID]; known != nil {
		if known.Source != b.Source {
			return nil, fmt.Errorf("%w: %q was trial %d, attempt %d", ErrNotThatSource, known.ID, known.Trial,
				known.Attempt)
		}
		return known, nil
	}
	length := 0
	for _, p := range b.Pieces {
		length += len(p.Data)
	}
	if length == 0 || len(s.sources) >= s.limits.Sources {
		return nil, nil
	}
	if err := s.disk.Replace(pathOf(b.Source.ID, sourceFile), appendLine(nil, b.Source)); err != nil {
		return nil, fmt.Errorf("keep which trial a source is: %w", err)
	}
	made := newSource(b.Source)
	s.sources[b.Source.ID] = made
	return made, nil
}

func (s *Store) refuseSource(p Piece) string {
	if len(p.Data) == 0 {
		return ""
	}
	return fmt.Sprintf("the monitor has files of %d pods, and takes no more", s.limits.Sources)
}

// take appends what is new in a piece. It gives the length of the file afterwards, and why it must not grow.
func (s *Store) take(from *source, p Piece) (size int64, refused string, err error) {
	f := from.files[p.File]
	if f != nil {
		size = f.size
	}
	if p.Offset > size || p.Offset+int64(len(p.Data)) <= size {
		return size, "", nil
	}
	data := p.Data[size-p.Offset:]
	if refused = s.refuse(from, f, p.File, size+int64(len(data)), int64(len(data))); refused != "" {
		return size, refused, nil
	}
	n, err := s.disk.Write(pathOf(from.ID, p.File), data, size)
	if n > 0 {
		if f == nil {
			f = s.add(from, p.File)
		}
		f.size += int64(n)
		s.bytes += int64(n)
		for feed := range s.feeds {
			feed.grown(f)
		}
		size = f.size
	}
	if err != nil {
		return size, "", fmt.Errorf("keep %q: %w", p.File, err)
	}
	return size, "", nil
}

// refuse says why a file must not become so long.
func (s *Store) refuse(from *source, f *file, name string, size, more int64) string {
	switch {
	case size > s.limits.File:
		return fmt.Sprintf("the monitor keeps at most %s of a file", bytesText(s.limits.File))
	case s.bytes+more > s.limits.Run:
		return fmt.Sprintf("the monitor keeps at most %s of a run", bytesText(s.limits.Run))
	case f != nil:
		return ""
	case len(from.files) >= s.limits.Files:
		return fmt.Sprintf("the monitor keeps at most %d files of a pod", s.limits.Files)
	case s.files >= s.limits.RunFiles:
		return fmt.Sprintf("the monitor keeps at most %d files of a run", s.limits.RunFiles)
	case from.folders[name]:
		return "the name is a folder with other files of the pod"
	}
	for i := range len(name) {
		if name[i] == '/' && from.files[name[:i]] != nil {
			return fmt.Sprintf("%q, where it would lie, is a file of the pod", name[:i])
		}
	}
	return ""
}

func bytesText(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// activity counts the sources that were heard lately, in two spans of time, without a clock for each.
type activity struct {
	start         time.Time // of the span
	these, before map[string]struct{}
}

// span is longer than [AskEvery], so that a pod is counted while it lives.
const span = 15 * time.Second

// wait notes that a source was heard, and says how long it is to wait.
func (a *activity) wait(now time.Time, id string) time.Duration {
	if now.Sub(a.start) >= span || a.these == nil {
		a.before, a.these, a.start = a.these, map[string]struct{}{}, now
	}
	if len(a.these) < MaxSources {
		a.these[id] = struct{}{}
	}
	const each = time.Second / BatchesPerSecond
	pods := max(len(a.these), len(a.before))
	return min(max(each*time.Duration(pods), BatchEvery), MaxPause)
}
