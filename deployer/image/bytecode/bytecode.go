// Package bytecode compiles the sources of wheels for an image, by a Python of the image's minor version on this
// machine: a pod that finds bytecode starts seconds earlier than one that compiles it, each time. The same wheel and
// the same Python give the same bytes.
//
// [Compiler] is the door. It may import deployer/image/wheel, layer and cache.
package bytecode

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/metaml/metaml/deployer/image/cache"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/wheel"
)

// Program compiles sources: compile.py says how it is called.
//
//go:embed compile.py
var Program string

// Compiler compiles wheels.
type Compiler struct {
	Python  string // path of the interpreter
	Version string // its full version, "3.11.7", on which its bytecode depends
	Folder  string // where what is compiled is kept
}

// atOnce is how many sources a process compiles. It does not depend on the machine: what a process has compiled before
// may show in the bytes of what it compiles next.
const atOnce = 200

// processes bounds the interpreters that run at once, whoever asks.
var processes = make(chan struct{}, max(1, runtime.NumCPU()))

// Compile gives the bytecode of a wheel, whose digest is known. Close it when the layer is written.
func (c *Compiler) Compile(
	ctx context.Context,
	file, digest string,
	w *wheel.Wheel,
	at wheel.Scheme,
) (*Compiled, error) {
	sum := fnv.New64a()
	_, _ = io.WriteString(sum, Program) // never fails
	name := fmt.Sprintf("%s-%s-%s-%x.zip", digest, c.Version, strings.ReplaceAll(at.Prefix, "/", "_"), sum.Sum64())
	kept := filepath.Join(c.Folder, name)
	if _, err := os.Stat(kept); errors.Is(err, os.ErrNotExist) {
		if err := c.compile(ctx, file, w, at, kept); err != nil {
			return nil, fmt.Errorf("compile %s %s: %w", w.Name, w.Version, err)
		}
	} else if err == nil {
		cache.Used(kept)
	}
	archive, err := zip.OpenReader(kept)
	if err != nil {
		return nil, fmt.Errorf("read the bytecode of %s %s: %w", w.Name, w.Version, err)
	}
	compiled := &Compiled{archive: archive, Code: map[string]layer.Content{}}
	for _, f := range archive.File {
		compiled.Code[f.Name] = wheel.Content(f)
	}
	return compiled, nil
}

// Compiled is the bytecode of a wheel, by the path of its source below the folder of the packages.
type Compiled struct {
	archive *zip.ReadCloser
	Code    map[string]layer.Content
}

// Close closes the file.
func (c *Compiled) Close() error { return c.archive.Close() }

// compile writes the bytecode into a file, whole or not at all.
func (c *Compiler) compile(ctx context.Context, file string, w *wheel.Wheel, at wheel.Scheme, to string) error {
	sources := w.Sources()
	paths := slices.DeleteFunc(slices.Sorted(maps.Keys(sources)), isTest)
	parts := slices.Collect(slices.Chunk(paths, atOnce))
	outputs, errs := make([][]byte, len(parts)), make([]error, len(parts))
	var group sync.WaitGroup
	for i, part := range parts {
		var lines strings.Builder
		for _, path := range part {
			if strings.ContainsAny(path+sources[path].Name, "\t\r\n") {
				continue // the process would not understand it, and Python hardly import it
			}
			fmt.Fprintf(&lines, "%s\t%s\n", sources[path].Name, path)
		}
		group.Go(func() {
			processes <- struct{}{}
			defer func() { <-processes }()
			outputs[i], errs[i] = c.run(ctx, file, "/"+at.Packages(), lines.String())
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return cache.Write(to, func(half *os.File) error { return pack(half, outputs) })
}

// isTest says of a source that it belongs to a package's own tests. They are half of the sources of numpy and its like,
// and nobody imports them.
func isTest(path string) bool { return strings.Contains("/"+path, "/tests/") }

// run has an interpreter compile some sources. It sees neither the user's packages nor their settings.
func (c *Compiler) run(ctx context.Context, file, packages, lines string) ([]byte, error) {
	command := exec.CommandContext(ctx, c.Python, "-S", "-s", "-c", Program, file, packages)
	// With a seed of its own the order of sets of strings would be another one each time.
	command.Env, command.Dir = []string{"PYTHONHASHSEED=0"}, "/"
	command.Stdin = strings.NewReader(lines)
	var out, failed bytes.Buffer
	command.Stdout, command.Stderr = &out, &failed
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s: %w: %s", c.Python, err, strings.TrimSpace(failed.String()))
	}
	return out.Bytes(), nil
}

// level is how hard bytecode is compressed.
const level = 6

// pack keeps what processes have written, compressed as layers need it.
func pack(to io.Writer, outputs [][]byte) error {
	w := zip.NewWriter(to)
	w.RegisterCompressor(
		zip.Deflate,
		func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, level) },
	)
	for _, output := range outputs {
		for r := bufio.NewReader(bytes.NewReader(output)); ; {
			line, err := r.ReadString('\n')
			if errors.Is(err, io.EOF) && line == "" {
				break
			}
			path, size, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			n, sizeErr := strconv.ParseInt(size, 10, 64)
			if err := errors.Join(err, sizeErr); err != nil {
				return fmt.Errorf("read what the interpreter has written: %w", err)
			}
			f, err := w.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Deflate})
			if err != nil {
				return err
			}
			if _, err := io.CopyN(f, r, n); err != nil {
				return err
			}
		}
	}
	return w.Close()
}
