package mirror

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// maxStreams bounds the logs that are followed at the same time, and those of attempts that have ended and are read. Of
// the attempts that are not followed what they printed is read when they have ended.
const maxStreams = 64

// logKeeper copies what pods print into the record. A pod's log has both streams of its process in one; so has the
// record, as standard output.
type logKeeper struct {
	cluster *cluster.Cluster
	folder  folder.Run
	kind    run.Kind      // of what prints: a trial, or a worker of a server
	wake    func()        // something is new
	follow  chan struct{} // has one for each log that is followed
	rest    chan struct{} // has one for each that is read to its end
	grace   time.Duration // how long a log may be followed after its pod has ended

	mu      sync.Mutex
	copying map[run.AttemptID]*copied
	said    []run.Event // by pods, in lines of their own
	done    []*copied   // read to their ends, since said was taken last
	held    bool        // the cluster does not answer: no log is given up
	all     sync.WaitGroup
}

// copied is the log of one attempt.
type copied struct {
	over  chan struct{} // is closed when its pod has ended: what is there is all
	whole bool          // it was read as a whole, and what its pod said in it was taken
}

func (c *copied) ended() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// newLogKeeper gives a keeper of the logs of a run of a kind, in a folder: of a server that of a revision.
func newLogKeeper(c *cluster.Cluster, f folder.Run, kind run.Kind, wake func()) *logKeeper {
	return &logKeeper{
		cluster: c, folder: f, kind: kind, wake: wake, follow: make(chan struct{}, maxStreams),
		rest: make(chan struct{}, maxStreams), grace: logGrace, copying: map[run.AttemptID]*copied{},
	}
}

// who names what prints.
func (k *logKeeper) who(id run.AttemptID) string {
	if k.kind == run.Serve {
		return fmt.Sprintf("replica %d", id.Trial)
	}
	return fmt.Sprintf("trial %d", id.Trial)
}

func (k *logKeeper) container() string {
	if k.kind == run.Serve {
		return manifest.ServerContainer
	}
	return manifest.TrialContainer
}

// again is a keeper that goes on with the same logs, after this one has ended.
func (k *logKeeper) again(c *cluster.Cluster) *logKeeper {
	next := newLogKeeper(c, k.folder, k.kind, k.wake)
	next.said = k.take()
	return next
}

// hold says whether the cluster cannot be asked at the moment: what cannot be read then is read later.
func (k *logKeeper) hold(held bool) {
	k.mu.Lock()
	k.held = held
	k.mu.Unlock()
}

// keep sees to it that the log of an attempt is copied, until ctx ends. ended says that its pod has.
func (k *logKeeper) keep(ctx context.Context, id run.AttemptID, p *corev1.Pod, ended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.copying[id]
	begun := c != nil
	if !begun {
		c = &copied{over: make(chan struct{})}
		k.copying[id] = c
	}
	if ended && !c.ended() {
		close(c.over)
	}
	if !begun {
		k.all.Go(func() { k.copy(ctx, id, p, c) })
	}
}

// copies reports whether the log of an attempt is being copied, or was.
func (k *logKeeper) copies(id run.AttemptID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.copying[id] != nil
}

// whole reports whether everything that an attempt printed is in the record.
func (k *logKeeper) whole(id run.AttemptID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.copying[id]
	return c != nil && c.whole
}

// reading reports whether the log of an attempt that has ended is still being read.
func (k *logKeeper) reading() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.copying {
		if c.ended() && !c.whole {
			return true
		}
	}
	return false
}

// take gives what pods have said since the last time. A log counts as whole from then on, and not before: else a trial
// could end in the record, and the run with it, before what it reported.
func (k *logKeeper) take() []run.Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.done {
		c.whole = true
	}
	said := k.said
	k.said, k.done = nil, nil
	return said
}

// wait waits for the end of all copying, after ctx has ended.
func (k *logKeeper) wait() { k.all.Wait() }

func (k *logKeeper) isHeld() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held
}

const (
	logAgain   = time.Second      // after what time a log that broke off is read on
	logGivenUp = 30 * time.Second // how long the log of a pod that has ended may be impossible to read
	logGrace   = 5 * time.Second  // how long a node may go on with the log of a pod that has ended
)

// copy copies the log of an attempt to its end.
func (k *logKeeper) copy(ctx context.Context, id run.AttemptID, p *corev1.Pod, c *copied) {
	defer func() {
		k.mu.Lock()
		k.done = append(k.done, c)
		k.mu.Unlock()
		k.wake()
	}()
	file, err := openCopy(k.folder, id, p.UID)
	if err != nil {
		k.note(id, fmt.Sprintf("what %s prints cannot be kept here: %v", k.who(id), err))
		return
	}
	defer func() { _ = file.Close() }()
	file.kind = k.kind
	file.full = func() {
		k.say(id, run.Event{
			Type: run.EventNote, Time: time.Now(), Code: run.NoteLogCapped,
			Text: folder.Capped("the log of " + k.who(id)),
			Hint: "Print less, or write to a volume: --mount pvc:NAME:PATH.",
		})
	}
	var failing time.Time
	for {
		ended := c.ended()
		err := k.read(ctx, id, p, file, c)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && ended:
			return
		case apierrors.IsNotFound(err) && k.gone(ctx, p):
			if err := k.fromMonitor(p, file); err != nil {
				k.note(id, fmt.Sprintf("what %s printed cannot be kept here: %v", k.who(id), err))
			}
			return
		case err == nil, k.isHeld():
			failing = time.Time{}
		case ended && failing.IsZero():
			failing = time.Now()
		case ended && time.Since(failing) > logGivenUp:
			k.note(id, fmt.Sprintf("the end of what %s printed is missing: %v", k.who(id), err))
			return
		}
		over := c.over
		if ended {
			over = nil // it is tried again, and not at once
		}
		select {
		case <-ctx.Done():
			return
		case <-over:
		case <-time.After(logAgain):
		}
	}
}

// gone reports whether a pod is no longer there. A kubelet that was just started does not know its pods yet, and
// answers as if they were gone.
func (k *logKeeper) gone(ctx context.Context, p *corev1.Pod) bool {
	now, err := k.cluster.Core.Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && now.UID != p.UID
}

// fromMonitor takes what a pod printed that is gone, of which nothing was copied, from what came from the monitor: the
// beginning of each stream. What another machine kept of it has more.
func (k *logKeeper) fromMonitor(p *corev1.Pod, to *logCopy) error {
	if info, err := to.file.Stat(); err != nil || info.Size() > 0 {
		return err
	}
	for _, name := range []string{folder.Stdout, folder.Stderr} {
		data, err := os.ReadFile(filepath.Join(collectedDir(k.folder, string(p.UID)), name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := to.write(bytes.NewBuffer(data)); err != nil {
			return err
		}
	}
	return nil
}

// disorder bounds by how much a line of a log may be earlier than one before it. Microseconds are usual.
const disorder = 2 * time.Second

// errFollowed is why a log is not followed any longer.
var errFollowed = errors.New("its pod has ended")

// read reads the log on from where the copy ends: to its end if the pod has ended, else for as long as the pod goes on,
// once another log leaves room for that.
func (k *logKeeper) read(ctx context.Context, id run.AttemptID, p *corev1.Pod, to *logCopy, c *copied) error {
	turns, over, follow := k.follow, c.over, !c.ended()
	if !follow {
		turns, over = k.rest, nil
	}
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
	case <-over:
		return nil // now it is read to its end
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if follow {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		k.all.Go(func() { // a node that does not end the log with its pod holds nobody up
			select {
			case <-c.over:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(k.grace):
				cancel(errFollowed)
			case <-ctx.Done():
			}
		})
	}
	options := &corev1.PodLogOptions{Container: k.container(), Follow: follow, Timestamps: true}
	if !to.at.Time.IsZero() {
		// The line of that time, and later ones in the log that are a little earlier.
		since := metav1.NewTime(to.at.Time.Add(-disorder))
		options.SinceTime = &since
	}
	stream, err := k.cluster.Core.Log(p.Namespace, p.Name, options).Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	return to.copyFrom(stream, !follow, func(e run.Event) { k.say(id, e) })
}

// say takes in what a pod said of its trial.
func (k *logKeeper) say(id run.AttemptID, e run.Event) {
	if k.kind == run.Train {
		e.Trial, e.Attempt, e.Last = &id.Trial, id.Number, e.Type == run.EventTrialReport
	}
	k.mu.Lock()
	k.said = append(k.said, e)
	k.mu.Unlock()
	k.wake()
}

func (k *logKeeper) note(id run.AttemptID, text string) {
	k.say(id, run.Event{Type: run.EventNote, Time: time.Now(), Code: run.NoteLog, Text: text})
}

// logCopy is a file with the log of a pod, and the place in the pod's log up to which it goes.
type logCopy struct {
	file  *os.File
	kind  run.Kind // of what prints
	at    place
	path  string // of the file with the place
	saved time.Time
	limit *folder.LogCap
	full  func() // it became too long, for the first time

	// While a log is read again.
	seeking bool // nothing of the time at.Time was seen yet
	skip    int  // lines from there on that were copied before
	inLine  bool // the last part that was read is not the end of its line
	skipped bool // it was copied before
}

// place is where in a pod's log a copy ends. A log has no offsets, and its lines have times, which several may share.
// The container runtime gives each stream's lines the time at which it reads them, and writes both into one log, in
// which a line may so be a little earlier than the one before.
type place struct {
	Time  time.Time `json:"time"`  // the latest of a line that was copied
	Lines int       `json:"lines"` // copied from the first line of that time on
	Size  int64     `json:"size"`  // of the copy
	Pod   types.UID `json:"pod"`
}

// placeFile is where the place is noted.
func placeFile(f folder.Run, id run.AttemptID) string {
	return filepath.Join(f.Attempt(id.Trial, id.Number), "log.json")
}

// readPlace gives the place that was noted; without one the log is copied again.
func readPlace(f folder.Run, id run.AttemptID) (at place) {
	if data, err := os.ReadFile(placeFile(f, id)); err == nil {
		_ = json.Unmarshal(data, &at)
	}
	return at
}

// openCopy opens the copy of an attempt's log, without what a crash left behind its last place. The attempt is noted as
// the pod's.
func openCopy(f folder.Run, id run.AttemptID, pod types.UID) (*logCopy, error) {
	dir := f.Attempt(id.Trial, id.Number)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := folder.OpenOwn(f.Stream(id.Trial, id.Number, folder.Stdout), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	c := &logCopy{
		file: file, path: placeFile(f, id), at: readPlace(f, id),
		limit: f.CapLogOn(id.Trial, id.Number, folder.Stdout), full: func() {},
	}
	if c.at.Pod != pod {
		c.at.Pod = pod
		if err := folder.ReplaceJSON(c.path, c.at); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	if c.at.Size > 0 { // else what another machine kept of it stays until something is copied
		if err := file.Truncate(c.at.Size); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	if _, err := file.Seek(c.at.Size, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return c, nil
}

// Close notes how far the copy goes.
func (c *logCopy) Close() error {
	return errors.Join(folder.ReplaceJSON(c.path, c.at), c.file.Close())
}

// longestLine bounds a line of a log, in bytes; a longer one becomes several.
const longestLine = 256 << 10

// copyFrom copies the lines of a log that are new: each has its time in front. What the pod itself says goes to say.
// over says that nothing more will be in the log: else a line without an end was cut by the connection's end, which an
// API server does not tell from the log's. A line without a time is no line of the log: a kubelet that cannot go on
// writes why.
func (c *logCopy) copyFrom(log io.Reader, over bool, say func(run.Event)) error {
	c.seeking = c.at.Lines > 0 || c.at.Size > 0
	c.skip, c.inLine, c.skipped = 0, false, c.seeking
	lines := bufio.NewReaderSize(log, 16<<10) // of up to maxStreams logs
	var batch bytes.Buffer
	for {
		line, err := readLine(lines)
		if len(line) > 0 && (err == nil || over && errors.Is(err, io.EOF)) && !c.line(line, &batch, say) {
			err = fmt.Errorf("its node says: %s", bytes.TrimSpace(line))
		}
		if batch.Len() > 0 && (err != nil || lines.Buffered() == 0 || batch.Len() >= longestLine) {
			if err := c.write(&batch); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) >= longestLine {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = nil
			}
			return line, err
		}
	}
}

// line takes one line of the log, or a part of a long one, into the batch, unless it was copied before. ok says that
// it is one.
func (c *logCopy) line(line []byte, batch *bytes.Buffer, say func(run.Event)) (ok bool) {
	rest := c.inLine
	c.inLine = !bytes.HasSuffix(line, []byte("\n"))
	if rest { // it has no time of its own
		if !c.skipped {
			batch.Write(line)
		}
		return true
	}
	stamp, text, found := bytes.Cut(line, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if !found || err != nil {
		return false
	}
	c.skipped = c.before(at)
	if c.skipped {
		return true
	}
	if at.After(c.at.Time) {
		c.at.Time, c.at.Lines = at, 1
	} else {
		c.at.Lines++
	}
	if e, ok := pod.ParseLine(bytes.TrimRight(text, "\n")); ok && says(c.kind, e.Type) {
		if e.Time.IsZero() {
			e.Time = at
		}
		say(e)
		return true
	}
	batch.Write(text)
	return true
}

// says reports whether the pods of runs of a kind say such events: a program may print what looks like another.
func says(kind run.Kind, event string) bool {
	if kind == run.Serve {
		return event != run.EventTrialReport
	}
	return event == run.EventTrialReport || event == run.EventNote
}

// before reports whether the next line of the log, which has this time, was copied before. All lines ahead of the first
// with the place's time are earlier; where the log no longer has that one, what is later is new.
func (c *logCopy) before(at time.Time) bool {
	if c.seeking {
		if at.Before(c.at.Time) {
			return true
		}
		c.seeking = false
		if at.Equal(c.at.Time) {
			c.skip = c.at.Lines
		}
	}
	if c.skip > 0 {
		c.skip--
		return true
	}
	return false
}

// saveEvery is how often it is noted up to where a copy goes. What lies beyond that is copied again after a crash.
const saveEvery = time.Second

// write appends what was copied.
func (c *logCopy) write(batch *bytes.Buffer) error {
	if c.at.Size == 0 && batch.Len() > 0 {
		if err := c.file.Truncate(0); err != nil {
			return err
		}
	}
	n, err := c.file.Write(batch.Bytes())
	c.at.Size += int64(n)
	batch.Reset()
	full := c.limit.Full(c.at.Size)
	if err != nil || time.Since(c.saved) < saveEvery && !full {
		return err
	}
	c.saved = time.Now()
	if err := folder.ReplaceJSON(c.path, c.at); err != nil || !full {
		return err
	}
	if c.limit.Cut() { // what is left out is never copied again: its place was saved
		c.full()
	}
	return nil
}
