package folder

import (
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/metaml/metaml/internal/usererror"
)

// What to do names the variable that moves the folder in question, and no other.
func TestWhatToDoAboutAFolderMovesThatFolder(t *testing.T) {
	cache := "set XDG_CACHE_HOME to a folder"
	if runtime.GOOS == "darwin" {
		cache = "set HOME to a folder"
	}
	for _, c := range []struct {
		name    string
		explain func(error, string, string) error
		or      string
	}{
		{"runs", Explain, "set XDG_DATA_HOME to a folder"},
		{"cache", ExplainCache, cache},
		{"named", ExplainNamed, "name a folder"},
	} {
		for _, reason := range []error{syscall.ENOSPC, fs.ErrPermission, syscall.EROFS, syscall.ENOTDIR} {
			t.Run(c.name+" "+reason.Error(), func(t *testing.T) {
				err := c.explain(reason, "write", "/x")
				said, is := errors.AsType[*usererror.Error](err)
				if !is || !strings.Contains(said.Text, "write /x") || !strings.Contains(said.Hint, ", or "+c.or+" o") {
					t.Errorf("got %#v", err)
				}
			})
		}
	}
}
