package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/archive"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// outputs fetches from the monitor of a run what its trials left behind, to where the record has it.
type outputs struct {
	live   *live
	folder folder.Run
	asked  chan asked // has a value when something may be new
	all    sync.WaitGroup

	state fetched // of the goroutine that fetches

	mu      sync.Mutex
	behind  bool      // something was asked for that is not being fetched
	busy    bool      // something is being fetched
	failing time.Time // since when every try has failed
}

// asked is a request to fetch what is new.
type asked struct {
	pod string // the monitor's
	n   int64  // the last event of the record by then
}

// fetched is what was fetched, a file of the record.
type fetched struct {
	N      int64                  `json:"n"` // the event of the record since which the monitor was asked
	Trials map[int]collect.Output `json:"trials"`
}

func fetchedFile(f folder.Run) string { return filepath.Join(string(f), "outputs.json") }

// HasMonitor reports whether a run has a monitor, as far as its record knows.
func HasMonitor(f folder.Run) bool {
	for _, file := range []string{tokenFile(f), fetchedFile(f)} {
		if _, err := os.Lstat(file); err == nil {
			return true
		}
	}
	return false
}

// noteMonitor has the record know that the run has a monitor.
func noteMonitor(f folder.Run, s *seen) error {
	if s.monitor.job == nil || HasMonitor(f) {
		return nil
	}
	return folder.ReplaceJSON(fetchedFile(f), fetched{})
}

func readFetched(f folder.Run) (is fetched) {
	if data, err := os.ReadFile(fetchedFile(f)); err == nil {
		_ = json.Unmarshal(data, &is) // else all of it is fetched again
	}
	if is.Trials == nil {
		is.Trials = map[int]collect.Output{}
	}
	return is
}

// startOutputs begins to fetch what is asked for, until ctx ends. Whoever calls it calls wait then.
func startOutputs(ctx context.Context, l *live) *outputs {
	o := &outputs{live: l, folder: l.folder, asked: make(chan asked, 1), state: readFetched(l.folder)}
	o.all.Go(func() { o.run(ctx) })
	return o
}

func (o *outputs) wait() { o.all.Wait() }

// ask has what is new at the monitor fetched. It is called by one goroutine.
func (o *outputs) ask(what asked) {
	o.mu.Lock()
	o.behind = true
	o.mu.Unlock()
	select {
	case <-o.asked:
	default:
	}
	o.asked <- what
}

// here reports whether everything that was asked for is here, and else since when that fails.
func (o *outputs) here() (all bool, failing time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.behind && !o.busy, o.failing
}

// fetchAgain is after what time it is tried again to fetch something.
const fetchAgain = 2 * time.Second

func (o *outputs) run(ctx context.Context) {
	var (
		what  asked
		again <-chan time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return
		case what = <-o.asked:
		case <-again:
		}
		again = nil
		o.mu.Lock()
		o.behind, o.busy = false, true
		o.mu.Unlock()
		err := o.fetchAll(ctx, what)
		o.mu.Lock()
		o.busy = false
		switch {
		case err == nil:
			o.failing = time.Time{}
		case o.failing.IsZero():
			o.failing = time.Now()
		}
		if err != nil {
			o.behind, again = true, time.After(fetchAgain)
		}
		o.mu.Unlock()
		o.live.wake()
	}
}

// fetchAll fetches what the monitor has and the record has not.
func (o *outputs) fetchAll(ctx context.Context, what asked) error {
	token, err := o.live.readToken(ctx)
	if err != nil {
		return err
	}
	client := newMonitorClient(token, func() (net.Conn, error) {
		return o.live.cluster.Forward(ctx, what.pod, manifest.MonitorPort) // it lasts as long as it is used
	})
	defer client.http.CloseIdleConnections()
	all, err := client.list(ctx)
	if err != nil {
		return err
	}
	for _, of := range all {
		before, known := o.state.Trials[of.Trial]
		if of.Kind != collect.Latest || of.Elsewhere || known && before.Compare(of) >= 0 {
			continue
		}
		if err := fetchFiles(ctx, o.folder, client, of); err != nil {
			return fmt.Errorf("fetch the files of trial %d: %w", of.Trial, err)
		}
		o.state.Trials[of.Trial] = of
		if err := folder.ReplaceJSON(fetchedFile(o.folder), o.state); err != nil {
			return err
		}
	}
	o.state.N = what.n
	return folder.ReplaceJSON(fetchedFile(o.folder), o.state)
}

// fetchFiles puts the files of a trial in place of those that are there.
func fetchFiles(ctx context.Context, f folder.Run, from monitorClient, of collect.Output) error {
	to := f.Output(of.Trial)
	fresh, before := f.ComingOutput(of.Trial), to+".before"
	if err := errors.Join(os.RemoveAll(fresh), os.RemoveAll(before), os.MkdirAll(fresh, 0o700)); err != nil {
		return err
	}
	ctx, moved, done := whileMoving(ctx, fetchStall)
	defer done()
	body, size, err := from.open(ctx, fmt.Sprintf("/v1/outputs/%d/%s", of.Trial, of.Kind))
	if err != nil {
		return err
	}
	defer body.Close()
	if err := f.NoteComing(of.Trial, size); err != nil {
		return err
	}
	defer func() { _ = f.Came(of.Trial) }()
	files := moved(body)
	if !of.Elsewhere {
		files = io.LimitReader(files, collect.MaxOutputs)
	}
	if err := archive.Read(ctx, files, fresh); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	if err := os.Rename(to, before); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return errors.Join(os.Rename(fresh, to), os.RemoveAll(before))
}

// fetchStall is how long nothing of a trial's files may come: a connection may be dead without anybody noticing.
const fetchStall = time.Minute

// errStalled is why it is given up.
var errStalled = errors.New("nothing came any more")

// whileMoving gives a context that ends when nothing was read for a time of what moved wraps. Done is called in the
// end.
func whileMoving(ctx context.Context, stall time.Duration) (
	moving context.Context, moved func(io.Reader) io.Reader, done func(),
) {
	moving, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(stall, func() { cancel(errStalled) })
	moved = func(from io.Reader) io.Reader {
		return readerFunc(func(p []byte) (int, error) {
			n, err := from.Read(p)
			if n > 0 {
				watch.Reset(stall)
			}
			if err != nil && moving.Err() != nil {
				err = context.Cause(moving)
			}
			return n, err
		})
	}
	return moving, moved, func() {
		watch.Stop()
		cancel(nil)
	}
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

// monitorClient asks a monitor.
type monitorClient struct {
	http  *http.Client
	token string
}

func newMonitorClient(token string, dial func() (net.Conn, error)) monitorClient {
	return monitorClient{&http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return dial() },
	}}, token}
}

func (c monitorClient) get(ctx context.Context, path string) (io.ReadCloser, error) {
	body, _, err := c.open(ctx, path)
	return body, err
}

// open gives an answer, and its size; -1 is not known.
func (c monitorClient) open(ctx context.Context, path string) (body io.ReadCloser, size int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://monitor"+path, nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, 0, err
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 500)) // what is there of it
		return nil, 0, errors.Join(&saidError{answer.StatusCode, strings.TrimSpace(string(text))}, answer.Body.Close())
	}
	return answer.Body, answer.ContentLength, nil
}

// saidError is what a monitor answers that does not do what it is asked.
type saidError struct {
	status int
	text   string
}

func (e *saidError) Error() string { return "the monitor says: " + e.text }

// maxList bounds what a monitor says of archives, in bytes: one has about 150.
const maxList = 1 << 20

func (c monitorClient) list(ctx context.Context) ([]collect.Output, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := c.get(ctx, "/v1/outputs")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var all []collect.Output
	if err := json.NewDecoder(io.LimitReader(body, maxList)).Decode(&all); err != nil {
		return nil, fmt.Errorf("read what the monitor has: %w", err)
	}
	for _, of := range all {
		if err := collect.CheckOutput(of); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// waitLook is how often it is looked whether files have been fetched.
const waitLook = 50 * time.Millisecond

// WaitForOutputs returns when the files that a trial of the run name left behind are in its record, or says why they
// are not. Follow has somebody follow the run, who fetches them; it is called if they are not there.
func WaitForOutputs(ctx context.Context, f folder.Run, name string, trial int, follow func() error) error {
	for followed := false; ; followed = true {
		n, err := endOf(f, trial)
		if err != nil {
			return err
		}
		_, missing := os.Stat(f.Output(trial))
		switch all := n > 0 && readFetched(f).N >= n; {
		case all && missing == nil:
			return nil
		case all:
			return noOutput("trial %d of %s left nothing in metaml.output()", trial, name)
		case n == 0:
			return noOutput("trial %d of %s has not ended: its files are fetched when it has", trial, name)
		case followed && !f.Monitored():
			if missing == nil {
				return nil // what is here is all that there is
			}
			return noOutput("what trial %d of %s wrote is not here, and the run's monitor, which had it, is gone or "+
				"cannot be reached", trial, name)
		case !followed:
			if err := follow(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(waitLook):
		}
	}
}

func noOutput(format string, args ...any) error {
	return usererror.New(usererror.CodeOutputs, format, args...)
}

// endOf is the event with which a trial ended last; 0: it has not.
func endOf(f folder.Run, trial int) (n int64, err error) {
	err = f.EachEvent(func(e run.Event) error {
		if e.Trial == nil || *e.Trial != trial {
			return nil
		}
		switch e.Type {
		case run.EventTrialEnded:
			n = e.N
		case run.EventTrialQueued, run.EventTrialStarted:
			n = 0
		}
		return nil
	})
	return n, err
}
