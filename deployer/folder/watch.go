package folder

import (
	"sync"
	"time"
)

// Watch notices when something at some paths changes: a file is written, a folder gets or loses an entry. C gets a
// value after a change, at most one at a time; it may also get one for nothing. Where the system has no means left for
// it, C gets one ten times a second.
type Watch struct {
	C     chan struct{}
	close func()
	done  sync.WaitGroup
}

// Close ends the watch and waits for its goroutine.
func (w *Watch) Close() {
	w.close()
	w.done.Wait()
}

func (w *Watch) wake() {
	select {
	case w.C <- struct{}{}:
	default:
	}
}

// poll is the watch of last resort.
func poll() *Watch {
	stop := make(chan struct{})
	w := &Watch{C: make(chan struct{}, 1), close: sync.OnceFunc(func() { close(stop) })}
	w.done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				w.wake()
			}
		}
	})
	return w
}
