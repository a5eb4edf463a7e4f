package front

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// TestSwitchesLoseNoRequest replaces the revision again and again under load; every second one has another path.
func TestSwitchesLoseNoRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "say", run.FrontRevision{Timeout: 20 * time.Second, Workers: 2}, "SAYS=1")
	stop := make(chan struct{})
	var load sync.WaitGroup
	var count atomic.Int64
	var newest atomic.Int64
	newest.Store(1)
	for i := range 8 {
		load.Go(func() {
			c := r.dial() // one connection for all, which must live on
			in := bufio.NewReader(c)
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				body := fmt.Sprintf("[%d,%d]", i, k)
				least := newest.Load()
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				response, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Errorf("after %d requests: %v", k, err)
					return
				}
				data, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				var answer struct {
					Says  string
					Input []int
				}
				var says int64
				if json.Unmarshal(data, &answer) == nil {
					_, _ = fmt.Sscan(answer.Says, &says)
				}
				if response.StatusCode != 200 || !slices.Equal(answer.Input, []int{i, k}) || says < least {
					t.Errorf("request %d: %d %s, by revision %d or newer", k, response.StatusCode, data, least)
					return
				}
				count.Add(1)
			}
		})
	}
	old := []*process(nil)
	for number := 2; number <= 21; number++ {
		before := count.Load()
		waitFor(t, "requests between two switches", func() bool { return count.Load() > before+20 || t.Failed() })
		started := r.serve(number, "say", run.FrontRevision{Timeout: 20 * time.Second, Workers: 1 + number%2},
			fmt.Sprintf("SAYS=%d", number))
		newest.Store(int64(number))
		r.find("the old revision to be drained", func(u run.FrontUpdate) bool { return u.Drained == number-1 })
		check(t, r.Retire(number-1))
		for _, p := range old {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
		old = started
	}
	close(stop)
	load.Wait()
	if r.log.String() != "" {
		t.Errorf("the log has %s", r.log)
	}
}

func TestThePathMayChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	if got := r.post("1"); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("before there is anything: %v", got)
	}
	r.serve(1, "echo", run.FrontRevision{Timeout: 20 * time.Second})
	r.serve(2, "echo", run.FrontRevision{Timeout: 20 * time.Second, Path: "/other"})
	if got := r.post("1"); got.status != 404 || !strings.Contains(got.body, "answers at /other") {
		t.Errorf("the old path: %v", got)
	}
	if got := r.ask("POST", "/other", "", "1"); got.status != 200 {
		t.Errorf("the new path: %v", got)
	}
	// Back again.
	r.find("the first to be drained", func(u run.FrontUpdate) bool { return u.Drained == 1 })
	check(t, r.Switch(1))
	waitFor(t, "the first to answer again", func() bool { return r.post("1").status == 200 })
}

func TestAProbe(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	check(t, r.Revision(run.FrontRevision{Number: 7, Path: "/predict", Timeout: 20 * time.Second, Workers: 1}))
	r.worker(7, 0, 1, startWorker(t, "act", 0))
	check(t, r.Probe(7, `{"text": "hello"}`))
	probed := func(what string) run.Probed {
		return *r.find(what, func(u run.FrontUpdate) bool { return u.Probed != nil && u.Probed.Example == what }).Probed
	}
	if p := probed(`{"text": "hello"}`); p.Status != 200 || p.Body != "hello" || p.ContentType != typeText ||
		p.Seconds <= 0 || p.Error != "" {
		t.Errorf("got %+v", p)
	}
	check(t, r.Probe(7, `{"raise": "x"}`))
	if p := probed(`{"raise": "x"}`); p.Status != 500 || p.Error == "" || p.Failure == nil ||
		p.Failure.Text != "act raised ValueError: x" || p.Failure.Error.Type != "ValueError" || p.Failure.Fatal {
		t.Errorf("got %+v", p)
	}
	check(t, r.Probe(7, `{"exit": 1}`))
	if p := probed(`{"exit": 1}`); p.Status != 502 || p.Error == "" {
		t.Errorf("got %+v", p)
	}
	// It answers nobody else yet.
	if got := r.post("1"); got.status != 503 {
		t.Errorf("got %v", got)
	}
}

func TestAProbeOfARevisionThatWasReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	r.serve(2, "act", run.FrontRevision{Timeout: 20 * time.Second})
	check(t, r.Probe(1, "1"))
	p := r.find("the probe", func(u run.FrontUpdate) bool { return u.Probed != nil && u.Probed.Revision == 1 }).Probed
	if p.Status != 503 || p.Error != "the server was given another revision; try again" {
		t.Errorf("got %+v", p)
	}
}

func TestStopAnswersWhatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if got := r.post(`{"sleep": 0.2, "text": "whole"}`); got.status != 200 || got.body != "whole" {
				t.Errorf("got %v", got)
			}
		})
	}
	revision := r.front.revision(1)
	waitFor(t, "the requests", func() bool {
		revision.mu.Lock()
		defer revision.mu.Unlock()
		return revision.outstanding == 4
	})
	check(t, r.Stop(20*time.Second))
	r.find("the end", func(u run.FrontUpdate) bool { return u.Ended != nil })
	wait.Wait()
	if _, err := net.Dial("tcp", r.addr); err == nil {
		t.Error("it listens still")
	}
}

// A request that came before the stop is answered, also where the rest of its body comes later; one that comes
// later is not.
func TestStopAnswersWhatIsStillComing(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	slow, kept := r.dial(), r.dial()
	const head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
	ask := func(c net.Conn, text string) {
		_, err := c.Write([]byte(text))
		check(t, err)
	}
	answer := func(c net.Conn) (status int, last bool) {
		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		check(t, err)
		_, err = io.Copy(io.Discard, a.Body)
		check(t, errors.Join(err, a.Body.Close()))
		return a.StatusCode, a.Close
	}
	ask(kept, head+"2\r\n\r\n{}")
	if status, last := answer(kept); status != 200 || last {
		t.Errorf("before: %d, close %t", status, last)
	}
	check(t, r.Leave())
	waitFor(t, "the order", r.front.leaving.Load)
	ask(kept, head+"2\r\n\r\n{}")
	if status, last := answer(kept); status != 200 || !last {
		t.Errorf("clients are to go elsewhere: %d, close %t", status, last)
	}
	// Larger than what is read before the request is handled.
	body := strings.Repeat(" ", 1<<20) + "{}"
	ask(slow, head+strconv.Itoa(len(body))+"\r\n\r\n"+body[:1<<19])
	waitFor(t, "the beginning of a request", func() bool { return r.front.budget.used.Load() > 1<<17 })
	check(t, r.Stop(20*time.Second))
	waitFor(t, "the stop", r.front.refusing.Load)
	ask(slow, body[1<<19:])
	if status, _ := answer(slow); status != 200 {
		t.Errorf("a request that came before the stop: %d", status)
	}
	r.find("the end", func(u run.FrontUpdate) bool { return u.Ended != nil })
}

func TestStopWaitsForItsGraceOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	answered := make(chan reply)
	go func() { answered <- r.post(`{"sleep": 15}`) }()
	revision := r.front.revision(1)
	waitFor(t, "the request", func() bool {
		revision.mu.Lock()
		defer revision.mu.Unlock()
		return revision.outstanding == 1
	})
	check(t, r.Stop(100*time.Millisecond))
	if got := <-answered; got.status != 503 || !strings.Contains(got.body, "stopping") {
		t.Errorf("got %v", got)
	}
	r.find("the end", func(u run.FrontUpdate) bool { return u.Ended != nil })
}

func TestWhenTheMonitorDies(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	p := r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	answered := make(chan reply, 2)
	revision := r.front.revision(1)
	for n := range 2 { // one is answered by the worker, one waits
		go func() { answered <- r.post(`{"sleep": 15}`) }()
		waitFor(t, "the request", func() bool {
			revision.mu.Lock()
			defer revision.mu.Unlock()
			return revision.outstanding == n+1
		})
	}
	_ = r.conn.CloseWrite() // what the front sees of a dead monitor, with which the workers die
	_ = p[0].Process.Kill()
	got := map[int]int{}
	for range 2 {
		a := <-answered
		got[a.status]++
		if !strings.Contains(a.body, "error") {
			t.Errorf("got %v", a)
		}
	}
	if got[502] != 1 || got[503] != 1 {
		t.Errorf("got %v, want one that was lost and one to be sent again", got)
	}
}
