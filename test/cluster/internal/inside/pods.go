package inside

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/metaml/metaml/internal/process"
)

// KillPod ends every process of a pod at once, as kill -9 does, its pause process too, and says how many it were.
func KillPod(uid string) (killed int, err error) { return KillInPod(uid, "") }

// KillInPod ends those processes of a pod whose command line has a text in it.
func KillInPod(uid, text string) (killed int, err error) {
	found, err := InPod(uid, text)
	if err != nil {
		return 0, err
	}
	for _, pid := range found {
		if err := process.Signal(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return killed, fmt.Errorf("kill process %d of pod %s: %w", pid, uid, err)
		}
		killed++
	}
	return killed, nil
}

// InPod finds those processes of a pod whose command line has a text in it. What they see as their files is below
// /proc/PID/root.
func InPod(uid, text string) (found []int, err error) {
	groups, err := podGroups(uid)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("find processes of pod %s: no control group is its", uid)
	}
	for _, group := range groups {
		err := filepath.WalkDir(group, func(path string, item fs.DirEntry, err error) error {
			if err != nil || item.Name() != "cgroup.procs" {
				return ignoreGone(err)
			}
			processes, err := os.ReadFile(path)
			if err != nil {
				return ignoreGone(err)
			}
			for line := range strings.Lines(string(processes)) {
				pid, err := strconv.Atoi(strings.TrimSpace(line))
				if err == nil && pid > 1 && !slices.Contains(found, pid) && strings.Contains(commandLine(pid), text) {
					found = append(found, pid)
				}
			}
			return nil
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// commandLine is that of a process, its words separated by spaces; "" where it is gone.
func commandLine(pid int) string {
	words, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline")) // it may be gone
	return strings.ReplaceAll(strings.TrimRight(string(words), "\x00"), "\x00", " ")
}

// podGroups are the folders of a pod's control group, one for each tree that Linux has.
func podGroups(uid string) ([]string, error) {
	var found []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, item fs.DirEntry, err error) error {
		if err != nil || !item.IsDir() {
			return ignoreGone(err)
		}
		if item.Name() == "pod"+uid {
			found = append(found, path)
			return fs.SkipDir
		}
		return nil
	})
	return found, err
}

// ignoreGone leaves out that a control group was removed while it was looked at.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil
	}
	return err
}
