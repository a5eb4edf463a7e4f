package front

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
)

// withListeners adds listening sockets to what a process is given: --listener lists their descriptors.
func withListeners(argv []string, files, listeners []*os.File) ([]string, []*os.File) {
	if len(listeners) == 0 {
		return argv, files
	}
	var numbers []string
	for _, l := range listeners {
		numbers = append(numbers, fmt.Sprint(len(files)))
		files = append(files, l)
	}
	return append(argv, "--listener", strings.Join(numbers, ",")), files
}

// takeover is the descriptor on which a new monitor says that it has a front of its own.
const takeover = 3

// startMonitor starts a monitor in place of the one that died, with the sockets that it listened on, and leaves
// everything to it when it has a front of its own. One that is killed before that, or cannot go on, is replaced: nobody
// else would. What is lacking may be there again in a while: room on the disk, memory, processes, open files.
func (f *front) startMonitor(ctx context.Context, o MainOptions) error {
	defer f.release()
	for wait, until := 10*time.Millisecond, time.Now().Add(monitorPatience); ; wait = min(2*wait, monitorPause) {
		if _, err := os.Stat(folder.Run(o.Folder).Spec()); errors.Is(err, os.ErrNotExist) {
			return nil // the run was deleted: nothing is left to serve
		}
		done, err := f.handOver(ctx, o)
		if done || err != nil && time.Now().After(until) {
			return err
		}
		if err != nil {
			f.log(logLine{Error: err.Error()})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// How long a front tries to start a monitor that ends by itself each time, and the longest pause meanwhile.
const (
	monitorPatience = time.Hour
	monitorPause    = 5 * time.Second
)

// handOver starts a monitor and waits until it has a front, or needs none. It is not done when the monitor is killed
// before that.
func (f *front) handOver(ctx context.Context, o MainOptions) (done bool, err error) {
	binary, err := os.Executable()
	if err != nil {
		return false, fmt.Errorf("start a monitor: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return false, fmt.Errorf("start a monitor: %w", err)
	}
	defer null.Close()
	log, err := folder.OpenOwn(folder.Run(o.Folder).MonitorLog(), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		log = o.Log
	} else {
		defer log.Close()
	}
	ready, readyWriter, err := os.Pipe()
	if err != nil {
		return false, fmt.Errorf("start a monitor: %w", err)
	}
	defer ready.Close()
	var listeners []*os.File
	f.mu.Lock()
	for _, l := range f.listeners {
		listeners = append(listeners, l.file)
	}
	f.mu.Unlock()
	args, files := withListeners([]string{binary, "monitor", "--dir", o.Folder, "--takeover", fmt.Sprint(takeover)},
		[]*os.File{null, log, log, readyWriter}, listeners)
	p, err := os.StartProcess(binary, args, &os.ProcAttr{
		Dir: o.Folder, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	_ = readyWriter.Close()
	if err != nil {
		return false, fmt.Errorf("start a monitor: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = ready.Close() })
	defer stop()
	if n, _ := ready.Read(make([]byte, 1)); n > 0 || ctx.Err() != nil {
		return true, p.Release()
	}
	state, err := p.Wait()
	switch {
	case err != nil:
		return false, fmt.Errorf("wait for the new monitor: %w", err)
	case state.Success():
		return true, nil // the server has ended, or another monitor is there
	case state.Exited():
		return false, fmt.Errorf("the new monitor ended with exit status %d; %s has the reason", state.ExitCode(),
			folder.Run(o.Folder).MonitorLog())
	default:
		return false, nil
	}
}
