package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/follow"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
)

// live reads from the monitor of a run, through a port-forward to its pod, what trials have written, and keeps it below
// collected/ of the record. It decides nothing: see [curves].
type live struct {
	cluster *cluster.Cluster
	folder  folder.Run
	name    string // of the run
	wake    func()
	all     sync.WaitGroup

	// Of the step that calls them.
	pod    string // that is read from; "": none
	cancel context.CancelCauseFunc

	reading sync.Mutex // guards token
	token   string

	mu     sync.Mutex
	grown  map[string]collect.Source // whose events have grown since they were taken
	boards []board                   // event files that are new since then
	linked bool                      // there is a connection
	whole  bool                      // what the monitor had when it was made has come
	since  time.Time                 // that this is so
	failed error                     // why there is none
	heard  time.Time                 // when something came last
}

func newLive(c *cluster.Cluster, f folder.Run, name string, wake func()) *live {
	return &live{
		cluster: c, folder: f, name: name, wake: wake, grown: map[string]collect.Source{}, since: time.Now(),
	}
}

// errOtherPod is why a pod is read no longer.
var errOtherPod = errors.New("the monitor runs in another pod")

// read has the monitor read in a pod, until ctx ends; "" is none.
func (l *live) read(ctx context.Context, pod string) {
	if pod == l.pod {
		return
	}
	if l.cancel != nil {
		l.cancel(errOtherPod)
		l.all.Wait()
	}
	l.pod = pod
	if pod == "" {
		l.is(errors.New("its pod is gone"))
		return
	}
	ctx, l.cancel = context.WithCancelCause(ctx)
	l.all.Go(func() {
		token, err := l.waitForToken(ctx)
		if err == nil {
			err = follow.Run(ctx, follow.Monitor{
				Token: token,
				// The connection lasts as long as it is read, and not as long as dialling, whose context ends first.
				Dial: func(context.Context) (net.Conn, error) {
					return l.cluster.Forward(ctx, pod, manifest.MonitorPort)
				},
				CaughtUp: l.hasAll,
			}, l, l.is)
		}
		if ctx.Err() == nil {
			l.is(err)
		}
	})
}

// anew has the monitor read over another connection.
func (l *live) anew(ctx context.Context) {
	pod := l.pod
	l.read(ctx, "")
	l.mu.Lock()
	l.since = time.Now() // what was wrong before says nothing of this one
	l.mu.Unlock()
	l.read(ctx, pod)
}

// wait waits for the end of reading, after ctx has ended.
func (l *live) wait() {
	if l.cancel != nil {
		l.cancel(nil)
	}
	l.all.Wait()
}

// is notes how a connection fared: nil, it is there.
func (l *live) is(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = false
	if linked := err == nil; linked != l.linked {
		l.linked, l.since = linked, time.Now()
		l.wake()
	}
	l.failed = err
}

// hasAll notes that everything has come that the monitor had when the connection was made.
func (l *live) hasAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = true
	l.wake()
}

// connected reports whether what trials report arrives as they do so. A nil live is never.
func (l *live) connected() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.linked
}

// trouble says why nothing has arrived for a time, if that is so.
func (l *live) trouble(patience time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.linked || time.Since(l.since) < patience {
		return nil
	}
	return l.failed
}

// quiet is how long nothing has come.
func (l *live) quiet() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.heard)
}

// caughtUp reports whether there is a connection, and everything that was to come through it has come and was taken.
func (l *live) caughtUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.linked && l.whole && len(l.grown) == 0 && time.Since(l.since) >= caughtUp &&
		time.Since(l.heard) >= caughtUp
}

// never reports whether nothing has come yet.
func (l *live) never() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard.IsZero()
}

// cutOff reports whether the monitor could not be reached for a time, and never was: there is no way to it. Who may not
// reach it need not try for long.
func (l *live) cutOff() bool {
	err := l.trouble(0)
	refused := errors.Is(err, errSecret) || apierrors.IsForbidden(err)
	return l.never() && (refused || l.trouble(monitorAway) != nil)
}

// take gives the sources whose events have grown, and the event files of TensorBoard that are new.
func (l *live) take() (map[string]collect.Source, []board) {
	l.mu.Lock()
	defer l.mu.Unlock()
	grown, boards := l.grown, l.boards
	l.grown, l.boards = map[string]collect.Source{}, nil
	return grown, boards
}

// tokenFile has an ownToken, where the run was submitted on this machine.
func tokenFile(f folder.Run) string { return filepath.Join(string(f), "monitor-token.json") }

// ownToken is the token of the run's monitor.
type ownToken struct {
	Token string `json:"token"`
}

// tokenAgain is after what time it is tried again to read the token.
const tokenAgain = time.Second

// waitForToken finds the token of the monitor, however long the cluster does not answer.
func (l *live) waitForToken(ctx context.Context) (string, error) {
	for {
		token, err := l.readToken(ctx)
		if err == nil || errors.Is(err, errSecret) {
			return token, err
		}
		l.is(err)
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(tokenAgain):
		}
	}
}

// errSecret is why there is no token: the rights of whoever follows the run do not change by themselves.
var errSecret = errors.New("the run was submitted from another machine")

// readToken finds the token of the monitor: whoever submitted the run has it, others may be allowed to read its Secret.
func (l *live) readToken(ctx context.Context) (string, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	if l.token != "" {
		return l.token, nil
	}
	var own ownToken
	data, err := os.ReadFile(tokenFile(l.folder))
	if err == nil && json.Unmarshal(data, &own) == nil && own.Token != "" {
		l.token = own.Token
		return l.token, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	name := manifest.KeyName(l.name)
	secret, err := l.cluster.Core.Secrets(l.cluster.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsForbidden(err) {
		return "", fmt.Errorf("%w, and you may not read its Secret %s", errSecret, name)
	}
	if err != nil {
		return "", l.cluster.Explain(err, "read Secret "+name)
	}
	l.token = string(secret.Data[manifest.TokenName])
	return l.token, nil
}

// The files of a record that came from the monitor: collected/UID/FILE, and which attempt a pod was.
const (
	collectedName = "collected"
	eventsName    = "events.jsonl"
)

func collectedDir(f folder.Run, uid string) string {
	return filepath.Join(string(f), collectedName, uid)
}

// Held implements [follow.Kept].
func (l *live) Held() ([]collect.Held, error) {
	var held []collect.Held
	err := eachCollected(l.folder, func(uid, file string, size int64) {
		held = append(held, collect.Held{ID: uid, File: file, Size: size})
	})
	return held, err
}

// eachCollected names all files that came from the monitor.
func eachCollected(f folder.Run, each func(uid, file string, size int64)) error {
	root := filepath.Join(string(f), collectedName)
	pods, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what came from the monitor: %w", err)
	}
	for _, d := range pods {
		dir := filepath.Join(root, d.Name())
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || path == filepath.Join(dir, sourceName) {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			file, err := filepath.Rel(dir, path)
			if err == nil {
				each(d.Name(), filepath.ToSlash(file), info.Size())
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("read what came from the monitor: %w", err)
		}
	}
	return nil
}

// sourceName is the file beside those of a pod that says which attempt it was. No file of a pod has that name
// ([collect.CheckName]).
const sourceName = "source.json"

// Append implements [follow.Kept].
func (l *live) Append(source collect.Source, file string, data []byte) error {
	path := filepath.Join(collectedDir(l.folder, source.ID), filepath.FromSlash(file))
	out, err := folder.OpenOwn(path, os.O_WRONLY|os.O_APPEND)
	if errors.Is(err, os.ErrNotExist) {
		out, err = l.begin(source, file, path)
	}
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	l.mu.Lock()
	l.heard = time.Now()
	if file == eventsName {
		l.grown[source.ID] = source
	}
	l.mu.Unlock()
	if file == eventsName {
		l.wake()
	}
	return nil
}

// begin makes a file of a pod.
func (l *live) begin(source collect.Source, file, path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	noted := filepath.Join(collectedDir(l.folder, source.ID), sourceName)
	if _, err := os.Lstat(noted); errors.Is(err, os.ErrNotExist) {
		if err := folder.ReplaceJSON(noted, source); err != nil {
			return nil, err
		}
	}
	if isBoard(file) {
		l.mu.Lock()
		l.boards = append(l.boards, board{source, file})
		l.mu.Unlock()
		l.wake()
	}
	return folder.OpenOwn(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE)
}
