package mirror

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// board is an event file of TensorBoard that came from the monitor.
type board struct {
	source collect.Source
	file   string
}

// boardsName is the folder that pods send such files in.
const boardsName = "tensorboard/"

func isBoard(file string) bool { return strings.HasPrefix(file, boardsName) }

// show puts the file where the TensorBoard of the run finds it: it goes on growing there. An attempt whose file has the
// name of one before gets a folder of its own.
func (b board) show(f folder.Run, id run.AttemptID) error {
	from := filepath.Join(collectedDir(f, b.source.ID), filepath.FromSlash(b.file))
	name := filepath.FromSlash(strings.TrimPrefix(b.file, boardsName))
	for _, to := range []string{
		filepath.Join(f.Scalars(id.Trial), name),
		filepath.Join(f.Scalars(id.Trial), fmt.Sprintf("attempt-%d", id.Number), name),
	} {
		if same(from, to) {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return fmt.Errorf("show an event file of trial %d to TensorBoard: %w", id.Trial, err)
		}
		err := os.Link(from, to)
		if err != nil && !os.IsExist(err) { // a file system without links of this kind
			err = os.Symlink(from, to)
		}
		if err == nil {
			return nil
		}
		if !os.IsExist(err) {
			return fmt.Errorf("show an event file of trial %d to TensorBoard: %w", id.Trial, err)
		}
	}
	return nil
}

func same(a, b string) bool {
	first, err1 := os.Stat(a)
	second, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(first, second)
}
