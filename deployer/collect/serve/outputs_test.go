package serve_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/archive"
	"github.com/metaml/metaml/deployer/collect/send"
	"github.com/metaml/metaml/deployer/collect/serve"
)

const bearer = "Bearer " + token

// outputs are the archives that a monitor lists.
func (m *monitor) outputs() []collect.Output {
	m.t.Helper()
	status, text := m.do(http.MethodGet, "/v1/outputs", bearer, nil)
	var all []collect.Output
	if err := json.Unmarshal([]byte(text), &all); err != nil || status != http.StatusOK {
		m.t.Fatalf("got %d %s: %v", status, text, err)
	}
	return all
}

// The archive that a trial sends takes the place of the one before, and is there after a restart.
func TestWhatATrialLeavesIsKept(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	put := func(path string, size int) (int, string) {
		return m.do(http.MethodPut, "/v1/outputs/"+path, bearer, []byte(strings.Repeat("x", size)))
	}
	for _, c := range []struct {
		name, path string
		size       int
		status     int
		says       string
	}{
		{"the first", "3/checkpoint?round=1&attempt=1", 4000, 200, `"number":1,"size":4000`},
		{"another takes its place", "3/checkpoint?round=1&attempt=1", 5000, 200, `"number":2,"size":5000`},
		{"of the next attempt", "3/checkpoint?round=1&attempt=2", 1000, 200, `"number":3,"size":1000`},
		{"of an attempt before", "3/checkpoint?round=1&attempt=1", 1, 409, "a later attempt"},
		{"of a resumed run", "3/checkpoint?round=2&attempt=1", 1001, 200, `"size":1001`},
		{"another kind", "3/output?round=1&attempt=1", 7000, 200, `"number":1,"size":7000`},
		{"no room", "4/output?round=1&attempt=1", 3000, 507, "at most"},
		{"less", "4/output?round=1&attempt=1", 1500, 200, `"size":1500`},
		{"no such kind", "4/others?round=1&attempt=1", 1, 400, "no trial"},
		{"no attempt", "4/output?round=1", 1, 400, "invalid"},
		{"no trial", "-1/output?round=1&attempt=1", 1, 400, "no trial"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, text := put(c.path, c.size); status != c.status || !strings.Contains(text, c.says) {
				t.Errorf("got %d %s, want %d %s", status, text, c.status, c.says)
			}
		})
	}
	for range 2 { // the second time after a restart
		var got []string
		for _, o := range m.outputs() {
			got = append(got, fmt.Sprintf("%d/%s %d.%d %d", o.Trial, o.Kind, o.Round, o.Attempt, o.Size))
		}
		if want := "3/checkpoint 2.1 1001; 3/output 1.1 7000; 4/output 1.1 1500"; strings.Join(got, "; ") != want {
			t.Errorf("there are %q, want %s", got, want)
		}
		if status, text := m.do(http.MethodGet, "/v1/outputs/3/output", bearer, nil); status != http.StatusOK ||
			text != strings.Repeat("x", 7000) {
			t.Errorf("of trial 3 there is %d, %d bytes", status, len(text))
		}
		if status, _ := m.do(http.MethodGet, "/v1/outputs/5/output", bearer, nil); status != http.StatusNotFound {
			t.Errorf("of trial 5 there is %d", status)
		}
		m.restart(false)
	}
	if status, text := put("5/output?round=1&attempt=1", 600); status != http.StatusInsufficientStorage {
		t.Errorf("after a restart what is there was not counted: %d %s", status, text)
	}
}

// What a process that was killed left of an archive is no archive, and takes no room.
func TestHalfAnArchiveIsNone(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	m.end()
	folder := filepath.Join(m.dir, "outputs", "1", "output")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"coming": 9000, "1-1-2.tar": 50, "1-1-1.tar": 40, "x.tar": 1} {
		if err := os.WriteFile(filepath.Join(folder, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m.start()
	if all := m.outputs(); len(all) != 1 || all[0].Size != 50 {
		t.Errorf("there is %+v", all)
	}
	if status, text := m.do(
		http.MethodPut,
		"/v1/outputs/2/output?round=1&attempt=1",
		bearer,
		make([]byte, 9900),
	); status != 200 {
		t.Errorf("there is no room: %d %s", status, text)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestManySendAtTheSameTime(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	var all sync.WaitGroup
	for trial := range 20 {
		for range 3 {
			all.Go(func() {
				path := fmt.Sprintf("/v1/outputs/%d/checkpoint?round=1&attempt=1", trial)
				if status, text := m.do(http.MethodPut, path, bearer, make([]byte, 100)); status != http.StatusOK &&
					status != http.StatusServiceUnavailable {
					t.Errorf("got %d %s", status, text)
				}
			})
		}
	}
	all.Wait()
	if n := len(m.outputs()); n != 20 {
		t.Errorf("there are %d", n)
	}
}

// Both ends as they are: a pod sends its folder, and the next attempt gets it.
func TestTheNextAttemptHasWhatTheOneBeforeSent(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	to := send.Monitor{Address: netip.MustParseAddrPort(m.address), Token: token}
	of := collect.Output{Trial: 7, Kind: collect.Checkpoint, Round: 1, Attempt: 1}
	content := strings.Repeat("weights ", 1000)
	put := func(text string) error {
		return to.PutOutput(t.Context(), of, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
	}
	get := func() (text string, found bool, err error) {
		found, err = to.GetOutput(t.Context(), 7, collect.Checkpoint, func(r io.Reader) error {
			data, err := io.ReadAll(r)
			text = string(data)
			return err
		})
		return text, found, err
	}
	if _, found, err := get(); found || err != nil {
		t.Errorf("before there is %v, %v", found, err)
	}
	if err := put(content); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the trial's disk is broken")
	if err := to.PutOutput(t.Context(), of, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	}); !errors.Is(err, broken) {
		t.Errorf("half of an archive: %v", err)
	}
	var refused *send.RefusedError
	tooMuch := strings.Repeat("x", 500_000)
	err := put(tooMuch)
	for end := time.Now().Add(10 * time.Second); err != nil && !errors.As(err, &refused) && time.Now().Before(end); {
		<-time.After(time.Millisecond) // the monitor may not have given up the half yet
		err = put(tooMuch)
	}
	if !errors.As(err, &refused) || refused.Status != http.StatusInsufficientStorage {
		t.Errorf("too much: %v", err)
	}
	if text, found, err := get(); text != content || !found || err != nil {
		t.Errorf("there is %d bytes, %v, %v", len(text), found, err)
	}
	m.end()
	if err := put(content); err == nil || errors.As(err, &refused) {
		t.Errorf("without a monitor: %v", err)
	}
}

// Files that pods wrote to a volume are listed, and packed for who wants them.
func TestFilesOnAVolumeAreReadWhereTheyLie(t *testing.T) {
	m := startMonitor(t, collect.DefaultLimits)
	trials := filepath.Join(t.TempDir(), "trials")
	m.folders = serve.Folders(filepath.Join(trials, "00000", "output"))
	m.restart(false)
	if all := m.outputs(); len(all) != 0 {
		t.Errorf("before a trial has begun there is %+v", all)
	}
	for _, name := range []string{"00002/output/models/best.txt", "00003/attempt-1/stdout", "lost+found/x"} {
		path := filepath.Join(trials, filepath.FromSlash(name))
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("best"), 0o600))
		if err != nil {
			t.Fatal(err)
		}
	}
	if all := m.outputs(); len(all) != 1 || all[0].Trial != 2 || !all[0].Elsewhere {
		t.Errorf("there is %+v", all)
	}
	status, text := m.do(http.MethodGet, "/v1/outputs/2/output", bearer, nil)
	dir := t.TempDir()
	if err := archive.Read(t.Context(), strings.NewReader(text), dir); err != nil || status != http.StatusOK {
		t.Fatalf("got %d, %v", status, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "models", "best.txt")); err != nil || string(data) != "best" {
		t.Errorf("it has %q, %v", data, err)
	}
	if status, text := m.do(http.MethodGet, "/v1/outputs/3/output", bearer, nil); status != http.StatusNotFound {
		t.Errorf("of trial 3 there is %d %s", status, text)
	}
}
