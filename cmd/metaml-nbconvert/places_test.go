package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain makes the test binary the program, where a variable says so: a process of its own gets real signals and
// limits.
func TestMain(m *testing.M) {
	if os.Getenv("METAML_TEST_NBCONVERT") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is the program, to be started; before is what a shell does first, such as to set a limit.
func process(t *testing.T, before string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	shell := append([]string{"-c", before + ` exec "$0" "$@"`, self}, args...)
	c := exec.CommandContext(t.Context(), "sh", shell...)
	c.Env = append(os.Environ(), "METAML_TEST_NBCONVERT=1")
	return c
}

// link makes a symbolic link.
func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

func TestAReaderThatGoesAway(t *testing.T) {
	name := notebook(t, "a = '"+strings.Repeat("x", 1<<20)+"'")
	c := process(t, "", name, "--stdout")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "# Made by metaml-nbconvert from a.ipynb.\n" {
		t.Errorf("%q %v", line, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGPIPE ||
		errs.Len() > 0 {
		t.Errorf("%v %s", err, errs.String())
	}
}

// A disk that is full, as far as a test can fill one, leaves no part of a script, and the old one as it was.
func TestAFullDisk(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": "a = '" + strings.Repeat("x", 1<<20) + "'", "a.py": "old"})
	out, err := process(t, "ulimit -f 1;", dir+"/a.ipynb").CombinedOutput()
	want := dir + "/a.ipynb: " + dir + "/a.py cannot be written: file too large. Name another place with -o or " +
		"--output-dir\n"
	if err == nil || string(out) != want {
		t.Errorf("%v %s", err, out)
	}
	if all := contents(t, dir); len(all) != 2 || all["a.py"] != "old" {
		t.Errorf("it left %d files and %q", len(all), all["a.py"])
	}
	out, err = process(t, "", dir+"/a.ipynb", "-o", "/dev/full").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "/dev/full cannot be written: no space left on device") {
		t.Errorf("%v %s", err, out)
	}
}

func TestFewFilesMayBeOpen(t *testing.T) {
	files := map[string]string{}
	for i := range 500 {
		files[fmt.Sprintf("%d.ipynb", i)] = `{"cells": [{"cell_type": "code", "source": "a = 1"}], "nbformat": 4}`
	}
	dir := folder(t, files)
	if out, err := process(t, "ulimit -n 64;", dir).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v %s", err, out)
	}
	if all := contents(t, dir); len(all) != 1000 {
		t.Errorf("there are %d files", len(all))
	}
}

// One that waits for what nobody writes ends at once, and leaves whole files.
func TestItIsInterrupted(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": "a = 1"})
	pipe := filepath.Join(dir, "b.ipynb")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"while it reads standard input", []string{"-"}},
		{"while it reads a pipe", []string{filepath.Join(dir, "a.ipynb"), pipe}},
		{"while it reads a pipe for a function", []string{pipe, "--function", "f"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := process(t, "", c.args...)
			var errs bytes.Buffer
			p.Stderr = &errs
			in, err := p.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			// It reads, so it listens to signals already.
			if len(c.args) > 1 {
				opened, err := os.OpenFile(pipe, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer opened.Close()
			} else if _, err := in.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
				t.Fatal(err)
			}
			if err := p.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			err = p.Wait()
			if p.ProcessState.ExitCode() != 130 || errs.String() != "metaml-nbconvert: interrupted\n" {
				t.Errorf("%v %q", err, errs.String())
			}
		})
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") {
			t.Error("it left " + f.Name())
		}
	}
}

// A run that was cancelled says nothing of the notebooks that it did not come to.
func TestACancelledRunIsSilent(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": "a = 1", "b.ipynb": "b = 1"})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("a signal"))
	var out, errs bytes.Buffer
	if code := run(ctx, []string{dir}, strings.NewReader(""), &out, &errs); code != 130 || out.Len()+errs.Len() > 0 {
		t.Errorf("%d %s %s", code, out.String(), errs.String())
	}
}

// What is not a regular file is written to, and a link stays one.
func TestWhereAScriptIsWritten(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": "a = 1", "far/old.py": "old", "mine.py": "old"})
	name := filepath.Join(dir, "a.ipynb")
	t.Run("a device", func(t *testing.T) {
		device := filepath.Join(dir, "null")
		link(t, os.DevNull, device)
		if code, out, errs := command(t, "", name, "-o", device); code != 0 || out+errs != "" {
			t.Error(code, out, errs)
		}
		if info, err := os.Stat(device); err != nil || info.Mode().IsRegular() {
			t.Error(info, err)
		}
	})
	t.Run("standard output by its name", func(t *testing.T) {
		out, err := process(t, "", name, "-o", "/dev/stdout").Output()
		if err != nil || !strings.HasSuffix(string(out), "a = 1\n") {
			t.Errorf("%v %s", err, out)
		}
	})
	t.Run("a link to a file", func(t *testing.T) {
		link(t, "far/old.py", filepath.Join(dir, "link.py"))
		if code, out, errs := command(t, "", name, "-o", filepath.Join(dir, "link.py")); code != 0 || out+errs != "" {
			t.Error(code, out, errs)
		}
		led, err := os.Readlink(filepath.Join(dir, "link.py"))
		text := contents(t, dir)["far/old.py"]
		if err != nil || led != "far/old.py" || !strings.HasSuffix(text, "a = 1\n") {
			t.Error(led, err, text)
		}
	})
	t.Run("a file that may be executed", func(t *testing.T) {
		mine := filepath.Join(dir, "mine.py")
		if err := os.Chmod(mine, 0o700); err != nil {
			t.Fatal(err)
		}
		if code, out, errs := command(t, "", name, "-o", mine); code != 0 || out+errs != "" {
			t.Error(code, out, errs)
		}
		if info, err := os.Stat(mine); err != nil || info.Mode().Perm() != 0o700 {
			t.Error(info.Mode(), err)
		}
	})
}

// Two names may be one file.
func TestLinksBetweenNotebooks(t *testing.T) {
	for _, c := range []struct {
		name  string
		links map[string]string
		args  []string
		want  string // "" is none
		files []string
	}{
		{
			"a notebook under two names",
			map[string]string{"z": "x"},
			[]string{"DIR/x/a.ipynb", "DIR/z/a.ipynb"},
			"",
			[]string{"x/a.py"},
		},
		{
			"a folder that is a link",
			map[string]string{"z": "x"},
			[]string{"DIR/z"},
			"",
			[]string{"x/a.py", "x/b.py"},
		},
		{
			"two that are written through a link into one file",
			map[string]string{"out": "y"},
			[]string{"DIR/x/a.ipynb", "DIR/y/a.ipynb", "--output-dir", "DIR/out"},
			"DIR/x/a.ipynb and DIR/y/a.ipynb would both be written to DIR/out/a.py: convert them one by one with -o",
			nil,
		},
		{
			"an output that leads to its source",
			map[string]string{"a.py": "x/a.ipynb"},
			[]string{"DIR/x/a.ipynb", "-o", "DIR/a.py"},
			"DIR/x/a.ipynb: the script would replace its own source; name another file with -o",
			nil,
		},
		{
			"an output that is the source of another", nil,
			[]string{"DIR/x/b.py", "DIR/x/b.ipynb", "--to", "notebook"},
			"DIR/x/b.ipynb is to be converted, and would be replaced by what is made of DIR/x/b.py: write that to " +
				"another place with -o or --output-dir",
			nil,
		},
		{
			"what was made before", nil,
			[]string{"DIR/y", "--to", "notebook"},
			"",
			nil, // it is of version 4.5 already
		},
		{
			"a pattern that names a folder", nil,
			[]string{"DIR/?"},
			"",
			[]string{"x/a.py", "x/b.py", "y/a.py", "y/a.nbconvert.py"},
		},
		{
			"a pattern of folders", nil,
			[]string{"DIR/**/y/*.ipynb"},
			"",
			[]string{"y/a.py", "y/a.nbconvert.py"},
		},
		{
			"a source map in place of the notebook", nil,
			[]string{"DIR/x/a.ipynb", "--source-map", "DIR/x/a.ipynb"},
			"DIR/x/a.ipynb is to be converted, and would be replaced by what is made of DIR/x/a.ipynb: write that to " +
				"another place with -o or --output-dir",
			nil,
		},
		{
			"a source map in place of the script", nil,
			[]string{"DIR/x/a.ipynb", "--source-map", "DIR/x/a.py"},
			"DIR/x/a.py would be written twice: once as the script, and once beside it",
			nil,
		},
		{
			"requirements in place of the script", nil,
			[]string{"DIR/x/a.ipynb", "--requirements", "-o", "DIR/x/requirements.txt"},
			"DIR/x/requirements.txt would be written twice: once as the script, and once beside it",
			nil,
		},
		{
			"locks of one name",
			map[string]string{"x/a.b.ipynb": "a.ipynb", "x/a-b.ipynb": "b.ipynb"},
			[]string{"DIR/x/a.b.ipynb", "DIR/x/a-b.ipynb", "--requirements"},
			"DIR/x/a.b.ipynb and DIR/x/a-b.ipynb would both be written to DIR/x/pylock.a-b.toml: convert them " +
				"one by one with -o",
			nil,
		},
		{"no notebook in folders", nil, []string{"DIR/**/z/*.ipynb"}, "no notebook matches DIR/**/z/*.ipynb", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			const text = `{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}`
			dir := folder(t, map[string]string{
				"x/a.ipynb": text, "y/a.ipynb": text, "y/a.nbconvert.ipynb": text, "x/b.ipynb": text,
			})
			if strings.Contains(c.name, "source of another") {
				if err := os.WriteFile(dir+"/x/b.py", []byte("# %%\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for name, to := range c.links {
				link(t, to, filepath.Join(dir, name))
			}
			before := contents(t, dir)
			var args []string
			for _, a := range c.args {
				args = append(args, strings.ReplaceAll(a, "DIR", dir))
			}
			code, out, errs := command(t, "", args...)
			want := strings.ReplaceAll(c.want, "DIR", dir)
			if out != "" || (want == "") != (code == 0) ||
				strings.TrimPrefix(strings.TrimSpace(errs), "metaml-nbconvert: ") != want {
				t.Errorf("%d %q %q", code, out, errs)
			}
			after := contents(t, dir)
			for _, name := range c.files {
				if after[name] == "" {
					t.Error("there is no " + name)
				}
			}
			if len(after) != len(before)+len(c.files) {
				t.Errorf("there are %d files of %d", len(after), len(before))
			}
		})
	}
}

func TestAPipeIsReadWhereItIsNamed(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": "a = 1"})
	text := contents(t, dir)["a.ipynb"]
	pipe := filepath.Join(dir, "b.ipynb")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	// Nobody writes to it yet: of a folder it is left out.
	if code, _, errs := command(t, "", dir); code != 0 {
		t.Fatal(errs)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(pipe, []byte(text), 0o600) }()
	code, out, errs := command(t, "", pipe, "--stdout")
	if err := <-wrote; err != nil || code != 0 || !strings.HasSuffix(out, "a = 1\n") {
		t.Error(err, code, out, errs)
	}
}

// What means nothing for a form or a language is refused, not passed over.
func TestOptionsWithoutMeaning(t *testing.T) {
	r := `{"cells": [], "metadata": {"kernelspec": {"language": "R", "name": "ir"}}, "nbformat": 4}`
	dir := folder(t, map[string]string{"a.ipynb": "a = 1", "r.ipynb": r})
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{
			"a slice as percent",
			[]string{"a.ipynb", "--to", "percent", "--slice", "a"},
			2,
			"--slice goes with --to script",
		},
		{
			"a source map of Markdown",
			[]string{"a.ipynb", "--to", "markdown", "--source-map", "m"},
			2,
			"--source-map goes with --to script",
		},
		{"a Python of nothing", []string{"a.ipynb", "--python", "x"}, 2, "--python goes with --requirements"},
		{
			"requirements in R",
			[]string{"r.ipynb", "--requirements"},
			1,
			"--requirements goes with notebooks in Python, and this is one in R",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{filepath.Join(dir, c.args[0])}, c.args[1:]...)
			if code, out, errs := command(t, "", args...); code != c.code || out != "" ||
				!strings.Contains(errs, ": "+c.want+"\n") {
				t.Errorf("%d %q %q", code, out, errs)
			}
			if n := len(contents(t, dir)); n != 2 {
				t.Errorf("there are %d files", n)
			}
		})
	}
}
