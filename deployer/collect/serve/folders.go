package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/archive"
)

// Folders are the output folders of a run's trials on a volume, which the pods write themselves: the path of that of
// trial 0, such as trials/00000/output. Those of the others lie beside it, under their numbers. "" is none.
type Folders string

// trials is where the folders of the trials are.
func (f Folders) trials() string { return filepath.Dir(filepath.Dir(string(f))) }

// output is where the files of a trial are.
func (f Folders) output(trial int) string {
	digits := len(filepath.Base(filepath.Dir(string(f))))
	return filepath.Join(f.trials(), fmt.Sprintf("%0*d", digits, trial), filepath.Base(string(f)))
}

// list gives the trials that have some.
func (f Folders) list() ([]collect.Output, error) {
	if f == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(f.trials())
	if errors.Is(err, fs.ErrNotExist) { // no trial has begun
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the folder of the trials: %w", err)
	}
	var all []collect.Output
	for _, e := range entries {
		trial, err := strconv.Atoi(e.Name())
		if err != nil || trial < 0 {
			continue
		}
		if info, err := os.Stat(f.output(trial)); err == nil && info.IsDir() {
			all = append(all, collect.Output{
				Trial: trial, Kind: collect.Latest, Round: 1, Attempt: 1, Number: 1, Elsewhere: true,
				Time: info.ModTime().UTC(),
			})
		}
	}
	return all, nil
}

// send answers with the files of a trial.
func (f Folders) send(w http.ResponseWriter, r *http.Request, trial int) {
	dir := f.output(trial)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		refuse(w, http.StatusNotFound, fmt.Errorf("trial %d has left no files", trial))
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	to := &unhurried{w, http.NewResponseController(w)}
	if r.Method == http.MethodHead || archive.Write(r.Context(), to, dir) == nil {
		return
	}
	panic(http.ErrAbortHandler) // so that who reads it knows that it is not whole
}
