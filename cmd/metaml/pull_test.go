package main

import (
	"bytes"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestHowMuchHasComeIsOneLine(t *testing.T) {
	for _, c := range []struct {
		name      string
		came, all int64
		want      string
	}{
		{"nothing yet", 0, 100, "trial 3  ░░░░░░░░░░░░░░░░░░░░░░░░  0 B of 100 B"},
		{"half", 1e9, 2e9, "trial 3  ████████████░░░░░░░░░░░░  1.0 GB of 2.0 GB"},
		{"more than was said", 3, 2, "trial 3  ████████████████████████  3 B of 2 B"},
		{"of a size that is not known", 1_500_000, 0, "trial 3  1.5 MB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := comingLine(3, c.came, c.all); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What comes within a second has no bar, and what is drawn is removed in the end.
func TestTheBarGoesWhenEverythingHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		bar := &comingBar{to: &out, trial: 3}
		var came atomic.Int64
		stop := whileComing(func() (int64, int64, bool) { return came.Add(1000), 0, true }, bar.draw, bar.remove)
		<-time.After(comingAfter - time.Millisecond)
		synctest.Wait()
		if n := came.Load(); n > 0 {
			t.Errorf("too soon it has looked %d times", n/1000)
		}
		<-time.After(comingEvery + 2*time.Millisecond)
		synctest.Wait()
		stop()
		want := "\rtrial 3  1.0 kB\rtrial 3  2.0 kB\r               \r"
		if out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}
