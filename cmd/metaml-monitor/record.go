package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/oci"
	"github.com/metaml/metaml/deployer/collect/serve"
)

const (
	recordEvery = time.Minute      // how often what has come is sent
	recordPart  = 20               // nor may that take more than this part of the time
	recordSend  = 10 * time.Minute // the longest that it may take: a connection may be dead, and nobody notices
	recordLast  = 20 * time.Second // the same at the end
	recordRead  = time.Minute      // how long a registry that does not answer is asked for the record, at the start
)

// record is what trials report and print, in a registry as well.
type record struct {
	*oci.Record
	dir        string        // what is sent
	every      time.Duration // how often
	complaints io.Writer
	unread     error // why what was sent before is not here: nothing is put in its place then
}

// sources is the folder of a store, below its disk's.
const sources = "sources"

// record reads what an earlier monitor has sent; it is nil where nothing is to be sent. What cannot be read in passing
// ends the program, which is started again: what was kept must not be replaced by less.
func (o *options) record(ctx context.Context) (*record, error) {
	if o.recordArtifact == "" {
		return nil, nil //nolint:nilnil // that is no error
	}
	at, err := oci.OpenRecord(o.recordArtifact)
	if err != nil {
		return nil, err
	}
	r := &record{Record: at, dir: filepath.Join(o.dir, sources), every: recordEvery, complaints: os.Stderr}
	if _, err := os.Stat(r.dir); err == nil {
		return r, nil // this pod's container was started again
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the monitor: %w", err)
	}
	for end := time.Now().Add(recordRead); ; {
		err := within(ctx, recordRead, func(ctx context.Context) error { return r.Restore(ctx, r.dir) })
		if errors.Is(err, collect.ErrNoRoom) { // it does not let us, or has something else there: Check says it
			r.unread = err
			fmt.Fprintln(r.complaints, "metaml-monitor:", err)
			return r, nil
		}
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// keep sends what has come, now and then and when ctx ends.
func (r *record) keep(ctx context.Context, store *collect.Store) {
	if r.unread != nil {
		return
	}
	sent := int64(0) // what was there at the start may not have been sent
	send := func(ctx context.Context, most time.Duration) {
		size := store.Size()
		if size == sent {
			return
		}
		err := within(ctx, most, func(ctx context.Context) error { return r.Save(ctx, r.dir) })
		if err != nil {
			fmt.Fprintln(r.complaints, "metaml-monitor:", err)
			return // it is tried again
		}
		sent = size
	}
	for pause := r.every; ; {
		select {
		case <-ctx.Done():
			send(context.WithoutCancel(ctx), recordLast)
			return
		case <-time.After(pause):
		}
		began := time.Now()
		send(ctx, recordSend)
		pause = max(r.every, recordPart*time.Since(began))
	}
}

// within does something for at most a time.
func within(ctx context.Context, most time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return do(ctx)
}

// checked are archives of a monitor whose record is to be in a registry, too.
type checked struct {
	serve.Archives
	record *record
}

// Check implements [serve.Archives].
func (c checked) Check(ctx context.Context) error {
	if err := c.Archives.Check(ctx); err != nil {
		return err
	}
	if c.record.unread != nil {
		return c.record.unread
	}
	return c.record.Check(ctx)
}
