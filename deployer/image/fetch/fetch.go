// Package fetch brings wheels from package indexes into a folder of this machine, each once: under its digest, which is
// checked.
//
// [Fetcher] is the door. It may import deployer/image/cache, deployer/image/indexes, deployer/image/resolve and
// deployer/folder.
package fetch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/image/cache"
	"github.com/metaml/metaml/deployer/image/indexes"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/usererror"
)

// Fetcher brings wheels here.
type Fetcher struct {
	Folder string       // where they are kept
	Client *http.Client // nil is one that goes by HTTPS_PROXY and the like
	Logins indexes.Logins
	// Silence is how long a connection may bring nothing until it is given up; 0 is 30 seconds.
	Silence time.Duration
	// Progress is called from time to time, with the bytes that were loaded and those of all files that are not here.
	Progress func(loaded, all int64)
}

const (
	atOnce   = 8 // files that are loaded at once
	attempts = 4 // for each file
	pause    = 500 * time.Millisecond
	maxWheel = 8 << 30 // bytes

	usualSilence = 30 * time.Second
)

// path is where a wheel is kept.
func (f *Fetcher) path(w resolve.Wheel) string { return filepath.Join(f.Folder, w.SHA256, w.File) }

// Missing says how many bytes are to be loaded, as far as the index said how large its files are.
func (f *Fetcher) Missing(wheels []resolve.Wheel) (size int64) {
	for _, w := range wheels {
		if _, err := os.Stat(f.path(w)); err != nil {
			size += w.Size
		}
	}
	return size
}

// Fetch gives the paths of the wheels, in their order.
func (f *Fetcher) Fetch(ctx context.Context, wheels []resolve.Wheel) ([]string, error) {
	paths := make([]string, len(wheels))
	var missing []int
	var loaded, all atomic.Int64
	for i, w := range wheels {
		paths[i] = f.path(w)
		if _, err := os.Stat(paths[i]); err == nil {
			cache.Used(filepath.Dir(paths[i]))
			continue
		}
		missing = append(missing, i)
		all.Add(w.Size)
	}
	if len(missing) == 0 {
		return paths, nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for _, i := range missing {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			note := func(n int) {
				if sum := loaded.Add(int64(n)); f.Progress != nil {
					f.Progress(sum, all.Load())
				}
			}
			if err := f.bring(ctx, wheels[i], paths[i], note); err != nil {
				stop(err) // of those that fail the first is reported
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return paths, nil
}

// bring loads one wheel, whole and checked, or nothing.
func (f *Fetcher) bring(ctx context.Context, w resolve.Wheel, to string, note func(int)) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	err := cache.Write(to, func(half *os.File) error { return f.load(ctx, w, half, note) })
	if _, said := errors.AsType[*usererror.Error](err); said || err == nil {
		return err
	}
	return folder.ExplainCache(err, "keep a package in", f.Folder)
}

// load loads a wheel into a file, again where the connection breaks off.
func (f *Fetcher) load(ctx context.Context, w resolve.Wheel, to *os.File, note func(int)) error {
	for attempt := 1; ; attempt++ {
		n, err := f.once(ctx, w, to, note)
		var final *usererror.Error
		if err == nil || errors.As(err, &final) || ctx.Err() != nil {
			return err
		}
		note(-n)
		if attempt == attempts {
			return usererror.Wrap(
				err,
				usererror.CodeIndex,
				fmt.Sprintf("cannot load %s from %s: %v", w.File, host(w.URL),
					unwrapped(err)),
				"Run it again: what was loaded is kept.",
			)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause << attempt):
		}
	}
}

// unwrapped leaves out the address of a request, which may have a password in it.
func unwrapped(err error) error {
	if in, ok := errors.AsType[*url.Error](err); ok {
		return in.Err
	}
	return err
}

func host(address string) string {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" {
		return "its index"
	}
	return at.Host
}

// once loads a wheel and says how many bytes it noted.
func (f *Fetcher) once(ctx context.Context, w resolve.Wheel, to *os.File, note func(int)) (noted int, err error) {
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if err := to.Truncate(0); err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	silence := cmp.Or(f.Silence, usualSilence)
	watch := time.AfterFunc(silence, func() { stop(fmt.Errorf("nothing came for %s", silence)) })
	defer watch.Stop()
	body, err := f.open(ctx, w)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	sum := sha256.New()
	into := io.MultiWriter(to, sum)
	buffer := make([]byte, 256<<10)
	for {
		n, err := body.Read(buffer)
		watch.Reset(silence)
		if _, err := into.Write(buffer[:n]); err != nil {
			return noted, folder.ExplainCache(err, "keep a package in", f.Folder)
		}
		noted += n
		note(n)
		if noted > maxWheel {
			return noted, usererror.New(usererror.CodeIndex, "%s is larger than %d GiB", w.File, maxWheel>>30)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return noted, err
		}
	}
	if is := hex.EncodeToString(sum.Sum(nil)); is != w.SHA256 {
		return noted, usererror.New(
			usererror.CodeIndex,
			"%s gives another file as %s than its index says: sha256 %s, and not %s",
			host(w.URL),
			w.File,
			is,
			w.SHA256,
		).
			With("Somebody may have changed it. Name an image that has the package: --image IMAGE.")
	}
	return noted, nil
}

func (f *Fetcher) open(ctx context.Context, w resolve.Wheel) (io.ReadCloser, error) {
	at, err := url.Parse(w.URL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", w.File, err)
	}
	if at.Scheme == "file" {
		return os.Open(at.Path)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", w.File, err)
	}
	f.Logins.To(request)
	client := f.Client
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	_ = response.Body.Close()
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, usererror.New(usererror.CodeIndex, "%s does not give %s: %s", host(w.URL), w.File, response.Status).
			With("Put the login into the index's address, or into ~/.netrc.")
	case http.StatusNotFound, http.StatusGone:
		return nil, usererror.New(usererror.CodeIndex, "%s does not have %s any more: %s", host(w.URL), w.File,
			response.Status).With("Install another version, and run the cell again.")
	}
	return nil, errors.New(response.Status)
}
