package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

func TestRequirementsOfANotebook(t *testing.T) {
	python := venv.Python(t)
	dir := folder(t, map[string]string{
		"a.ipynb": "import numpy as np\nimport beside, written\n" +
			"%pip install 'uvicorn[standard]'\nnp.float64(1) + beside.ONE",
		"beside.py": "ONE = 1", "written.py": "",
	})
	code, out, errs := command(t, "", dir+"/a.ipynb", "--requirements", "--python", python)
	if code != 0 || out != "" {
		t.Fatal(code, out, errs)
	}
	all := contents(t, dir)
	if text := all["requirements.txt"]; !strings.Contains(text, "numpy==") ||
		!strings.Contains(text, "# import numpy, cell 1, line 1") || !strings.Contains(text, "uvicorn[standard]==") ||
		strings.Contains(text, "beside") || strings.Contains(text, dir) {
		t.Error(text)
	}
	if text := all["pylock.toml"]; !strings.Contains(text, "lock-version = '1.0'") ||
		!strings.Contains(text, "name = 'numpy'") {
		t.Error(text)
	}
	if text := all["a.py"]; !strings.Contains(text, "# /// script\n") || !strings.Contains(text, "#   'numpy==") {
		t.Error(text)
	}
	printed, err := exec.CommandContext(t.Context(), python, filepath.Join(dir, "a.py")).CombinedOutput()
	if err != nil || string(printed) != "np.float64(2.0)\n" {
		t.Errorf("%v %s", err, printed)
	}
	if code, _, errs := command(t, "", dir+"/a.ipynb", "--requirements", "--python", python, "--check"); code != 0 {
		t.Error("it is another one the second time: " + errs)
	}
}

// Without an interpreter names are known; files that others made are not replaced, and a cell's own block is taken in.
func TestRequirementsWithoutAnInterpreter(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("CONDA_PREFIX", "")
	t.Setenv("METAML_PYTHON", "")
	dir := folder(t, map[string]string{
		"a.ipynb":          "# /// script\n# dependencies = ['rich>=13']\n# ///\nimport sklearn",
		"requirements.txt": "mine\n",
	})
	code, _, errs := command(t, "", dir+"/a.ipynb", "--requirements")
	if code != 1 || !strings.Contains(errs, "requirements.txt is there, and was not made by metaml-nbconvert") {
		t.Errorf("%d %s", code, errs)
	}
	if err := os.Remove(dir + "/requirements.txt"); err != nil {
		t.Fatal(err)
	}
	code, _, errs = command(t, "", dir+"/a.ipynb", "--requirements")
	want := dir + "/a.ipynb: no version of scikit-learn is known: no Python was found whose packages these are. " +
		"Name the notebook's Python by --python.\n"
	if code != 0 || errs != want {
		t.Error(code, errs)
	}
	all := contents(t, dir)
	if text := all["requirements.txt"]; !strings.Contains(text, "scikit-learn\n") ||
		!strings.Contains(text, "# unpinned") || !strings.Contains(text, "rich>=13") {
		t.Error(text)
	}
	if text := all["a.py"]; strings.Count(text, "# /// script") != 1 || !strings.Contains(text, "'rich>=13'") {
		t.Error(text)
	}
	if _, ok := all["pylock.toml"]; ok {
		t.Error("there is a lock of what is not known")
	}
}

// The metadata at the head moves the lines of the script, and that of a cell, which goes, no line of the cell.
func TestTheSourceMapOfAScriptWithMetadata(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.ipynb": "# /// script\n# dependencies = ['rich']\n# ///\nimport sklearn\na = 1\n%R x",
	})
	args := []string{
		dir + "/a.ipynb", "--requirements", "--source-map", dir + "/map.json", "--keep-going", "--python",
		venv.Python(t),
	}
	if code, _, errs := command(t, "", args...); code != 1 || !strings.Contains(errs, "cell 1, line 6: %R") {
		t.Fatal(code, errs)
	}
	all := contents(t, dir)
	if text := all["requirements.txt"]; !strings.Contains(text, "# import sklearn, cell 1, line 4") {
		t.Error(text)
	}
	var read struct{ Lines []struct{ Script, Line int } }
	if err := json.Unmarshal([]byte(all["map.json"]), &read); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(all["a.py"], "\n")
	for _, l := range read.Lines {
		if lines[l.Script-1] == "a = 1" && l.Line == 5 {
			return
		}
	}
	t.Errorf("%+v\n%s", read, all["a.py"])
}
