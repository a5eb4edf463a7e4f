package ship_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/internal/usererror"
)

// folderOf writes a program folder.
func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// unpacked gives the files of a packed program, and whether anything else is said of them.
func unpacked(t *testing.T, packed []byte) map[string]string {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	archive := tar.NewReader(plain)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(data)
		if header.Uid != 0 || header.Uname != "" || !header.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s says who made it, or when: %+v", header.Name, header)
		}
	}
}

var program = map[string]string{
	"code/main.py": "x = 1\n", "code/with/x.pickle": "value", "code/program.json": "{}",
	"include/data/x.csv": "1,2\n",
	"map.json":           `{"lines":[],"source":"/home/planted/notes/digits.ipynb"}`,
	"expected.json":      `{"v": 2, "values": {"x": {"type": "str", "digest": "00", "repr": "'ghp_plantedToken'"}}}`,
	"session.json":       "planted", "other": "planted",
}

func TestOfAProgramOnlyWhatIsExecutedLeaves(t *testing.T) {
	packed, err := ship.Program(folderOf(t, program), "key")
	if err != nil {
		t.Fatal(err)
	}
	files := unpacked(t, packed)
	masked, err := ship.Masked([]byte(program["expected.json"]), "key")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{
		"code/main.py": "x = 1\n", "code/program.json": "{}", "code/with/x.pickle": "value",
		"include/data/x.csv": "1,2\n",
		"map.json":           `{"lines":[],"source":"digits.ipynb"}`,
		"expected.json":      string(masked),
	}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestWithoutAKeyNothingIsSaidOfTheSession(t *testing.T) {
	packed, err := ship.Program(folderOf(t, program), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, is := unpacked(t, packed)["expected.json"]; is {
		t.Error("how names looked leaves without a key")
	}
}

func TestTheSameProgramIsTheSameBytes(t *testing.T) {
	var packed [2][]byte
	for i := range packed {
		dir := folderOf(t, program)
		at := time.Unix(int64(1e9+i), 0)
		if err := os.Chtimes(filepath.Join(dir, "code", "main.py"), at, at); err != nil {
			t.Fatal(err)
		}
		var err error
		if packed[i], err = ship.Program(dir, "key"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("two folders of one program are packed differently")
	}
}

func TestWhatIsTooLargeIsNamed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, ship.MaxProgram+1)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	for _, c := range []struct{ name, file, text string }{
		{"a value", "code/with/images.pickle", "the value of images, which --with ships, has 8.0 MiB"},
		{"a module", "code/data/big.py", `the file "data/big.py" has 8.0 MiB`},
		{"what goes with it", "include/data/big.csv", `the file "data/big.csv" has 8.0 MiB`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ship.Program(folderOf(t, map[string]string{"code/main.py": "", c.file: string(data)}), "key")
			u, ok := errors.AsType[*usererror.Error](err)
			if !ok || !strings.HasSuffix(u.Text, c.text) || !strings.Contains(u.Hint, "--mount pvc:NAME:PATH") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestALinkIsNotFollowed(t *testing.T) {
	dir := folderOf(t, program)
	if err := os.Symlink("../session.json", filepath.Join(dir, "code", "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := ship.Program(dir, "key"); err == nil || !strings.Contains(err.Error(), `"code/link" is no file`) {
		t.Errorf("the error is %v", err)
	}
}

func TestPartsAreThePieces(t *testing.T) {
	for _, size := range []int{0, 1, ship.PartSize, ship.PartSize + 1, 3 * ship.PartSize} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			data := bytes.Repeat([]byte{7}, size)
			parts := ship.Parts(data)
			if want := max((size+ship.PartSize-1)/ship.PartSize, 1); len(parts) != want {
				t.Errorf("%d bytes are %d parts, want %d", size, len(parts), want)
			}
			if !bytes.Equal(bytes.Join(parts, nil), data) {
				t.Errorf("the parts of %d bytes are not what was cut", size)
			}
		})
	}
}

// A model is packed with all that its links lead to, as a server on the machine that has it reads it.
func TestLinksOfAModelAreFollowed(t *testing.T) {
	dir := folderOf(t, map[string]string{"epochs/5/weights": "five", "run.sh": "x"})
	for link, to := range map[string]string{
		"latest": "epochs/5", "weights": "epochs/5/weights", "nowhere": "missing",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	var packed [2][]byte
	for i := range packed {
		at := time.Unix(int64(1e9+i), 0)
		if err := os.Chtimes(filepath.Join(dir, "run.sh"), at, at); err != nil {
			t.Fatal(err)
		}
		var err error
		if packed[i], err = ship.Model(dir); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("the same files are packed differently")
	}
	if diff := cmp.Diff(map[string]string{
		"epochs/5/weights": "five", "latest/weights": "five", "weights": "five", "run.sh": "x",
	}, unpacked(t, packed[0])); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestAModelThatCannotBePackedIsRefused(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	long := make([]byte, ship.MaxModel+1)
	for i := range long {
		long[i] = byte(random.Uint32())
	}
	endless := folderOf(t, map[string]string{"weights": "x"})
	if err := os.Symlink(".", filepath.Join(endless, "again")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir, want string
	}{
		{"too long", folderOf(t, map[string]string{"a": "x", "weights": string(long)}), ship.ErrModelTooLong.Error()},
		{"folders without end", endless, "nested more than 32 deep"},
		{"no folder", filepath.Join(t.TempDir(), "gone"), "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ship.Model(c.dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q in it", err, c.want)
			}
		})
	}
}
