package cell

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one `metaml run --session - --render`. It leads a process group of its
// own, so that neither an interrupt nor the kernel's death reaches it; when its input
// ends it detaches and ends by itself.
type process struct {
	cmd  *exec.Cmd
	out  *os.File
	tail *tail
	end  chan error // receives once, when the process has ended

	mu     sync.Mutex // guards in; a write waits while `metaml` does not read
	in     io.WriteCloser
	closed bool
	failed error
}

// exitWait is how long the output of an ended `metaml` may stay open (by a child of
// its) before it is given up.
const exitWait = 2 * time.Second

func startProcess(argv, env []string, log *slog.Logger) (*process, error) {
	p := &process{tail: &tail{log: log}, end: make(chan error, 1)}
	p.cmd = exec.Command(argv[0], argv[1:]...) //nolint:noctx // the path is ours; it outlives the kernel on purpose
	p.cmd.Env = env
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr = p.tail
	p.cmd.WaitDelay = exitWait
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start metaml: %w", err)
	}
	out, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start metaml: %w", err)
	}
	p.out, p.cmd.Stdout = out, write
	err = p.cmd.Start()
	_ = write.Close()
	if err != nil {
		_ = out.Close()
		return nil, fmt.Errorf("start metaml: %w", err)
	}
	go func() {
		err := p.cmd.Wait()
		// What it left running may hold the output open: read what is there, then stop.
		_ = out.SetReadDeadline(time.Now().Add(exitWait))
		p.end <- err
	}()
	return p, nil
}

var errInputClosed = errors.New("metaml's input is closed")

func (p *process) send(text []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errInputClosed
	}
	_, err := p.in.Write(text)
	return err
}

func (p *process) closeInput() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		_ = p.in.Close()
	}
}

// fail gives up a process that does not keep to the protocol: its input ends, and
// with its output closed it cannot go on talking.
func (p *process) fail(err error) {
	p.mu.Lock()
	p.failed = err
	p.mu.Unlock()
	p.closeInput()
	_ = p.out.Close()
}

// wait returns when the process has ended; its output was read to the end before.
func (p *process) wait() error {
	err := <-p.end
	p.closeInput()
	_ = p.out.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return p.failed
	}
	return err
}

// tail logs what `metaml` writes to its standard error and keeps the last lines.
type tail struct {
	log *slog.Logger

	mu   sync.Mutex
	last []byte
}

const tailBytes = 2048

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.log.Info("metaml: " + strings.TrimRight(string(b[:min(len(b), tailBytes)]), "\n"))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, b...)
	if n := len(t.last) - tailBytes; n > 0 {
		t.last = append([]byte(nil), t.last[n:]...)
	}
	return len(b), nil
}

// String is the last three lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.last)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "\n")
}
