package agent

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

const (
	watchEvery = 500 * time.Millisecond // between two checks of the logs
	hangLooks  = 6                      // checks within Options.HangAfter
	hangAfter  = 30 * time.Second       // if Options has none
)

// activity is what a trial changes while it works.
type activity struct {
	ticks, bytes int64
}

// watch checks running attempts: logs that grow too long, forks that may hang.
func (s *Supervisor) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	seen := map[run.AttemptID]activity{}
	since := map[run.AttemptID]time.Time{}
	noted := false
	limit := cmp.Or(s.opts.HangAfter, hangAfter)
	every := max(1, int(limit/hangLooks/watchEvery))
	for look := 1; ; look++ {
		select {
		case <-s.closing:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		running := make([]*attempt, 0, len(s.attempts))
		for _, a := range s.attempts {
			running = append(running, a)
		}
		s.mu.Unlock()
		for _, a := range running {
			a.mu.Lock()
			logs, proc := a.logs, a.proc
			a.mu.Unlock()
			for _, l := range logs {
				if l != nil {
					a.capLog(l)
				}
			}
			if noted || s.opts.Spec.Server != nil || proc == nil || !proc.forked || look%every != 0 {
				continue
			}
			now, ok := activityOf(proc.pid, logs)
			if !ok {
				continue
			}
			if before, known := seen[a.AttemptID]; !known || before != now {
				seen[a.AttemptID], since[a.AttemptID] = now, time.Now()
				continue
			}
			if time.Since(since[a.AttemptID]) >= limit && !sleeping(proc.pid) {
				noted = true
				s.note(a.AttemptID, run.Note{
					Code: run.NoteMayHang,
					Text: fmt.Sprintf("trial %d has used no processor time and written nothing for %d s; it may hang "+
						"after the fork", a.Trial, int(limit.Seconds())),
					Hint: "If it does, stop the run and use --fresh-process.",
				})
			}
		}
		if len(running) == 0 {
			clear(seen)
			clear(since)
		}
	}
}

// activityOf sums up what the trial's session has used and written.
func activityOf(pid int, logs [2]*cappedLog) (activity, bool) {
	main, ok := readProc(pid)
	if !ok {
		return activity{}, false
	}
	p := activity{ticks: main.ticks}
	for _, q := range table(pid) {
		if q.session == pid && q.pid != pid {
			p.ticks += q.ticks
		}
	}
	for _, l := range logs {
		if l == nil {
			continue
		}
		if info, err := os.Lstat(l.Path()); err == nil {
			p.bytes += info.Size()
		}
	}
	if data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/io"); err == nil {
		sum := sha256.Sum256(data) // anything read or written
		p.bytes += int64(binary.BigEndian.Uint32(sum[:]))
	}
	return p, true
}

// sleeping reports whether the process waits for a time, as its program has it.
func sleeping(pid int) bool {
	where, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/wchan")
	return err == nil && strings.Contains(string(where), "nanosleep")
}

// loadSeed seeds the program's top level: the same in every process that executes it.
func loadSeed(spec run.Spec) int64 {
	from := spec.Name
	if spec.Seed != nil {
		from = fmt.Sprintf("--seed %d", *spec.Seed)
	}
	sum := sha256.Sum256([]byte(from + "\x00load"))
	return int64(binary.BigEndian.Uint32(sum[:]))
}
