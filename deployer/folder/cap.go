package folder

import (
	"encoding/json"
	"fmt"
	"os"
)

// How long the log of one stream of an attempt may be, in bytes, before its middle goes, and what is kept then.
const (
	logLimit = 64 << 20
	logHead  = 16 << 20 // of its beginning
	logTail  = 32 << 20 // of its end, at least
)

// LogCap keeps a log from filling the disk: its middle is given back to the file system while it grows, behind the back
// of whoever writes it.
type LogCap struct {
	path    string
	gapFile string
	gap     Gap
}

// CapLog bounds the log of an attempt's stream from its beginning on.
func (r Run) CapLog(trial, attempt int, stream string) *LogCap {
	c := r.CapLogOn(trial, attempt, stream)
	c.gap = Gap{}
	_ = os.Remove(c.gapFile) // mostly there is none
	return c
}

// CapLogOn bounds a log that is written on.
func (r Run) CapLogOn(trial, attempt int, stream string) *LogCap {
	c := &LogCap{path: r.Stream(trial, attempt, stream), gapFile: r.GapFile(trial, attempt, stream)}
	if data, err := os.ReadFile(c.gapFile); err == nil {
		_ = json.Unmarshal(data, &c.gap) // what is damaged is written anew
	}
	return c
}

// Path is the log.
func (c *LogCap) Path() string { return c.path }

// Full reports whether a log of this size has too much in its middle.
func (c *LogCap) Full(size int64) bool { return size-max(c.gap.To-c.gap.From, 0) > logLimit }

// Cut gives back the middle, if there is too much of it. first says that this never happened before.
func (c *LogCap) Cut() (first bool) {
	info, err := os.Lstat(c.path)
	if err != nil || !c.Full(info.Size()) {
		return false
	}
	first = c.gap.To == 0
	// Whole blocks, so that the file system can free them.
	const block = 1 << 20
	to := (info.Size() - logTail) / block * block
	next := Gap{From: logHead, To: to}
	if ReplaceJSON(c.gapFile, next) != nil {
		return false
	}
	from := max(c.gap.To, logHead)
	c.gap = next
	f, err := os.OpenFile(c.path, os.O_WRONLY, 0)
	if err != nil {
		return first
	}
	defer f.Close()
	if err := punch(f, from, to-from); err != nil {
		// A file system that cannot free the middle of a file keeps it; the reader leaves it out all the same.
		fmt.Fprintf(os.Stderr, "free the middle of %s: %v\n", c.path, err)
	}
	return first
}

// Capped says what became of a log that was cut: what is the log of what.
func Capped(what string) string {
	return fmt.Sprintf("%s is longer than %d MiB: its first %d MiB and its last %d MiB are kept", what, logLimit>>20,
		logHead>>20, logTail>>20)
}
