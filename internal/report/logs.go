package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch/watch"
)

// LogWriter gives the stream for what programs printed: a pipe or a file gets it as it is, a terminal with its colours
// alone. end must be called when all is written.
func LogWriter(to io.Writer) (out io.Writer, end func() error) {
	if _, _, ok := watch.Terminal(to); !ok {
		return view.Raw(to), func() error { return nil }
	}
	log := &view.Log{To: view.Raw(to)}
	return log, log.Close
}

// ServerLogs prints what a server's top level printed, and the logs of all its workers: one after the other, or, when
// they are followed, each line as it comes with its worker's number.
func ServerLogs(
	ctx context.Context, to io.Writer, client *deployer.Client, l *run.Listed, stream string, follow bool,
) error {
	spec := watch.Revision(client, l)
	loader := client.Runs.LoaderLog(spec.Name, spec.Server.Revision)
	for _, name := range []string{folder.Stdout, folder.Stderr} {
		if stream != "both" && stream != name {
			continue
		}
		if text, err := os.ReadFile(filepath.Join(loader, name)); err == nil && len(text) > 0 {
			fmt.Fprintf(to, "%s", text)
		}
	}
	front, units := client.Runs.FrontLog(spec.Name), units(l, &spec)
	if !follow {
		for _, i := range units {
			if len(units) > 1 {
				fmt.Fprintf(to, "── %s %d\n", spec.Unit(), i)
			}
			if err := client.Runs.Log(ctx, spec.Name, i, 0, stream, false, to); err != nil {
				return err
			}
		}
		if stream == folder.Stdout {
			return nil
		}
		heading := ""
		if len(units) > 1 {
			heading = "── front\n"
		}
		return front.CopyTo(refusedRequests(to, heading, ""))
	}
	var (
		group sync.WaitGroup
		out   = &lockedWriter{to: to}
		errs  = make([]error, len(units))
	)
	for at, i := range units {
		group.Go(func() {
			w := prefixed(out, fmt.Sprintf("%s %d  ", spec.Unit(), i))
			errs[at] = client.Runs.Log(ctx, l.Spec.Name, i, 0, stream, true, w)
		})
	}
	over := make(chan struct{})
	watched := make(chan error, 1)
	go func() { watched <- followFront(front, refusedRequests(out, "", "front  "), stream, over) }()
	group.Wait()
	close(over)
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), <-watched) // once, not of each worker
	}
	return errors.Join(append(errs, <-watched)...)
}

// units are the numbers of the processes whose logs there are: in a cluster those that are known, of which there may be
// more or fewer than were submitted.
func units(l *run.Listed, spec *run.Spec) []int {
	n := spec.UnitsOf(l.State.Server.Replicas)
	for _, w := range l.State.Server.WorkersOf(spec.Server.Revision) {
		n = max(n, w.Index+1)
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// frontEvery is how often the log of a front is read while it is followed.
const frontEvery = 200 * time.Millisecond

// followFront copies what a front logs until over is closed.
func followFront(front *folder.LogReader, out io.Writer, stream string, over <-chan struct{}) error {
	if stream == folder.Stdout {
		return nil
	}
	tick := time.NewTicker(frontEvery)
	defer tick.Stop()
	for {
		if err := front.CopyTo(out); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-over:
			return front.CopyTo(out)
		}
	}
}
