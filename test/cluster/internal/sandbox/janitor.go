//go:build linux

package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// groups is where Linux shows control groups: one tree (version 2), or one for each controller (version 1).
const groups = "/sys/fs/cgroup"

// After the last process, the kernel needs a moment until its control group can be removed.
const patience = 15 * time.Second

// Group is the name of the control group that belongs to a run's folder.
func Group(folder string) string {
	return "metaml-cluster-" + strings.TrimPrefix(filepath.Base(folder), "run-")
}

// janitor waits until the first process has ended, and removes what is left.
func janitor(box Box) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	heard := bufio.NewScanner(os.Stdin)
	if heard.Scan() {
		if pid, err := strconv.Atoi(heard.Text()); err == nil {
			waitFor(pid)
		}
	}
	// Run has its own end to do, such as ending the network: it closes the pipe then, or is no more.
	for heard.Scan() {
		continue
	}
	if err := Clean(box.Folder, box.Log); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		return 1
	}
	return 0
}

// waitFor waits until a process has ended. The first of a namespace ends after all others in there.
func waitFor(pid int) {
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has ended
	}
	defer func() { _ = unix.Close(handle) }()
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// Clean removes the control groups and the folder of a run that has ended. Its log takes the place of the folder log.
func Clean(folder, log string) error {
	err := removeGroups(Group(folder))
	if log != "" {
		os.RemoveAll(log)
		if err := os.Rename(filepath.Join(folder, "log"), log); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keep the cluster's logs: %w", err)
		}
	}
	return errors.Join(err, os.RemoveAll(folder))
}

// Groups are the folders of a control group, one for each tree that Linux has.
func Groups(name string) []string {
	found, _ := filepath.Glob(filepath.Join(groups, name))
	inTrees, _ := filepath.Glob(filepath.Join(groups, "*", name))
	return append(found, inTrees...)
}

// MakeGroups makes a control group in every tree.
func MakeGroups(name string) error {
	trees := []string{groups}
	if _, err := os.Stat(filepath.Join(groups, "cgroup.controllers")); err != nil {
		if trees, err = filepath.Glob(filepath.Join(groups, "*")); err != nil {
			return err
		}
	}
	for _, tree := range trees {
		folder := filepath.Join(tree, name)
		if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a control group: %w", err)
		}
		// In version 1 a new group has no processors and no memory until they are written into it.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			all, err := os.ReadFile(filepath.Join(tree, file))
			if err != nil || len(trees) == 1 {
				continue
			}
			if err := os.WriteFile(filepath.Join(folder, file), all, 0o600); err != nil {
				return fmt.Errorf("give a control group its processors: %w", err)
			}
		}
	}
	return nil
}

// removeGroups removes a control group and all below it.
func removeGroups(name string) error {
	for until := time.Now().Add(patience); ; {
		var failed error
		for _, top := range Groups(name) {
			failed = errors.Join(failed, removeTree(top))
		}
		if failed == nil {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("remove the cluster's control groups: %w", failed)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// removeTree removes the folders of a control group, the lowest first; their files are no files.
func removeTree(folder string) error {
	items, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, item := range items {
		if item.IsDir() {
			if err := removeTree(filepath.Join(folder, item.Name())); err != nil {
				return err
			}
		}
	}
	return syscall.Rmdir(folder)
}
