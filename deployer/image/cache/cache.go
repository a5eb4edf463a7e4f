// Package cache keeps files between images. What an image has used is marked, so that the rest can be removed one day.
//
// It may import nothing of ours.
package cache

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// Used marks what is used now.
func Used(paths ...string) {
	now := time.Now()
	for _, path := range paths {
		_ = os.Chtimes(path, now, now) // what cannot be marked is made again some day
	}
}

// Write makes a file whole or not at all, and the folder that it is in. Only its owner may read it.
func Write(path string, write func(to *os.File) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	half, err := os.CreateTemp(filepath.Dir(path), ".half-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(half.Name()) }() // it has another name if it is whole
	if err := errors.Join(write(half), half.Close()); err != nil {
		return err
	}
	return os.Rename(half.Name(), path)
}
