package elsewhere

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/atomicfile"
)

// mirrors names, in the environment of a process that keeps a mirror, the folders that it keeps alike: from and to.
const mirrors = "METAML_TEST_MIRROR"

// Mirror keeps a mirror if this process was started for it, and reports whether it was.
func Mirror() bool {
	from, to, kept := strings.Cut(os.Getenv(mirrors), "\n")
	if !kept {
		return false
	}
	if err := mirror(folder.Run(from), folder.Run(to)); err != nil {
		fmt.Fprintln(os.Stderr, "the mirror of", from, "ended:", err)
	}
	return true
}

// mirror copies what a record has grown by, the events last, until the run has ended or nobody looks after it.
func mirror(from, to folder.Run) error {
	lock, err := to.LockMonitor()
	if err != nil {
		return nil // another process does it
	}
	defer lock.Close()
	if err := to.WriteMonitor(); err != nil {
		return err
	}
	there := record.Reader{Dir: filepath.Dir(string(from))}
	alive, begun := false, time.Now()
	for {
		now, err := there.Exactly(filepath.Base(string(from)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the run was deleted
		}
		if err != nil {
			return err
		}
		monitored := from.Monitored()
		events, err := os.ReadFile(from.Events())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		events = events[:strings.LastIndexByte(string(events), '\n')+1]
		if err := copyRecord(from, to); err != nil {
			return err
		}
		if err := appendTo(to.Events(), events); err != nil {
			return err
		}
		alive = alive || now.Liveness == run.Alive
		dead := now.Liveness == run.Dead && (alive || time.Since(begun) > 5*time.Second) // else it is being started
		if now.State.Phase.Final() && !monitored || dead {
			return nil
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Mirrors reports whether a process keeps a mirror.
func (t *Target) Mirrors() bool {
	dir := folder.MirrorOf(t.here, Name, Place).Dir
	names, _ := folder.Names(dir)
	return slices.ContainsFunc(names, func(name string) bool { return folder.In(dir, name).Monitored() })
}

// CatchUp waits until the mirror of a run has all that its record has there, and has ended if nobody looks after the
// run.
func (t *Target) CatchUp(name string) error {
	if _, err := t.settle(run.ParseName(name).Run); err != nil {
		return err
	}
	from, to := t.there.Folder(run.ParseName(name).Run), t.mirror(name)
	behind := errors.New("it is not there yet")
	same := func(from, to string) error {
		a, errA := os.Stat(from)
		b, errB := os.Stat(to)
		if errA == nil && (errB != nil || a.Size() != b.Size()) {
			return behind
		}
		return nil
	}
	return await("the mirror of "+name, func() bool {
		return same(from.Events(), to.Events()) == nil && eachFile(from, to, same) == nil
	})
}

// copyRecord copies all but the events, the outputs and what is the monitor's own.
func copyRecord(from, to folder.Run) error { return eachFile(from, to, copyFile) }

// eachFile hands out the files that a mirror has beside the events, as they are called there and here.
func eachFile(from, to folder.Run, fn func(from, to string) error) error {
	own := map[string]bool{
		from.Events(): true, from.EnvironmentFile(): true, from.MonitorFile(): true, from.MonitorLock(): true,
		from.MonitorLog(): true, from.SeenFile(): true, from.StopFile(): true,
	}
	return filepath.WalkDir(string(from), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, string(from)), "/")
		if d.IsDir() && (d.Name() == "output" || strings.HasPrefix(d.Name(), ".")) && name != "" {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || own[path] || strings.HasPrefix(d.Name(), ".") || d.Name() == "environment.json" ||
			strings.HasSuffix(d.Name(), ".lock") {
			return nil
		}
		return fn(path, filepath.Join(string(to), name))
	})
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return appendTo(to, data)
}

// appendTo makes a file that grew there as long as data; one that was replaced is written anew.
func appendTo(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	old, _ := os.ReadFile(path)
	if len(old) == len(data) && string(old) == string(data) && exists(path) {
		return nil
	}
	if !strings.HasPrefix(string(data), string(old)) {
		return atomicfile.Write(path, data, 0o600)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data[len(old):])
	return errors.Join(err, f.Close())
}
