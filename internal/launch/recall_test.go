package launch

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/internal/talk"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
	"github.com/metaml/metaml/test/venv"
)

// A Python is asked once what is installed, and again when something may have been installed.
func TestWhatIsInstalledIsRemembered(t *testing.T) {
	python, added := venv.Python(t), t.TempDir()
	long := time.Now().Add(-time.Hour)
	module, err := pymodule.Dir()
	if err != nil {
		t.Fatal(err)
	}
	dated := func(folder string, at time.Time) {
		t.Helper()
		if err := os.Chtimes(folder, at, at); err != nil {
			t.Fatal(err)
		}
	}
	dated(module, long) // it may have been made for this test
	dated(added, long)
	l := &Launcher{Err: io.Discard, Environ: append(os.Environ(), "PYTHONPATH="+added), Cache: t.TempDir()}
	asked := 0
	ask := func(question talk.Need) talk.FromModule {
		t.Helper()
		r := &remembering{memory: l.memoryOf(python), start: func(ctx context.Context) (*answering, error) {
			asked++
			return l.startPython(ctx, python, "", t.TempDir())
		}}
		defer r.close()
		have, err := r.ask(t.Context(), question)
		if err != nil {
			t.Fatal(err)
		}
		return have
	}
	imports := talk.Need{Lock: []string{"numpy"}}
	first := ask(imports)
	if second := ask(imports); asked != 1 || !cmp.Equal(string(first.Lock), string(second.Lock)) || first.Lock == nil {
		t.Errorf("it was asked %d times, and answered %s and %s", asked, first.Lock, second.Lock)
	}
	if ask(talk.Need{Lock: []string{"scipy"}}); asked != 2 {
		t.Errorf("another question was asked %d times", asked-1)
	}
	if ask(talk.Need{Environment: []string{"HOME"}}); asked != 3 {
		t.Errorf("what may change at any time was asked %d times", asked-2)
	}
	dated(added, long.Add(time.Minute))
	if ask(imports); asked != 4 {
		t.Errorf("after something was installed it was asked %d times", asked-3)
	}
	dated(added, time.Now()) // its next change may have the same time
	ask(imports)
	if ask(imports); asked != 6 {
		t.Errorf("right after something was installed it was asked %d times", asked-4)
	}
}

// A shim chooses another interpreter whenever it is called.
func TestOfAShimNothingIsRemembered(t *testing.T) {
	shim := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(shim, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if m := (&Launcher{Cache: t.TempDir()}).memoryOf(shim); m.folder != "" {
		t.Errorf("it is remembered in %s", m.folder)
	}
}
