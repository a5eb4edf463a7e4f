//go:build linux

// Package sandbox runs a part of this very program in network, mount and process namespaces of its own, from which
// nothing comes out: when it ends, or this process does, even by SIGKILL, its processes, mounts, interfaces and control
// groups are gone.
//
// [Run] starts three other processes of the same program, each with a stage in its environment, so that main and
// TestMain call [Stage] before anything else:
//
//   - the janitor, outside the namespaces and in a session of its own. It learns when the first process has ended, and
//     removes what a kernel does not remove by itself: control groups and the run's folder;
//   - the first process of the namespaces. It collects ended processes, and ends, with everything in the namespaces,
//     when this process has ended: it holds a pipe from it. It starts
//   - the inside: the function that was given to Stage.
//
// slirp4netns translates network traffic to the outside, without which nothing in there could reach an index of
// packages. The package may import the standard library and golang.org/x/sys.
package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Box is a sandbox that is to be started.
type Box struct {
	// Folder is a new folder on a disk, in which the inside keeps what it likes. It is removed at the end, but its log.
	Folder string
	// Log is a folder that takes the place of Folder/log when the sandbox has ended: what the last run wrote.
	Log string
	// Inside is handed to the inside, as it is.
	Inside json.RawMessage
}

// Names of environment variables from process to process of this package.
const (
	stageName = "METAML_SANDBOX_STAGE"
	boxName   = "METAML_SANDBOX"
)

// Stage does the work of another process of [Run] and says with which code to end, if this is one. Otherwise done is
// false, and the program goes on. Inside gets the folder and what Box.Inside was.
func Stage(inside func(ctx context.Context, folder string, given json.RawMessage) int) (code int, done bool) {
	stage := os.Getenv(stageName)
	if stage == "" {
		return 0, false
	}
	var box Box
	if err := json.Unmarshal([]byte(os.Getenv(boxName)), &box); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: read the sandbox's description: %v\n", err)
		return 1, true
	}
	for _, name := range []string{stageName, boxName} {
		if err := os.Unsetenv(name); err != nil {
			fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
			return 1, true
		}
	}
	switch stage {
	case "janitor":
		return janitor(box), true
	case "first":
		return first(box), true
	case "inside":
		// SIGTERM ends the context, and Ctrl-C is for the command that the inside runs.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		return inside(ctx, box.Folder, box.Inside), true
	}
	fmt.Fprintf(os.Stderr, "cluster: the sandbox has no stage %q\n", stage)
	return 1, true
}

// stage is this program again, with another stage.
func stage(box Box, name string) (*exec.Cmd, error) {
	text, err := json.Marshal(box)
	if err != nil {
		return nil, err
	}
	// By its inode: `go run` and `go test` remove the file when this process ends.
	command := exec.Command("/proc/self/exe") //nolint:noctx // it ends by its pipe, however this process ends
	command.Args = []string{filepath.Base(os.Args[0]) + "-" + name}
	command.Env = append(os.Environ(), stageName+"="+name, boxName+"="+string(text))
	command.Stderr = os.Stderr
	return command, nil
}

// Run runs the inside, with this process's streams, and gives its exit code. When it returns, the box is cleaned up.
// SIGTERM to this process, or the end of ctx, is handed on as SIGTERM; Ctrl-C reaches the inside by the terminal.
func Run(ctx context.Context, box Box) (code int, err error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	locked, err := lockFolder(box.Folder)
	if err != nil {
		return 0, err
	}
	defer locked.Close()
	tell, cleaned, err := startJanitor(box, locked)
	if err != nil {
		return 0, errors.Join(err, os.RemoveAll(box.Folder))
	}
	defer func() {
		tell.Close()
		err = errors.Join(err, cleaned())
	}()

	command, err := stage(box, "first")
	if err != nil {
		return 0, err
	}
	lifeline, hold, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer hold.Close()
	command.Stdin, command.Stdout = os.Stdin, os.Stdout
	command.ExtraFiles = []*os.File{lifeline}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
	}
	err = command.Start()
	lifeline.Close()
	if err != nil {
		return 0, fmt.Errorf("start a process in namespaces of its own: %w", err)
	}
	fmt.Fprintln(tell, command.Process.Pid)
	endNetwork, err := startNetwork(command.Process.Pid)
	if err != nil {
		hold.Close()
		return 0, errors.Join(err, command.Wait())
	}
	defer endNetwork()

	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	over := ctx.Done()
	for {
		select {
		case err := <-ended:
			return exitCode(command.ProcessState), realError(err)
		case got := <-signals:
			if got == syscall.SIGTERM {
				terminate(command.Process)
			}
		case <-over:
			terminate(command.Process)
			over = nil
		}
	}
}

// lockFolder makes the run's folder and locks it for as long as one of this package's processes has it open.
func lockFolder(folder string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Join(folder, "log"), 0o755); err != nil {
		return nil, fmt.Errorf("make the cluster's folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the cluster's folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the cluster's folder %s: %w", folder, err), file.Close())
	}
	return file, nil
}

// startJanitor starts the process that cleans up. It learns the first process by what is written to tell, and cleaned
// waits for its end.
func startJanitor(box Box, locked *os.File) (tell *os.File, cleaned func() error, err error) {
	command, err := stage(box, "janitor")
	if err != nil {
		return nil, nil, err
	}
	listen, tell, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer listen.Close()
	command.Stdin = listen
	command.ExtraFiles = []*os.File{locked}
	// A signal to the group of this process does not end it.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		tell.Close()
		return nil, nil, fmt.Errorf("start the process that cleans up after the cluster: %w", err)
	}
	return tell, func() error {
		if err := command.Wait(); err != nil {
			return fmt.Errorf("clean up after the cluster: %w", err)
		}
		return nil
	}, nil
}

// startNetwork connects a process's network namespace with the outside. The translator ends with this process, as the
// pipe that it watches does.
func startNetwork(pid int) (end func(), err error) {
	watched, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	var said strings.Builder
	//nolint:noctx // it ends by its pipe, however this process ends
	command := exec.Command("slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", "--exit-fd=3",
		fmt.Sprint(pid), "tap0")
	command.ExtraFiles = []*os.File{watched}
	command.Stdout, command.Stderr = io.Discard, &said
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = command.Start()
	watched.Close()
	if err != nil {
		hold.Close()
		return nil, fmt.Errorf("connect the cluster's network: %w", err)
	}
	return func() {
		hold.Close()
		// How it ends does not matter: what did not work was seen by the inside, which waits for the interface.
		_ = command.Wait()
	}, nil
}

// first is the first process of the namespaces.
func first(box Box) int {
	lifeline := os.NewFile(3, "lifeline")
	syscall.CloseOnExec(3)
	if err := ownNamespaces(); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	command, err := stage(box, "inside")
	if err == nil {
		command.Stdin, command.Stdout = os.Stdin, os.Stdout
		err = command.Start()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "cluster: start what runs inside: %v\n", err)
		return 1
	}
	over := make(chan int, 2)
	go func() {
		// Nothing is ever written: it ends when the outer process has ended.
		_, _ = lifeline.Read(make([]byte, 1))
		over <- 128 + int(syscall.SIGKILL)
	}()
	go func() { over <- collect(command.Process.Pid) }()
	for {
		select {
		case code := <-over:
			return code
		case got := <-signals:
			if got == syscall.SIGTERM {
				terminate(command.Process)
			}
		}
	}
}

// ownNamespaces makes the new namespaces independent of the old ones: mounts stay in here, and /proc shows the
// processes of here.
func ownNamespaces() error {
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("keep mounts inside: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// collect collects every process that ends, as the first process of a namespace has to, until the one with this pid
// has; it gives that one's exit code.
func collect(pid int) int {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal())
		case ended == pid:
			return status.ExitStatus()
		}
	}
}

// exitCode is how a process ended, in a shell's way.
func exitCode(state *os.ProcessState) int {
	if status, is := state.Sys().(syscall.WaitStatus); is && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// realError leaves out that a process's exit code is not 0.
func realError(err error) error {
	if _, is := errors.AsType[*exec.ExitError](err); is {
		return nil
	}
	return err
}

// terminate asks a process to end. It may have ended.
func terminate(process *os.Process) { _ = process.Signal(syscall.SIGTERM) }

// Left are the folders of runs in a folder that nobody holds any more: their janitor was killed, too.
func Left(pattern string) []string {
	folders, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(folders, func(folder string) bool {
		locked, err := lockFolder(folder)
		if err == nil {
			locked.Close()
		}
		return err != nil
	})
}
