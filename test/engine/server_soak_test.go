package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
)

// For twenty seconds the processes of a server are killed at random moments, also while others of them are being
// started again, and now and then the server is replaced, or scaled. No answer may be wrong and no connection refused,
// and after each kill the server answers again without help.
func TestServerSoak(t *testing.T) {
	const kills, people = 40, 4
	s := newServer(t)
	source := func(revision int) string {
		return fmt.Sprintf("def serve(input: int):\n    return [input * input, %d]\n", revision)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	s.deploy(s.scalable(2), source(1))
	url := s.url()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var asking sync.WaitGroup
	var right, unlucky atomic.Int64
	quit := make(chan struct{})
	for i := range people {
		asking.Go(func() {
			client := &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for n := i; ; n += people {
				select {
				case <-quit:
					return
				default:
				}
				switch revision, err := askSquare(client, url, n); {
				case errors.Is(err, errWrong), errors.Is(err, syscall.ECONNREFUSED):
					t.Errorf("request %d: %v", n, err)
					return
				case err != nil:
					unlucky.Add(1)
				case revision < 1:
					t.Errorf("request %d was answered by revision %d", n, revision)
				default:
					right.Add(1)
				}
			}
		})
	}
	revisions, replicas := 1, 2
	count := map[string]int{}
	for n := 0; n < kills && ctx.Err() == nil; n++ {
		kind := []string{"worker", "loader", "front", "monitor", "revision", "scale"}[rng.IntN(6)]
		count[kind]++
		switch kind {
		case "revision":
			revisions++
			s.submit(s.scalable(1+rng.IntN(2)), source(revisions))
		case "scale":
			replicas = 3 + rng.IntN(3) // never what a revision says, so that the next has as many
			if err := s.Scale(t.Context(), s.name, run.Replicas{Min: replicas}); err != nil {
				t.Fatal(err)
			}
		}
		if kind == "revision" || kind == "scale" {
			kind = []string{"worker", "loader", "front", "monitor"}[rng.IntN(4)]
			count[kind]++
			// In the middle of what it starts.
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(rng.IntN(150)) * time.Millisecond):
			}
		}
		victims := []string{kind}
		if kind == "worker" || kind == "loader" {
			// Another kill before this one has healed. Only front and monitor need each other.
			victims = append(victims, []string{"worker", "front"}[rng.IntN(2)])
		}
		for _, v := range victims {
			if pid := s.liveProcess(v); pid != 0 {
				_ = process.Signal(pid, syscall.SIGKILL)
				s.waitFor("the "+v+" to die", func() bool { return !anyAlive([]int{pid}) })
			}
		}
		probe := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		s.waitFor("an answer after the kill of a "+kind, func() bool {
			_, err := askSquare(probe, url, n)
			return err == nil
		})
		// These guard each other: both are there before one is killed again.
		s.waitFor("front and monitor", func() bool {
			return s.liveProcess("front") != 0 && s.liveProcess("monitor") != 0
		})
	}
	s.waitFor("the newest revision", func() bool {
		l, err := s.Load(s.t.Context(), s.name)
		return err == nil && l.State.Server.Revision == revisions
	})
	if count["scale"] > 0 {
		s.waitForWorkers(replicas)
	}
	close(quit)
	asking.Wait()
	t.Logf("%v, %d right answers, %d requests without one", count, right.Load(), unlucky.Load())
	if right.Load() == 0 || s.url() != url {
		t.Errorf("at %s", s.url())
	}
	if t.Failed() {
		t.Log(s.describe())
	}
}

// askSquare sends a request to the soak's function and checks the answer.
func askSquare(client *http.Client, url string, n int) (revision int, err error) {
	r, err := client.Post(url, "application/json", strings.NewReader(strconv.Itoa(n)))
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err
	}
	if r.StatusCode >= 500 {
		return 0, fmt.Errorf("status %d: %s", r.StatusCode, body)
	}
	var square int
	if _, err := fmt.Sscanf(string(body), "[%d,%d]", &square, &revision); err != nil || r.StatusCode != 200 ||
		square != n*n {
		return 0, fmt.Errorf("%w: %d %s", errWrong, r.StatusCode, body)
	}
	return revision, nil
}

var errWrong = errors.New("a wrong answer")
