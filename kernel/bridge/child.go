package bridge

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is the wrapped ipykernel. It is in our process group, so that an interrupt
// sent to the group reaches it and what it started, as when it is started alone.
type child struct {
	cmd   *exec.Cmd
	ended chan error // receives once

	mu   sync.Mutex // guards last
	last []string   // latest lines of its standard error
}

// lastLines is how many lines of standard error are kept for the log and for messages.
const lastLines = 12

// startChild starts the wrapped kernel; seen gets every line of its standard error.
func startChild(argv, env []string, seen func(string)) (*child, error) {
	c := &child{ended: make(chan error, 1)}
	c.cmd = exec.Command(argv[0], argv[1:]...) //nolint:noctx // it is ended by signals, in order
	c.cmd.Env = env
	c.cmd.Stdin, c.cmd.Stdout = os.Stdin, os.Stdout
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the wrapped kernel: %w", err)
	}
	c.cmd.Stderr = write
	c.cmd.SysProcAttr = dieWithParent()
	started := make(chan error)
	go func() {
		// Linux sends the parent-death signal when the thread that forked ends: this
		// goroutine keeps its thread until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		_ = write.Close()
		started <- err
		if err != nil {
			_ = read.Close()
			return
		}
		lines := make(chan struct{})
		go func() {
			defer close(lines)
			c.relay(read, seen)
		}()
		err = c.cmd.Wait()
		// Programs that it left running may hold the pipe: what is there is read, no more.
		_ = read.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		<-lines
		_ = read.Close()
		c.ended <- err
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the wrapped kernel: %w", err)
	}
	return c, nil
}

// relay copies standard error to ours and keeps its last lines.
func (c *child) relay(r io.Reader, seen func(string)) {
	in := bufio.NewReaderSize(io.TeeReader(r, os.Stderr), 16<<10)
	for {
		part, err := in.ReadSlice('\n')
		if text := strings.TrimRight(string(part), "\r\n"); text != "" {
			c.mu.Lock()
			c.last = append(c.last, text)
			if len(c.last) > lastLines {
				c.last = c.last[1:]
			}
			c.mu.Unlock()
			seen(text)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (c *child) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.last, "\n")
}

// exitCode is the child's own, or 128 + signal.
func exitCode(err error) int {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return 1
		}
		return 0
	}
	if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return 128 + int(st.Signal())
	}
	return exit.ExitCode()
}

// stop ends the child: politely, then not.
func (c *child) stop(patience time.Duration) error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-c.ended:
		return err
	case <-time.After(patience):
	}
	_ = c.cmd.Process.Kill()
	return <-c.ended
}

// childEnv is the environment of the wrapped kernel.
func (b *Bridge) childEnv() []string {
	set := map[string]string{
		"JPY_PARENT_PID": strconv.Itoa(os.Getpid()), // ipykernel watches its parent: us
		"_METAML_SOCKET": b.folder.path("cells"),
		// Whoever started us, which is what JPY_PARENT_PID said.
		"_METAML_STARTER": cmp.Or(os.Getenv("JPY_PARENT_PID"), strconv.Itoa(os.Getppid())),
	}
	if argv, _, err := b.cfg.Metaml(); err == nil { // else the first cell says why
		set["_METAML_BIN"] = argv[0]
	}
	if b.cfg.ModuleDir != "" {
		old := os.Getenv("PYTHONPATH")
		set["_METAML_OLD_PYTHONPATH"] = old // the module puts it back, for programs the user starts
		set["PYTHONPATH"] = b.cfg.ModuleDir
		if old != "" {
			set["PYTHONPATH"] += string(os.PathListSeparator) + old
		}
	}
	env := make([]string, 0, len(os.Environ())+len(set))
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if _, ours := set[name]; !ours && !strings.HasPrefix(name, "_METAML_") {
			env = append(env, kv)
		}
	}
	for name, value := range set {
		env = append(env, name+"="+value)
	}
	return env
}

// childArgv is the command of the wrapped kernel.
func (b *Bridge) childArgv() []string {
	argv := []string{b.cfg.Python, "-m", "ipykernel_launcher", "-f", b.childFile()}
	if b.cfg.ModuleDir != "" {
		argv = append(argv, "--ext", "metaml")
	}
	return append(argv, b.cfg.Args...)
}
