// Command metaml-monitor is the monitor of a run in a cluster: `metaml-monitor --dir DIR --listen ADDR --token-file
// FILE` keeps what the pods of the run send of their files, and sends it on to whoever follows the run, until it gets
// SIGTERM, or nobody came for the time --keep. No state, log line or end of the run depends on it.
//
// Exit codes: 0 when nobody came for that time, 1 when it could not serve, 2 for flags that are wrong, 143 for SIGTERM:
// a Job whose pod is deleted takes 0 for its success, and starts no other.
//
// It puts deployer/collect/serve into a process; start with [serveRun].
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/oci"
	"github.com/metaml/metaml/deployer/collect/serve"
)

const usage = `usage: metaml-monitor --dir DIR --token-file FILE [--listen ADDR] [--keep DURATION]
                      [--output DIR | --output-artifact REGISTRY/NAME:TAG]
                      [--record-artifact REGISTRY/NAME:TAG]
       metaml-monitor version`

// defaultKeep is long enough for a weekend.
const defaultKeep = 72 * time.Hour

// memory is where the collector of garbage begins to hurry, below the 64 MiB that a monitor has: with a thousand pods
// it would have 46 of them at times. GOMEMLIMIT has another number.
const memory = 40 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := mainCode(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if code == 0 && ctx.Err() != nil {
		code = exitTerminated
	}
	stop()
	os.Exit(code)
}

// exitTerminated is 128 + SIGTERM, as for a process that a signal ended.
const exitTerminated = 143

// options are what the flags say.
type options struct {
	dir, listen, tokenFile string
	output                 string // output folder of trial 0 on a volume, "": there is none
	outputArtifact         string // REGISTRY/NAME:TAG of the archives; "": they are on the disk
	recordArtifact         string // of what the disk has of trials' reports; "": that is nowhere else
	keep                   time.Duration
}

func mainCode(ctx context.Context, args []string, out, complaints io.Writer) int {
	if len(args) == 1 && (args[0] == "version" || args[0] == "--version") {
		fmt.Fprintln(out, "metaml-monitor", metaml.Version())
		return 0
	}
	var o options
	flags := flag.NewFlagSet("metaml-monitor", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.Usage = func() {}
	flags.StringVar(&o.dir, "dir", "", "the folder for the files of the run, which is made")
	flags.StringVar(&o.listen, "listen", ":7070", "the address to listen at")
	flags.StringVar(&o.tokenFile, "token-file", "", "the file with the token that pods and readers have")
	flags.StringVar(&o.output, "output", "",
		"the output folder of trial 0 on a volume; those of the others lie beside it, under their numbers")
	flags.StringVar(&o.outputArtifact, "output-artifact", "",
		"the artifact in a registry that gets what trials leave behind, REGISTRY/NAME:TAG; without it the disk does")
	flags.StringVar(&o.recordArtifact, "record-artifact", "",
		"the artifact in a registry that gets what trials report once a minute, and that is read at the start")
	flags.DurationVar(&o.keep, "keep", defaultKeep, "end when nobody came for so long")
	if flags.Parse(args) != nil || o.dir == "" || o.tokenFile == "" || o.keep <= 0 || flags.NArg() > 0 {
		fmt.Fprintln(complaints, usage)
		return 2
	}
	if err := serveRun(ctx, o, out); err != nil {
		fmt.Fprintln(complaints, "metaml-monitor:", err)
		return 1
	}
	return 0
}

// serveRun serves what the folder has until ctx is done or the time to keep it is over. The address is printed once
// there is somebody to answer.
func serveRun(ctx context.Context, o options, out io.Writer) (failed error) {
	token, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return fmt.Errorf("read the token: %w", err)
	}
	record, err := o.record(ctx)
	if err != nil {
		return err
	}
	disk, err := serve.OpenDisk(o.dir)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, disk.Close()) }()
	store, err := collect.OpenStore(disk, rand.Text(), collect.DefaultLimits)
	if err != nil {
		return err
	}
	archives, done, err := o.archives()
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, done()) }()
	if record != nil {
		archives = checked{archives, record}
	}
	server, err := serve.New(store, archives, serve.Folders(o.output), strings.TrimSpace(string(token)))
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Fprintf(out, "metaml-monitor %s: listening at %s\n", metaml.Version(), listener.Addr())
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { endWhenQuiet(ctx, cancel, server, o.keep) })
	if record != nil {
		watching.Go(func() { record.keep(ctx, store) })
	}
	defer watching.Wait()
	defer cancel(nil)
	return server.Serve(ctx, listener)
}

// archives is where what trials leave behind is kept. Done lets go of it.
func (o *options) archives() (is serve.Archives, done func() error, err error) {
	if o.outputArtifact != "" {
		is, err := oci.Open(o.outputArtifact)
		return is, func() error { return nil }, err
	}
	disk, err := serve.OpenOutputs(filepath.Join(o.dir, "outputs"), collect.MaxOutputs)
	if err != nil {
		return nil, nil, err
	}
	return disk, disk.Close, nil
}

// errQuiet is why a monitor ends by itself.
var errQuiet = errors.New("nobody came for the time that was to be kept")

// endWhenQuiet looks, a few times in the time to keep, when somebody was there last. It ends with ctx.
func endWhenQuiet(ctx context.Context, end context.CancelCauseFunc, server *serve.Server, keep time.Duration) {
	ticker := time.NewTicker(max(keep/20, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if server.Quiet() >= keep {
				end(errQuiet)
			}
		}
	}
}
