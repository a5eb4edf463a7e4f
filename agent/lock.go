package agent

import (
	"encoding/json"
	"os"
	"syscall"
	"time"
)

// lockPatience is how long the end of a run may wait for its lock.txt.
const lockPatience = 5 * time.Second

// lock writes the run's lock.txt, once: a process of its own, at the lowest priority, so that no trial waits for it.
func (s *Supervisor) lock(modules map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locking || s.closed {
		return
	}
	s.locking = true
	s.group.Go(func() {
		if err := s.writeLock(modules); err != nil {
			// Nobody waits for it; the monitor's log has the reason.
			_, _ = os.Stderr.WriteString("lock.txt was not written: " + err.Error() + "\n")
		}
	})
}

func (s *Supervisor) writeLock(modules map[string]string) error {
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	c, err := s.procs.run(command{
		argv: []string{s.opts.Spec.Python, "-m", "metaml._lock"}, env: s.env, dir: string(s.opts.Folder),
		files: []*os.File{in, os.Stderr, os.Stderr},
	})
	_ = in.Close()
	if err != nil {
		return err
	}
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, c.pid, 19)
	err = json.NewEncoder(out).Encode(map[string]any{"file": s.opts.Folder.PackageLock(), "modules": modules})
	_ = out.Close()
	select {
	case <-c.exited:
		return err
	case <-s.closing:
	}
	select {
	case <-c.exited:
	case <-time.After(lockPatience):
		kill(c.pid, c.start, syscall.SIGKILL)
		<-c.exited
	}
	return err
}
