package mirror

import (
	"os"
	"testing"
	"time"
)

// Who resumes a run while its end is still seen to finds that somebody follows it: whoever does so looks once more.
func TestWhoIsAskedWhileTheEndIsSeenToLooksOnceMore(t *testing.T) {
	r := newRunWithBoard(t)
	r.spec.TensorBoard = false
	r.make()
	close(r.over)
	r.folder.Ask()
	soon := time.Now().Add(1500 * time.Millisecond) // after the run was seen to have ended
	if err := os.Chtimes(r.folder.AskedFile(), soon, soon); err != nil {
		t.Fatal(err)
	}
	if err := Follow(t.Context(), r.cluster, r.folder); err != nil {
		t.Fatal(err)
	}
	if time.Now().Before(soon) {
		t.Error("it was left although somebody had asked for it")
	}
}
