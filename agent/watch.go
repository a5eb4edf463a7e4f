package agent

import (
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
	watchEvery = 500 * time.Millisecond // between two looks at the logs
	hangLooks  = 6                      // looks within hangAfter
)

// hangAfter is how long a fork may use no processor time and write nothing before it is suspected to hang. A test links
// its own.
var hangAfter = "30s"

// pulse is what a living trial changes.
type pulse struct {
	ticks, bytes int64
}

// watch looks at running attempts: logs that grow too long, forks that may hang.
func (s *Supervisor) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	pulses := map[run.AttemptID]pulse{}
	since := map[run.AttemptID]time.Time{}
	told := false
	patience, err := time.ParseDuration(hangAfter)
	if err != nil {
		patience = 30 * time.Second
	}
	every := max(1, int(patience/hangLooks/watchEvery))
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
			if told || s.opts.Spec.Server != nil || proc == nil || !proc.forked || look%every != 0 {
				continue
			}
			now, ok := takePulse(proc.pid, logs)
			if !ok {
				continue
			}
			if before, seen := pulses[a.AttemptID]; !seen || before != now {
				pulses[a.AttemptID], since[a.AttemptID] = now, time.Now()
				continue
			}
			if time.Since(since[a.AttemptID]) >= patience && !sleeping(proc.pid) {
				told = true
				s.note(a.AttemptID, run.Note{
					Code: "may-hang",
					Text: fmt.Sprintf("trial %d has used no processor time and written nothing for %d s; it may hang "+
						"after the fork", a.Trial, int(patience.Seconds())),
					Hint: "if it does, stop the run and use --fresh-process",
				})
			}
		}
		if len(running) == 0 {
			clear(pulses)
			clear(since)
		}
	}
}

// takePulse sums up what the trial's session has used and written.
func takePulse(pid int, logs [2]*cappedLog) (pulse, bool) {
	main, ok := readProc(pid)
	if !ok {
		return pulse{}, false
	}
	p := pulse{ticks: main.ticks}
	for _, q := range table(pid) {
		if q.session == pid && q.pid != pid {
			p.ticks += q.ticks
		}
	}
	for _, l := range logs {
		if l == nil {
			continue
		}
		if info, err := os.Lstat(l.path); err == nil {
			p.bytes += info.Size()
		}
	}
	if data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/io"); err == nil {
		sum := sha256.Sum256(data) // anything read or written
		p.bytes += int64(binary.BigEndian.Uint32(sum[:]))
	}
	return p, true
}

// sleeping reports whether the process waits for a time, as it was told to.
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
