package kept_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kept"
	"github.com/metaml/metaml/deployer/run"
)

var id = run.AttemptID{Trial: 3, Number: 1}

// bench is a keeper and the output folder of a trial.
type bench struct {
	kept.Keeper
	t   *testing.T
	dir string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{Keeper: kept.Keeper{Folder: folder.Run(t.TempDir())}, t: t}
	b.dir = b.Folder.Output(id.Trial)
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	must(b.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(b.t, os.WriteFile(path, []byte(text), 0o600))
}

func (b *bench) keep() {
	b.t.Helper()
	must(b.t, b.Keep(b.t.Context(), id, b.dir))
}

// restored gives the tree that a further attempt finds.
func (b *bench) restored() map[string]string {
	b.t.Helper()
	dir := b.t.TempDir()
	must(b.t, b.Restore(b.t.Context(), run.AttemptID{Trial: id.Trial, Number: 2}, dir))
	b.t.Cleanup(func() { writable(dir) })
	return tree(b.t, dir)
}

// snapshots lists what is beside the lock in the folder of checkpoints.
func (b *bench) snapshots() []string {
	entries, _ := os.ReadDir(b.Folder.Checkpoints(id.Trial))
	var names []string
	for _, e := range entries {
		if e.Name() != "lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writable(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
}

// tree describes a folder: mode, time and content of all that is in it.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%s %d ", info.Mode(), info.ModTime().UnixNano())
		switch {
		case d.IsDir():
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what = "-> " + target
		default:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += string(data)
		}
		found[name] = what
		return nil
	}))
	return found
}

func same(t *testing.T, want, got map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%.3000s", diff)
	}
}

func TestWhatWasKeptLastIsRestored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if got := b.restored(); len(got) != 1 {
		t.Errorf("nothing was kept, and there is %q", got)
	}
	b.write("model.pt", "1")
	b.write("logs/a\xffb", "a name that is not UTF-8")
	b.write("closed/inside", "x")
	must(t, os.Symlink("logs/nowhere", filepath.Join(b.dir, "link")))
	must(t, os.Symlink("logs", filepath.Join(b.dir, "folder")))
	must(t, os.Chmod(filepath.Join(b.dir, "model.pt"), 0o754))
	must(t, os.Chmod(filepath.Join(b.dir, "logs", "a\xffb"), 0o400))
	must(t, os.Chmod(filepath.Join(b.dir, "closed"), 0o500))
	t.Cleanup(func() { writable(b.dir) })
	old := time.Unix(1e9, 12345)
	must(t, os.Chtimes(filepath.Join(b.dir, "model.pt"), old, old))
	b.keep()
	first := tree(t, b.dir)
	b.write("junk", "that was not kept")
	b.write("model.pt", "2")
	same(t, first, b.restored())
	b.keep()
	same(t, tree(t, b.dir), b.restored())
	// A further attempt may write into what it got.
	dir := t.TempDir()
	must(t, b.Restore(t.Context(), id, dir))
	t.Cleanup(func() { writable(dir) })
	must(t, os.WriteFile(filepath.Join(dir, "model.pt"), []byte("changed in place"), 0))
	same(t, tree(t, b.dir), b.restored())
	if got := b.snapshots(); len(got) != 1 || got[0] != "000002" {
		t.Errorf("there are %q", got)
	}
}

func TestAFolderThatIsNotThereIsKeptAsAnEmptyOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("model", "x")
	b.keep()
	must(t, os.RemoveAll(b.dir))
	b.keep()
	if got := b.restored(); len(got) != 1 {
		t.Errorf("there is %q", got)
	}
}

func TestWhatIsNoFileIsLeftOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("model", "x")
	want := tree(t, b.dir)
	must(t, syscall.Mkfifo(filepath.Join(b.dir, "pipe"), 0o600))
	b.keep()
	got := b.restored()
	delete(want, ".") // its time is another one
	delete(got, ".")
	same(t, want, got)
}

func TestAFileThatCannotBeReadIsNamedAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("model", "1")
	b.keep()
	want := b.restored()
	// Not even the superuser reads it.
	must(t, os.RemoveAll(b.dir))
	must(t, os.WriteFile(b.dir, nil, 0o600))
	if err := b.Keep(t.Context(), id, b.dir); err == nil || !strings.Contains(err.Error(), b.dir) {
		t.Errorf("a folder that is none was kept: %v", err)
	}
	same(t, want, b.restored())
	if got := b.snapshots(); len(got) != 1 {
		t.Errorf("there are %q", got)
	}
}

// inode is that of a file in the last snapshot.
func (b *bench) inode(name string) uint64 {
	b.t.Helper()
	all := b.snapshots()
	info, err := os.Stat(filepath.Join(b.Folder.Checkpoints(id.Trial), all[len(all)-1], "files", name))
	must(b.t, err)
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestAFileThatHasNotChangedIsNotCopiedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var s syscall.Statfs_t
	if err := syscall.Statfs(b.dir, &s); err != nil || s.Type == 0x01021994 {
		t.Skip("in memory everything is copied")
	}
	for _, name := range []string{"stays", "grows", "is replaced", "other mode", "same size and time"} {
		b.write(name, "x")
	}
	<-time.After(2100 * time.Millisecond) // they change within 2 s before the snapshot
	b.write("is new", "x")
	names := []string{"stays", "grows", "is replaced", "other mode", "same size and time", "is new"}
	inodes := map[string]uint64{}
	b.keep()
	for _, name := range names {
		inodes[name] = b.inode(name)
	}
	b.write("grows", "more")
	b.write("other", "y")
	must(t, os.Rename(filepath.Join(b.dir, "other"), filepath.Join(b.dir, "is replaced")))
	must(t, os.Chmod(filepath.Join(b.dir, "other mode"), 0o640))
	at := filepath.Join(b.dir, "same size and time")
	info, err := os.Stat(at)
	must(t, err)
	b.write("same size and time", "z")
	must(t, os.Chtimes(at, info.ModTime(), info.ModTime()))
	b.keep()
	for _, name := range names {
		if linked := b.inode(name) == inodes[name]; linked != (name == "stays") {
			t.Errorf("%s is linked: %v", name, linked)
		}
	}
	same(t, tree(t, b.dir), b.restored())
}

// What is written through a mapping leaves the times of a file alone while its pages are dirty already.
func TestAFileThatChangesThroughAMapping(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("mapped", strings.Repeat("0", 4096))
	f, err := os.OpenFile(filepath.Join(b.dir, "mapped"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	mapped, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	must(t, err)
	defer func() { _ = syscall.Munmap(mapped) }()
	mapped[0] = '1'
	<-time.After(2100 * time.Millisecond)
	for _, c := range "234" {
		mapped[0] = byte(c)
		b.keep()
		same(t, tree(t, b.dir), b.restored())
	}
}

func TestHolesStayHoles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f, err := os.Create(filepath.Join(b.dir, "sparse"))
	must(t, err)
	defer f.Close()
	const size = 1 << 30
	for _, at := range []int64{1 << 20, 100 << 20} {
		_, err = f.WriteAt([]byte("data"), at)
		must(t, err)
	}
	must(t, f.Truncate(size))
	b.keep()
	dir := t.TempDir()
	must(t, b.Restore(t.Context(), id, dir))
	info, err := os.Stat(filepath.Join(dir, "sparse"))
	must(t, err)
	if s := info.Sys().(*syscall.Stat_t); info.Size() != size || s.Blocks*512 > 10<<20 {
		t.Errorf("%d bytes take %d", info.Size(), s.Blocks*512)
	}
	data := make([]byte, 4)
	g, err := os.Open(filepath.Join(dir, "sparse"))
	must(t, err)
	defer g.Close()
	if _, err := g.ReadAt(data, 100<<20); err != nil || string(data) != "data" {
		t.Errorf("%q %v", data, err)
	}
}

// edit changes a tree at random.
func edit(t *testing.T, r *rand.Rand, dir string) {
	t.Helper()
	at := dir
	for r.IntN(2) == 0 {
		at = filepath.Join(at, fmt.Sprint("d", r.IntN(3)))
	}
	if os.MkdirAll(at, 0o700) != nil {
		return // something else has the name
	}
	path := filepath.Join(at, fmt.Sprint("f", r.IntN(4)))
	switch r.IntN(8) {
	case 0:
		_ = os.RemoveAll(path)
	case 1:
		_ = os.RemoveAll(at)
		_ = os.MkdirAll(dir, 0o700)
	case 2:
		_ = os.Symlink(fmt.Sprint("f", r.IntN(4)), path)
	case 3:
		_ = os.Rename(path, filepath.Join(dir, fmt.Sprint("f", r.IntN(4))))
	case 4:
		_ = os.Link(path, filepath.Join(dir, fmt.Sprint("f", r.IntN(4))))
	case 5:
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			_ = os.Chmod(path, 0o400|fs.FileMode(r.IntN(0o400)))
		}
	default:
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return
		}
		defer f.Close()
		if r.IntN(2) == 0 {
			_ = f.Truncate(int64(r.IntN(10000)))
		}
		_, err = f.WriteAt([]byte(strings.Repeat(string(rune('a'+r.IntN(26))), r.IntN(5000))), int64(r.IntN(20000)))
		must(t, err)
	}
}

// Whatever was done to the folder between two checkpoints, and whatever was left behind, the last one is restored.
func TestAnyTreeIsRestored(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			b := newBench(t)
			for range 30 {
				for range r.IntN(10) {
					edit(t, r, b.dir)
				}
				if r.IntN(4) == 0 { // a process was killed while it made one
					left := filepath.Join(b.Folder.Checkpoints(id.Trial), ".new", "files")
					must(t, os.MkdirAll(left, 0o700))
					must(t, os.WriteFile(filepath.Join(left, "f0"), []byte("torn"), 0o600))
				}
				all := b.snapshots()
				if r.IntN(4) == 0 && len(all) > 0 && all[0] == "000005" { // or before it had tidied up
					must(t, os.MkdirAll(filepath.Join(b.Folder.Checkpoints(id.Trial), "000004", "files"), 0o700))
				}
				if r.IntN(5) == 0 && len(b.snapshots()) > 0 {
					ctx, cancel := context.WithCancelCause(t.Context())
					cancel(errors.New("given up"))
					want := b.restored()
					if err := b.Keep(ctx, id, b.dir); err == nil || !strings.Contains(err.Error(), "given up") {
						t.Errorf("it was given up, and gave %v", err)
					}
					same(t, want, b.restored())
				}
				b.keep()
				same(t, tree(t, b.dir), b.restored())
			}
			if got := b.snapshots(); len(got) != 1 {
				t.Errorf("there are %q", got)
			}
		})
	}
}

// While others write, remove and keep, each snapshot is one that somebody took.
func TestManyKeepAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for k := range 20 {
				path := filepath.Join(b.dir, fmt.Sprint("f", i))
				temporary := path + ".tmp"
				if os.WriteFile(temporary, []byte(strings.Repeat(fmt.Sprint(k%10), 10000)), 0o600) != nil ||
					os.Rename(temporary, path) != nil {
					t.Error("cannot write")
				}
				if err := b.Keep(t.Context(), id, b.dir); err != nil {
					t.Error(err)
				}
				if k%5 == 0 {
					if err := b.Restore(t.Context(), id, t.TempDir()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	b.keep()
	same(t, tree(t, b.dir), b.restored())
	for name, text := range b.restored() {
		if strings.HasPrefix(name, "f") && !strings.HasSuffix(text, strings.Repeat("9", 10000)) {
			t.Errorf("%s is %.100q", name, text)
		}
	}
}

func TestADamagedCheckpointIsNotRestored(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(dir string) error{
		"no index": func(dir string) error { return os.Remove(filepath.Join(dir, "index")) },
		"half":     func(dir string) error { return os.Truncate(filepath.Join(dir, "index"), 20) },
		"no file":  func(dir string) error { return os.Remove(filepath.Join(dir, "files", "model")) },
		"of a newer": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "index"), []byte(`{"v":2}`), 0o600)
		},
		"elsewhere": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "index"), []byte(`{"v":1,"entries":[{"path":"Li4veA=="}]}`), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.write("model", "x")
			b.keep()
			must(t, damage(filepath.Join(b.Folder.Checkpoints(id.Trial), "000001")))
			if err := b.Restore(t.Context(), id, t.TempDir()); err == nil {
				t.Error("it was restored")
			}
			b.keep() // the next one is whole
			same(t, tree(t, b.dir), b.restored())
		})
	}
}

// killed names the run folder in the process that is killed.
const killed = "METAML_TEST_KEPT_KILLED"

// A process that keeps one state after the other is killed at any moment: what it kept last is there, or what it was
// about to keep.
func TestAKeeperThatIsKilled(t *testing.T) {
	if dir := os.Getenv(killed); dir != "" {
		keepOn(t, dir)
		return
	}
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	b := newBench(t)
	last := 0
	for range 25 {
		c := exec.Command(os.Args[0], "-test.run", "^TestAKeeperThatIsKilled$")
		c.Env = append(os.Environ(), killed+"="+string(b.Folder), "METAML_TEST_KEPT_FROM="+strconv.Itoa(last+1))
		out, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		lines := bufio.NewScanner(out)
		kill := time.AfterFunc(time.Hour, func() { _ = c.Process.Kill() })
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				if last == 0 || n > last {
					last = n
				}
				kill.Reset(time.Duration(r.IntN(20)) * time.Millisecond)
			}
		}
		_ = c.Wait()
		kill.Stop()
		dir := t.TempDir()
		must(t, b.Restore(t.Context(), id, dir))
		states := map[string]bool{}
		for i := range 5 {
			data, err := os.ReadFile(filepath.Join(dir, fmt.Sprint("f", i)))
			must(t, err)
			states[string(data[:8])] = true
		}
		found := -1
		if len(states) == 1 {
			for s := range states {
				found, _ = strconv.Atoi(s)
			}
		}
		if found != last && found != last+1 {
			t.Fatalf("%d was kept last, and there is %v", last, states)
		}
		last = found
	}
}

func keepOn(t *testing.T, dir string) {
	t.Helper()
	b := &bench{Keeper: kept.Keeper{Folder: folder.Run(dir)}, t: t}
	b.dir = b.Folder.Output(id.Trial)
	from, _ := strconv.Atoi(os.Getenv("METAML_TEST_KEPT_FROM"))
	for n := from; n < from+1000; n++ {
		for i := range 5 {
			b.write(fmt.Sprint("f", i), strings.Repeat(fmt.Sprintf("%08d", n), 1000))
		}
		b.keep()
		fmt.Fprintln(os.Stdout, n)
	}
}

// smallDisk names the folder of the small disk in the process that has one.
const smallDisk = "METAML_TEST_SMALL_DISK"

// A disk of 1 MiB of the test's own, in a mount namespace that ends with it.
func TestAFullDiskKeepsTheCheckpointBefore(t *testing.T) {
	at := os.Getenv(smallDisk)
	if at == "" {
		if _, err := exec.LookPath("unshare"); err != nil {
			t.Skip("no unshare: namespaces are Linux's")
		}
		dir := t.TempDir()
		inner := exec.Command("unshare", "-rm", "sh", "-c",
			`mount -t tmpfs -o size=1m small "$1" && exec "$0" -test.run '^TestAFullDisk' -test.v`, os.Args[0], dir)
		inner.Env = append(os.Environ(), smallDisk+"="+dir)
		if out, err := inner.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestAFullDisk") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	b := newBench(t)
	b.Folder = folder.Run(at)
	b.write("model", "small")
	b.keep()
	want := b.restored()
	b.write("model", strings.Repeat("x", 2<<20))
	b.write("beside", "y")
	for range 3 {
		if err := b.Keep(t.Context(), id, b.dir); !folder.NoSpace(err) {
			t.Errorf("the disk is full, and it gave %v", err)
		}
		same(t, want, b.restored())
		if got := b.snapshots(); len(got) != 1 || got[0] != "000001" {
			t.Errorf("there are %q", got)
		}
	}
	b.write("model", "small again")
	b.keep()
	same(t, tree(t, b.dir), b.restored())
}
