// Package parts makes what a cluster consists of, and keeps it in a cache: the servers, built from the Go modules in
// test/cluster/modules, and the images that tests run. Each is made once for each content of what it is made from.
// [Make] is the door; [Usable] says before whether it can work here. It may import the standard library alone.
package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Parts are the finished parts of a cluster.
type Parts struct {
	// Cache is the folder that holds everything made here.
	Cache string
	// Bins are the folders with the programs, in the form of a PATH.
	Bins string
	// Images is a folder with images as a registry serves them.
	Images Images
	// Unpacked is a folder with the same images as containerd has them when it has pulled them.
	Unpacked string
}

// Unpack fills a folder with images as containerd has them. It gets all other parts.
type Unpack func(ctx context.Context, from Parts, folder string) error

// What was not used for so long is removed from the cache when something is made: it belongs to other versions.
const unused = 30 * 24 * time.Hour

// Make makes what the cache does not have, and says on log what takes long. Sources is the folder test/cluster.
func Make(ctx context.Context, sources string, unpack Unpack, log io.Writer) (Parts, error) {
	cache, err := CacheFolder()
	if err != nil {
		return Parts{}, err
	}
	unlock, err := lock(filepath.Join(cache, "making.lock"))
	if err != nil {
		return Parts{}, err
	}
	defer unlock()
	made := Parts{Cache: cache}
	maker := maker{cache: cache, log: log}
	bins := map[string]string{}
	for _, one := range modules {
		folder, err := maker.module(ctx, filepath.Join(sources, "modules", one.name), one)
		if err != nil {
			return Parts{}, err
		}
		bins[one.name] = folder
		made.Bins += folder + string(os.PathListSeparator)
	}
	made.Bins = strings.TrimSuffix(made.Bins, string(os.PathListSeparator))
	requirements := filepath.Join(sources, "..", "..", "requirements", "image.txt")
	made.Images, err = maker.images(ctx, requirements, filepath.Join(bins["pause"], "pause"))
	if err != nil {
		return Parts{}, err
	}
	made.Unpacked, err = maker.unpacked(ctx, made, unpack)
	if err != nil {
		return Parts{}, err
	}
	maker.prune()
	return made, nil
}

// CacheFolder is METAML_CLUSTER_CACHE, else metaml-cluster in the folder for caches of this user.
func CacheFolder() (string, error) {
	folder := os.Getenv("METAML_CLUSTER_CACHE")
	if folder == "" {
		caches, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a folder for the cluster's parts: %w", err)
		}
		folder = filepath.Join(caches, "metaml-cluster")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the cluster's parts: %w", err)
	}
	return folder, nil
}

// lock waits until no other process makes parts.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the cluster's parts: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return func() { file.Close() }, nil
}

type maker struct {
	cache string
	log   io.Writer
}

// once is the folder NAME-KEY of the cache. If it is not there, fill makes its content in another folder, which gets
// the name when it is whole.
func (m maker) once(name, key string, fill func(folder string) error) (string, error) {
	folder := filepath.Join(m.cache, name+"-"+key)
	if _, err := os.Stat(folder); err == nil {
		now := time.Now()
		return folder, os.Chtimes(folder, now, now)
	}
	// Under one lock, so what is there was left by a process that was killed.
	half := filepath.Join(m.cache, "half-"+name)
	if err := os.RemoveAll(half); err != nil {
		return "", fmt.Errorf("remove the half-made part %q: %w", name, err)
	}
	if err := os.Mkdir(half, 0o755); err != nil {
		return "", err
	}
	started := time.Now()
	fmt.Fprintf(m.log, "cluster: making %s, once for this version\n", name)
	if err := fill(half); err != nil {
		return "", errors.Join(fmt.Errorf("make the cluster's part %q: %w", name, err), os.RemoveAll(half))
	}
	fmt.Fprintf(m.log, "cluster: made %s in %.0f s\n", name, time.Since(started).Seconds())
	return folder, os.Rename(half, folder)
}

// prune removes the parts of other versions that nobody has used for long. What cannot be removed stays.
func (m maker) prune() {
	items, err := os.ReadDir(m.cache)
	if err != nil {
		return
	}
	for _, item := range items {
		info, err := item.Info()
		if err == nil && item.IsDir() && !isRun(item.Name()) && time.Since(info.ModTime()) > unused {
			os.RemoveAll(filepath.Join(m.cache, item.Name()))
		}
	}
}

// isRun says whether a folder of the cache belongs to a cluster that runs or ran: whoever runs it removes it.
func isRun(name string) bool { return strings.HasPrefix(name, "run-") || name == "log" }

// contentKey is a digest of files, of the folders' files by name and content, and of words; with it of what compiles.
func contentKey(paths []string, words ...string) (string, error) {
	sum := sha256.New()
	for _, word := range append(words, runtime.Version(), runtime.GOARCH) {
		fmt.Fprintf(sum, "%q\n", word)
	}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(at string, item fs.DirEntry, err error) error {
			if err != nil || !item.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(path, at)
			fmt.Fprintf(sum, "%q %d\n%s", name, len(content), content)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read what a part is made from: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}
