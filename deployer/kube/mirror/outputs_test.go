package mirror

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// A connection through which nothing comes any more may look alive. What comes slowly is waited for.
func TestFilesThatDoNotComeAnyMoreAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, moved, done := whileMoving(t.Context(), time.Minute)
		defer done()
		from, to := io.Pipe()
		go func() {
			for range 5 {
				<-time.After(59 * time.Second)
				_, _ = to.Write([]byte("slow"))
			}
			<-ctx.Done() // as a body that is read does
			_ = to.CloseWithError(ctx.Err())
		}()
		began := time.Now()
		got, err := io.ReadAll(moved(from))
		if len(got) != 20 || !errors.Is(err, errStalled) || !errors.Is(context.Cause(ctx), errStalled) {
			t.Errorf("%d bytes came, %v", len(got), err)
		}
		if took := time.Since(began); took != 5*59*time.Second+time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}
