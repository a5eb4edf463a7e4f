// Command kernel measures our kernel beside plain ipykernel, in the same run and
// interleaved, so that what else the machine does falls on both: medians, and the
// ratio of the two. `make bench` runs it; docs/internals/kernel.md has the goals and figures.
//
//	go run ./test/bench/kernel [-rounds N] [-only NAME]
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/metaml/metaml/kernel/kernelspec"
)

// measure is one line of the table.
type measure struct {
	name, unit string
	count      int     // samples in a round
	scale      float64 // of the unit
	goal       string
}

var measures = []measure{
	{"execute", "ms", 50, 1e3, "<= 1.05"},
	{"kernel_info", "ms", 100, 1e3, "<= 1.30"},
	{"displays", "messages/s", 1, 1, ">= 0.95"},
	{"large", "MB/s", 1, 1, ">= 0.95"},
	{"ready", "s", 1, 1, "<= 1.10"},
}

func main() {
	rounds := flag.Int("rounds", 11, "interleaved rounds")
	only := flag.String("only", "", "measure this alone")
	flag.Parse()
	if *only != "" {
		measures = slices.DeleteFunc(measures, func(m measure) bool { return m.name != *only })
	}
	if err := run(os.Stdout, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// subject is one kernel under measurement.
type subject struct {
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd
}

func (s *subject) ask(name string, count int) ([]float64, error) {
	if _, err := fmt.Fprintf(s.in, "%s %d\n", name, count); err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var values []float64
	return values, json.Unmarshal(line, &values)
}

func run(out io.Writer, rounds int) error {
	dir, err := os.MkdirTemp("", "metaml-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	python := os.Getenv("METAML_TEST_PYTHON")
	if python == "" {
		if python, err = filepath.Abs("build/venv-test/bin/python"); err != nil {
			return err
		}
	}
	if _, err := os.Stat(python); err != nil {
		return fmt.Errorf("no Python at %s: run make test once, from the repository's folder", python)
	}
	if err := install(dir, python); err != nil {
		return err
	}
	ours, err := begin(dir, python, "metaml")
	if err != nil {
		return err
	}
	theirs, err := begin(dir, python, "plain")
	if err != nil {
		return err
	}
	rest, err := ours.ask("memory", 1)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%-12s %12s %12s %7s  %s\n", "", "metaml", "ipykernel", "ratio", "goal")
	for _, m := range measures {
		if err := compare(out, ours, theirs, m, rounds); err != nil {
			return err
		}
	}
	after, err := ours.ask("memory", 1)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%-12s %9.1f MB at rest, %.1f MB after all of the above; goal <= 20 MB\n", "memory", rest[0],
		after[0])
	for _, s := range []*subject{ours, theirs} {
		_ = s.in.Close()
		if err := s.cmd.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func compare(out io.Writer, ours, theirs *subject, m measure, rounds int) error {
	var a, b []float64
	for round := range rounds + 1 {
		pair := []*subject{ours, theirs}
		if round%2 == 1 {
			slices.Reverse(pair)
		}
		for _, s := range pair {
			values, err := s.ask(m.name, m.count)
			if err != nil {
				return err
			}
			if round == 0 {
				continue // warm-up
			}
			if s == ours {
				a = append(a, values...)
			} else {
				b = append(b, values...)
			}
		}
	}
	x, y := median(a), median(b)
	fmt.Fprintf(out, "%-12s %12.3f %12.3f %7.3f  %s  (%s, %d samples)\n", m.name, x*m.scale, y*m.scale, x/y, m.goal,
		m.unit, len(a))
	return nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func install(dir, python string) error {
	kernel := filepath.Join(dir, "metaml-kernel")
	//nolint:noctx // our own
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", kernel, "./cmd/metaml-kernel")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build metaml-kernel: %w", err)
	}
	for name, argv := range map[string][]string{
		"metaml": {kernel, "-f", "{connection_file}", "--python", python},
		"plain":  {python, "-m", "ipykernel_launcher", "-f", "{connection_file}"},
	} {
		spec := filepath.Join(dir, "kernels", name)
		if err := os.MkdirAll(spec, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(spec, "kernel.json"), kernelspec.JSON(argv, name), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func begin(dir, python, name string) (*subject, error) {
	//nolint:gosec,noctx // our own; it ends with its input
	cmd := exec.Command(python, "test/bench/kernel/bench.py", name)
	cmd.Env = append(os.Environ(), "JUPYTER_PATH="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the measuring program: %w", err)
	}
	return &subject{in: in, out: bufio.NewReader(out), cmd: cmd}, nil
}
