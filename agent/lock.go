package agent

import (
	"encoding/json"
	"os"
	"syscall"
	"time"
)

// lockPatience is how long the end of a run may wait for its lock.txt.
const lockPatience = 3 * time.Second

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

// writeLock starts over without courtesy when the run ends before the lock is written: then no trial is left to wait
// for it.
func (s *Supervisor) writeLock(modules map[string]string) error {
	c, err := s.startLock(modules)
	if err != nil {
		return err
	}
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, c.pid, 19)
	select {
	case <-c.exited:
		return nil
	case <-s.closing:
	}
	kill(c.pid, c.start, syscall.SIGKILL)
	<-c.exited
	if _, err := os.Lstat(s.opts.Folder.PackageLock()); err == nil {
		return nil
	}
	if c, err = s.startLock(modules); err != nil {
		return err
	}
	select {
	case <-c.exited:
	case <-time.After(lockPatience):
		kill(c.pid, c.start, syscall.SIGKILL)
		<-c.exited
	}
	return nil
}

func (s *Supervisor) startLock(modules map[string]string) (*child, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c, err := s.procs.run(command{
		argv: []string{s.opts.Spec.Python, "-m", "metaml._loader.lock"}, env: s.env, dir: string(s.opts.Folder),
		files: []*os.File{in, os.Stderr, os.Stderr},
	})
	_ = in.Close()
	if err != nil {
		return nil, err
	}
	// If it does not read this, it has ended, and said why.
	_ = json.NewEncoder(out).Encode(map[string]any{"file": s.opts.Folder.PackageLock(), "modules": modules})
	return c, nil
}
