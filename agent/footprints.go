package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// footprints finds files in the working directory that trials share and overwrite: `model.keras`, where metaml.output()
// was meant.
type footprints struct {
	dir   string // "" if trials share none, or there is only one
	run   string // how the tokens of the run's processes begin
	since time.Time

	mu    sync.Mutex
	last  time.Time
	files map[string]footprint
}

// footprint is what was seen of one file.
type footprint struct {
	modified time.Time
	trials   int // trials after whose end it was found changed
	// some other process has it open for writing, such as the log that the run's own lines are redirected to
	foreign bool
}

const (
	looksEvery = time.Second // between two looks, so that short trials cost nothing
	maxEntries = 2000        // a folder with more is not searched
	maxNamed   = 5           // files that are named
)

func newFootprints(spec run.Spec, tokens tokens) *footprints {
	f := &footprints{run: tokens.run, files: map[string]footprint{}, since: time.Now()}
	if !spec.TrialCwd && spec.Completions > 1 && spec.Server == nil {
		f.dir = spec.Cwd
	}
	return f
}

// ended searches for files that changed while a trial that began at begin was running.
func (f *footprints) ended(begin time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dir == "" || time.Since(f.last) < looksEvery {
		return
	}
	f.last = time.Now()
	dir, err := os.Open(f.dir)
	if err != nil {
		return
	}
	defer dir.Close()
	entries, _ := dir.ReadDir(maxEntries + 1)
	if len(entries) > maxEntries {
		f.dir = ""
		return
	}
	for _, e := range entries {
		// Hidden files and notebooks are the session's own doing.
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) == ".ipynb" {
			continue
		}
		info, err := e.Info()
		// File times are coarser than the clock.
		if err != nil || info.ModTime().Before(f.since) || info.ModTime().Before(begin.Add(-10*time.Millisecond)) {
			continue
		}
		seen := f.files[e.Name()]
		if info.ModTime().Equal(seen.modified) {
			continue
		}
		seen.modified = info.ModTime()
		if seen.trials++; seen.trials == 2 {
			seen.foreign = writtenByOthers(filepath.Join(f.dir, e.Name()), f.run)
		}
		f.files[e.Name()] = seen
	}
}

// notes names what several trials wrote.
func (f *footprints) notes() []run.Note {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for name, seen := range f.files {
		if seen.trials > 1 && !seen.foreign && !writtenByOthers(filepath.Join(f.dir, name), f.run) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	text := listed(names, maxNamed)
	return []run.Note{{
		Code: run.NoteSharedFile, Text: fmt.Sprintf("%s written by several trials in %s", text, f.dir),
		Hint: "Write to metaml.output(), or give each trial a folder of its own with --cwd trial.",
	}}
}
