package serve_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/follow"
	"github.com/metaml/metaml/deployer/collect/send"
	"github.com/metaml/metaml/deployer/collect/serve"
)

const (
	token      = "the-token-of-the-run"
	maxOutputs = 10_000 // bytes
)

// monitor is a server on a folder, which can be ended and started again at the same address.
type monitor struct {
	t       *testing.T
	dir     string
	limits  collect.Limits
	address string
	folders serve.Folders
	store   *collect.Store
	end     func()
}

func startMonitor(t *testing.T, limits collect.Limits) *monitor {
	t.Helper()
	m := &monitor{t: t, dir: t.TempDir(), limits: limits, address: "127.0.0.1:0"}
	m.start()
	t.Cleanup(func() { m.end() })
	return m
}

func (m *monitor) start() {
	m.t.Helper()
	disk, err := serve.OpenDisk(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	if m.store, err = collect.OpenStore(disk, rand.Text(), m.limits); err != nil {
		m.t.Fatal(err)
	}
	outputs, err := serve.OpenOutputs(filepath.Join(m.dir, "outputs"), maxOutputs)
	if err != nil {
		m.t.Fatal(err)
	}
	server, err := serve.New(m.store, outputs, m.folders, token)
	if err != nil {
		m.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", m.address)
	if err != nil {
		m.t.Fatal(err)
	}
	m.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // the end of a test needs no reason
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	m.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
		if err := errors.Join(disk.Close(), outputs.Close()); err != nil {
			m.t.Error(err)
		}
	})
}

// restart ends the monitor and starts it again, perhaps on an empty disk.
func (m *monitor) restart(emptied bool) {
	m.t.Helper()
	m.end()
	http.DefaultClient.CloseIdleConnections() // to the one that has ended
	if emptied {
		m.dir = m.t.TempDir()
	}
	m.start()
}

// do sends one request.
func (m *monitor) do(method, path, auth string, body []byte) (int, string) {
	m.t.Helper()
	request, err := http.NewRequestWithContext(m.t.Context(), method, "http://"+m.address+path, bytes.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	if auth != "" {
		request.Header.Set("Authorization", auth)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// kept is what a reader has, in memory.
type kept struct {
	mu    sync.Mutex
	files map[string][]byte // by source and file
	full  bool
}

func (k *kept) Held() ([]collect.Held, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var held []collect.Held
	for name, data := range k.files {
		id, file, _ := strings.Cut(name, "/")
		held = append(held, collect.Held{ID: id, File: file, Size: int64(len(data))})
	}
	return held, nil
}

func (k *kept) Append(source collect.Source, file string, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.full {
		return errors.New("no space left on device")
	}
	name := source.ID + "/" + file
	k.files[name] = append(k.files[name], data...)
	return nil
}

func (k *kept) size(name string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.files[name])
}

func newKept() *kept { return &kept{files: map[string][]byte{}} }

// startReader follows a monitor until the test ends, or the function that is returned is called.
func startReader(t *testing.T, address string, k *kept) (stop func()) {
	t.Helper()
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // the end of a test needs no reason
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := follow.Run(ctx, follow.Monitor{Token: token, Dial: dial}, k, func(error) {})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the reader ends: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after 30 seconds not: %s", what)
		}
	}
}

// pod is a pod with one file of lines.
type pod struct {
	path   string
	file   *os.File
	sender *send.Sender
	mu     sync.Mutex
	notes  []collect.Note
}

func startPod(t *testing.T, address string, i int) *pod {
	t.Helper()
	p := &pod{path: filepath.Join(t.TempDir(), "events.jsonl")}
	var err error
	if p.file, err = os.Create(p.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.file.Close() })
	source := collect.Source{ID: fmt.Sprintf("pod-%d", i), Trial: i, Attempt: 1}
	files := &send.Folders{Files: map[string]string{"events.jsonl": p.path}}
	say := func(n collect.Note) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.notes = append(p.notes, n)
	}
	to := send.Monitor{Address: netip.MustParseAddrPort(address), Token: token}
	p.sender, err = send.Start(t.Context(), to, source, files, say)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pod) said() []collect.Note {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.notes
}

// finish ends a pod's sender within a time.
func (p *pod) finish(t *testing.T, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return p.sender.Finish(ctx)
}

// expectSame compares what a reader has of a pod with what the pod wrote.
func (p *pod) expectSame(t *testing.T, k *kept, i int) {
	t.Helper()
	want, err := os.ReadFile(p.path)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("pod-%d/events.jsonl", i)
	waitFor(t, "all of "+name+" is there", func() bool { return k.size(name) >= len(want) })
	if got := k.files[name]; !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, not the %d that were written", name, len(got), len(want))
	}
}

const line = `{"n":%d,"type":"trial.report","trial":3,"metrics":{"loss":0.123456,"accuracy":0.98},"step":%d}` + "\n"

// report writes lines at a pace, until ctx is done.
func (p *pod) report(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if _, err := fmt.Fprintf(p.file, line, i, i); err != nil {
				return err
			}
		}
	}
}

// Fifty pods report a hundred times a second; in between their connections and those of the reader are cut, and the
// monitor starts again, once without its disk.
func TestFiftyPodsAreFollowedThroughCutsAndRestarts(t *testing.T) {
	const pods, duration = 50, 5 * time.Second
	before := runtime.NumGoroutine()
	m := startMonitor(t, collect.DefaultLimits)
	toPods, toReader := startProxy(t, m.address), startProxy(t, m.address)
	k := newKept()
	stopReader := startReader(t, toReader.address(), k)
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var writing sync.WaitGroup
	all := make([]*pod, pods)
	for i := range all {
		all[i] = startPod(t, toPods.address(), i)
		writing.Go(func() {
			if err := all[i].report(ctx, 10*time.Millisecond); err != nil {
				t.Error(err)
			}
		})
	}
	for i, emptied := range []bool{false, true} {
		waitFor(t, "some of the files are there", func() bool { return k.size("pod-0/events.jsonl") > 5000*(i+1) })
		toReader.cut()
		toPods.cut()
		m.restart(emptied)
	}
	writing.Wait()
	var ending sync.WaitGroup
	for i, p := range all {
		ending.Go(func() {
			if err := p.finish(t, 30*time.Second); err != nil {
				t.Errorf("pod %d: %v", i, err)
			}
		})
	}
	ending.Wait()
	for i, p := range all {
		p.expectSame(t, k, i)
		if notes := p.said(); len(notes) != 1 || notes[0].Kind != collect.Reached {
			t.Errorf("pod %d says %v", i, notes)
		}
	}
	stopReader()
	toPods.close()
	toReader.close()
	m.end()
	waitFor(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestAReportIsThereAtOnce(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	k := newKept()
	startReader(t, m.address, k)
	p := startPod(t, m.address, 0)
	waitFor(t, "the monitor is reached", func() bool { return len(p.said()) > 0 })
	var longest time.Duration
	for i := range 10 {
		size := k.size("pod-0/events.jsonl")
		start := time.Now()
		if _, err := fmt.Fprintf(p.file, line, i, i); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the line is there", func() bool { return k.size("pod-0/events.jsonl") > size })
		longest = max(longest, time.Since(start))
	}
	t.Logf("a line is there after %v at most", longest)
	if longest > time.Second { // 300 ms where nothing else runs
		t.Errorf("a line was there after %v", longest)
	}
	if err := p.finish(t, 10*time.Second); err != nil {
		t.Error(err)
	}
}

// A pod's other files go on when one has become too long for the monitor, which is said once and holds up nothing.
func TestAFileThatIsTooLongIsSaidOnce(t *testing.T) {
	limits := collect.DefaultLimits
	limits.File = 2000
	m := startMonitor(t, limits)
	k := newKept()
	startReader(t, m.address, k)
	dir := t.TempDir()
	files := &send.Folders{Files: map[string]string{}}
	for name, size := range map[string]int{"long": 5000, "short": 100} {
		path := filepath.Join(dir, name)
		files.Files[name] = path
		if err := os.WriteFile(path, bytes.Repeat([]byte("a"), size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	notes := make(chan collect.Note, 100)
	source := collect.Source{ID: "pod"}
	to := send.Monitor{Address: netip.MustParseAddrPort(m.address), Token: token}
	sender, err := send.Start(t.Context(), to, source, files, func(n collect.Note) { notes <- n })
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the short file is there", func() bool { return k.size("pod/short") == 100 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := sender.Finish(ctx); err != nil {
		t.Error(err)
	}
	close(notes)
	said := []collect.Note{}
	for n := range notes {
		said = append(said, n)
	}
	want := []collect.Note{
		{Kind: collect.Reached},
		{Kind: collect.Stopped, File: "long", Text: "the monitor keeps at most 2000 bytes of a file"},
	}
	if !slices.Equal(said, want) {
		t.Errorf("it says %+v", said)
	}
}

// A file of several batches and windows arrives byte for byte beside one that grows, through cuts.
func TestALargeFileArrivesThroughCuts(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	toPod, toReader := startProxy(t, m.address), startProxy(t, m.address)
	k := newKept()
	startReader(t, toReader.address(), k)
	board := filepath.Join(t.TempDir(), "tensorboard")
	if err := os.MkdirAll(filepath.Join(board, "lr=0.1"), 0o700); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 3<<20)
	_, _ = rand.Read(large) // never fails
	if err := os.WriteFile(filepath.Join(board, "lr=0.1", "events.out.tfevents.1.pod.7.0"), large, 0o600); err != nil {
		t.Fatal(err)
	}
	files := &send.Folders{Folders: []send.Folder{{Name: "tensorboard", Path: board}}}
	to := send.Monitor{Address: netip.MustParseAddrPort(toPod.address()), Token: token}
	sender, err := send.Start(t.Context(), to, collect.Source{ID: "pod"}, files, func(collect.Note) {})
	if err != nil {
		t.Fatal(err)
	}
	const name = "pod/tensorboard/lr=0.1/events.out.tfevents.1.pod.7.0"
	for i := range 4 {
		waitFor(t, "some of it is there", func() bool { return k.size(name) > i*len(large)/5 })
		toPod.cut()
		toReader.cut()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := sender.Finish(ctx); err != nil {
		t.Error(err)
	}
	waitFor(t, "all of it is there", func() bool { return k.size(name) >= len(large) })
	if !bytes.Equal(k.files[name], large) {
		t.Error("it has other bytes than were written")
	}
}

func TestRequestsAreAnswered(t *testing.T) {
	limits := collect.DefaultLimits
	limits.File = 5
	m := startMonitor(t, limits)
	batch := func(offset int64, data string, trial int) []byte {
		return collect.AppendBatch(nil, collect.Batch{
			Source: collect.Source{ID: "pod", Trial: trial},
			Pieces: []collect.Piece{{File: "a", Offset: offset, Data: []byte(data)}},
		})
	}
	const good = "Bearer " + token
	for _, c := range []struct {
		name, method, path, auth string
		body                     []byte
		status                   int
		want                     string
	}{
		{"health", "GET", "/healthz", "", nil, 200, "ok"},
		{"no token", "POST", "/v1/batch", "", batch(0, "ab", 0), 401, "not the token"},
		{"another token", "POST", "/v1/batch", "Bearer x", batch(0, "ab", 0), 401, "not the token"},
		{"a part of the token", "POST", "/v1/batch", "Bearer " + token[:5], batch(0, "ab", 0), 401, "not the token"},
		{"the token of another scheme", "POST", "/v1/batch", "Basic " + token, batch(0, "ab", 0), 401, "not the token"},
		{"a stream without a token", "GET", "/v1/stream", "", nil, 401, "not the token"},
		{"a stream that is none", "GET", "/v1/stream", good, nil, 400, "Bad Request"},
		{"a batch", "POST", "/v1/batch", good, batch(0, "ab", 0), 200, `"sizes":{"a":2}`},
		{"a gap", "POST", "/v1/batch", "bearer " + token, batch(7, "ab", 0), 200, `"sizes":{"a":2}`},
		{"over a limit", "POST", "/v1/batch", good, batch(2, "abcd", 0), 507, `"refused":{"a":"the monitor keeps at`},
		{"another trial", "POST", "/v1/batch", good, batch(2, "ab", 1), 409, "another trial"},
		{"no batch", "POST", "/v1/batch", good, []byte("x\n"), 400, "invalid character"},
		{"too much", "POST", "/v1/batch", good, make([]byte, collect.MaxBatchSize+1), 413, "at most"},
		{"reading what is to be sent", "GET", "/v1/batch", good, nil, 405, "Method Not Allowed"},
		{"elsewhere", "GET", "/", good, nil, 404, "not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text := m.do(c.method, c.path, c.auth, c.body)
			if status != c.status || !strings.Contains(text, c.want) {
				t.Errorf("got %d %q, want %d %q", status, text, c.status, c.want)
			}
		})
	}
}

func TestAMonitorWithoutATokenIsNone(t *testing.T) {
	if _, err := serve.New(nil, nil, "", ""); err == nil {
		t.Error("it serves everybody")
	}
}

// stream is a reader by hand.
func (m *monitor) stream(t *testing.T, hello ...[]byte) *websocket.Conn {
	t.Helper()
	header := http.Header{"Authorization": {"Bearer " + token}}
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+m.address+"/v1/stream", header)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	t.Cleanup(func() { conn.Close() })
	for _, message := range hello {
		if err := conn.WriteMessage(websocket.TextMessage, message); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// closeCode reads until a connection is closed, and says how.
func closeCode(t *testing.T, conn *websocket.Conn) int {
	t.Helper()
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			var closed *websocket.CloseError
			if !errors.As(err, &closed) {
				t.Fatalf("it ends without a code: %v", err)
			}
			return closed.Code
		}
	}
}

func TestReadersThatDoNotKeepToTheProtocolAreClosed(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	for _, c := range []struct {
		name    string
		message string
	}{
		{"no hello", "hello"},
		{"another version", `{"v":2}`},
		{"a name that leads elsewhere", `{"v":1,"has":[{"id":"a","file":"../b","size":1}]}`},
		{"nothing, and more of it", `{"v":1,"more":true}`},
		{"took what there was not", `{"v":1}` + "|" + `{"took":1}`},
		{"says no number", `{"v":1}` + "|" + `{"took":"a"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var messages [][]byte
			for text := range strings.SplitSeq(c.message, "|") {
				messages = append(messages, []byte(text))
			}
			if code := closeCode(t, m.stream(t, messages...)); code != websocket.ClosePolicyViolation {
				t.Errorf("closed with %d", code)
			}
		})
	}
}

func TestAMonitorThatEndsSaysSoToItsReaders(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	conn := m.stream(t, collect.Hello(nil)...)
	go m.end()
	if code := closeCode(t, conn); code != websocket.CloseGoingAway {
		t.Errorf("closed with %d", code)
	}
}

func TestThereIsAnEndToTheNumberOfReaders(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	for range 16 {
		m.stream(t, collect.Hello(nil)...)
	}
	status, text := m.do("GET", "/v1/stream", "Bearer "+token, nil)
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "16 readers") {
		t.Errorf("got %d %q", status, text)
	}
}

// A reader knows when it has all that there was, however long that took, and also where there is nothing.
func TestAReaderIsAskedToWaitForAllThatThereIs(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
	}{{"nothing", 0}, {"several messages", 3*collect.MaxBatch + 1}, {"more than is sent ahead", 2 * collect.Window}} {
		t.Run(c.name, func(t *testing.T) {
			m := startMonitor(t, collect.DefaultLimits)
			for at := 0; at < c.size; at += collect.MaxBatch {
				piece := collect.Piece{File: "a", Offset: int64(at)}
				piece.Data = make([]byte, min(collect.MaxBatch, c.size-at))
				b := collect.Batch{Source: collect.Source{ID: "pod"}, Pieces: []collect.Piece{piece}}
				status, text := m.do("POST", "/v1/batch", "Bearer "+token, collect.AppendBatch(nil, b))
				if status != http.StatusOK {
					t.Fatalf("%d %s", status, text)
				}
			}
			k := newKept()
			ctx, cancel := context.WithCancelCause(t.Context())
			sizes := make(chan int, 10)
			var reading sync.WaitGroup
			reading.Go(func() {
				_ = follow.Run(ctx, follow.Monitor{
					Token: token,
					Dial: func(ctx context.Context) (net.Conn, error) {
						return (&net.Dialer{}).DialContext(ctx, "tcp", m.address)
					},
					CaughtUp: func() { sizes <- k.size("pod/a") },
				}, k, func(error) {})
			})
			if got := <-sizes; got != c.size {
				t.Errorf("it is said that all is there with %d of %d bytes", got, c.size)
			}
			cancel(io.EOF)
			reading.Wait()
			if len(sizes) > 0 {
				t.Error("it is said again")
			}
		})
	}
}

func TestAReaderThatCannotKeepWhatComesEnds(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	p := startPod(t, m.address, 0)
	if _, err := fmt.Fprintf(p.file, line, 1, 1); err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", m.address)
	}
	k := newKept()
	k.full = true
	err := follow.Run(t.Context(), follow.Monitor{Token: token, Dial: dial}, k, func(error) {})
	if _, ok := errors.AsType[*follow.KeepError](err); !ok {
		t.Errorf("got %v", err)
	}
	if err := p.finish(t, 10*time.Second); err != nil {
		t.Error(err)
	}
}

func TestAReaderSaysWhyItDoesNotReachTheMonitor(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	for _, c := range []struct{ name, token, address, want string }{
		{"another token", "x", m.address, "401 Unauthorized: this is not the token of the run"},
		{"nobody there", token, "127.0.0.1:1", "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			dial := func(ctx context.Context) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", c.address)
			}
			var last error
			err := follow.Run(ctx, follow.Monitor{Token: c.token, Dial: dial}, newKept(), func(err error) {
				last = err
				cancel(io.EOF)
			})
			if !errors.Is(err, io.EOF) || last == nil || !strings.Contains(last.Error(), c.want) {
				t.Errorf("got %v, then %v", last, err)
			}
		})
	}
}

// A pod is not held up by a monitor that is not there, does not answer, or does not know it.
func TestAPodEndsInTimeWithoutAMonitor(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connects, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for _, c := range []struct {
		name, address, token string
		within               time.Duration
		want                 string
	}{
		{"nobody there", "127.0.0.1:1", token, 2 * time.Second, "connection refused"},
		{"another token", m.address, "x", 2 * time.Second, "401: this is not the token"},
		{"no answer", silent.Addr().String(), token, 2 * time.Second, "lacks what came last of 1 files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			files := &send.Folders{Files: map[string]string{"events.jsonl": path}}
			to := send.Monitor{Address: netip.MustParseAddrPort(c.address), Token: c.token}
			sender, err := send.Start(t.Context(), to, collect.Source{ID: "pod"}, files, func(collect.Note) {})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), c.within)
			defer cancel()
			start := time.Now()
			err = sender.Finish(ctx)
			if err == nil || !strings.Contains(err.Error(), c.want) || time.Since(start) > c.within+time.Second {
				t.Errorf("after %v: %v, want %q", time.Since(start), err, c.want)
			}
			if err := sender.Finish(ctx); err == nil {
				t.Error("the second Finish says that all is there")
			}
		})
	}
}

func TestWhatASenderIsGivenIsChecked(t *testing.T) {
	address := netip.MustParseAddrPort("127.0.0.1:1")
	for _, c := range []struct {
		name   string
		to     send.Monitor
		source collect.Source
	}{
		{"no address", send.Monitor{Token: "a"}, collect.Source{ID: "pod"}},
		{"no token", send.Monitor{Address: address}, collect.Source{ID: "pod"}},
		{"a header in the token", send.Monitor{Address: address, Token: "a\r\nX: b"}, collect.Source{ID: "pod"}},
		{"a source that is none", send.Monitor{Address: address, Token: "a"}, collect.Source{ID: "../pod"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := send.Start(t.Context(), c.to, c.source, &send.Folders{}, nil); err == nil {
				t.Error("it starts")
			}
		})
	}
}

// proxy is a way to the monitor that can be cut.
type proxy struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	closed   bool
	running  sync.WaitGroup
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, to: to, conns: map[net.Conn]struct{}{}}
	p.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.join(conn) })
		}
	})
	t.Cleanup(p.close)
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// join copies both ways until one of them ends.
func (p *proxy) join(a net.Conn) {
	defer a.Close()
	b, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer b.Close()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.conns[a], p.conns[b] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var copying sync.WaitGroup
	for _, c := range [][2]net.Conn{{a, b}, {b, a}} {
		copying.Go(func() {
			_, _ = io.Copy(c[0], c[1])
			a.Close()
			b.Close()
		})
	}
	copying.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, a)
	delete(p.conns, b)
}

// cut ends all connections that there are, wherever they are in a message.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range maps.Keys(p.conns) {
		conn.Close()
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cut()
	p.running.Wait()
}
