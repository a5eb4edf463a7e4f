package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func notebook(t *testing.T, cells ...string) string {
	t.Helper()
	type cell map[string]any
	nb := map[string]any{"nbformat": 4, "nbformat_minor": 5, "metadata": map[string]any{}}
	var cs []cell
	for _, c := range cells {
		cs = append(cs, cell{"cell_type": "code", "source": c, "metadata": map[string]any{}, "outputs": []any{}})
	}
	nb["cells"] = cs
	data, err := json.Marshal(nb)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "a.ipynb")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// command runs the command and gives its exit code and both outputs.
func command(t *testing.T, stdin string, args ...string) (int, string, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestScriptOfAFunction(t *testing.T) {
	name := notebook(t, "# two\nK = 2", "print(K)", "%%train\ndef f(a): return a * K")
	code, out, errs := command(t, "", name, "--function", "f", "--stdout")
	if code != 0 || errs != "" || !strings.Contains(out, "# two\nK = 2\n") ||
		!strings.Contains(out, "def f(a): return a * K\n") || strings.Contains(out, "print(K)") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if code, _, errs := command(t, "", name, "--function=f"); code != 0 {
		t.Fatal(errs)
	}
	data, err := os.ReadFile(strings.TrimSuffix(name, ".ipynb") + ".py")
	if err != nil || string(data) != out {
		t.Errorf("the file differs: %s, %v", data, err)
	}
	in, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if code, piped, errs := command(t, string(in), "-", "--function", "f"); code != 0 ||
		!strings.Contains(piped, "def f(a): return a * K\n") {
		t.Errorf("%d %s %s", code, piped, errs)
	}
	// A script made of a script would replace it.
	if code, _, errs := command(t, "", strings.TrimSuffix(name, ".ipynb")+".py", "--function", "f"); code != 1 ||
		!strings.Contains(errs, "would replace its own source") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestProgramFromNotebook(t *testing.T) {
	name := notebook(t, "def f(a): return a", "def g(): return 1")
	out := filepath.Join(t.TempDir(), "p")
	if code, _, errs := command(t, "", "--to", "train", "-o", out, "--function", "f", name); code != 0 {
		t.Fatal(errs)
	}
	for _, f := range []string{"code/main.py", "code/program.json", "map.json"} {
		if _, err := os.Stat(filepath.Join(out, f)); err != nil {
			t.Error(err)
		}
	}
	if code, _, errs := command(t, "", "--to", "train", "-o", out, name); code != 1 ||
		!strings.Contains(errs, "is not empty") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestApplicationFromNotebook(t *testing.T) {
	name := notebook(t, "import joblib, metaml\nclass Net: pass\nK = 2", "%%train\ndef train(): return Net()",
		"%%serve --url /read --port 8123 --replicas 2 --workers 3 --model run\nnet = joblib.load(metaml.model() / "+
			"'net')\ndef read(x): return net.read(x)", "%%train\ndef other(): return K")
	if code, out, errs := command(t, "", name, "--to", "serve"); code != 0 || out != "" || errs != "" {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(name), "a_app.py"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"A Flask application of the function read in a.ipynb.", "gunicorn --workers 6 --bind 127.0.0.1:8123 a_app:app",
		"def model_folder():",
		"class Net: pass\n", "net = joblib.load(model_folder() / 'net')\n",
		`@app.route("/read", methods=["GET", "POST"])`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %q in\n%s", want, data)
		}
	}
	if code, out, errs := command(t, "", name, "--to", "serve", "--function", "other", "--stdout"); code != 1 ||
		out != "" || !strings.Contains(errs, "other has no parameters") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if code, out, errs := command(t, "", name, "--function", "other", "--stdout"); code != 0 ||
		!strings.Contains(out, "def other(): return K") || strings.Contains(out, "def read") {
		t.Errorf("%d %s %s", code, out, errs)
	}
}

// An application does not do what --auth token does, which nobody is to find out from its callers.
func TestApplicationOfALockedServer(t *testing.T) {
	for _, cell := range []string{
		"%%serve --auth token\ndef read(x): return x",
		"from metaml import Serve\n@Serve(settings={'auth': 'token'})\ndef read(x): return x",
	} {
		code, _, errs := command(t, "", notebook(t, cell), "--to", "serve", "--stdout")
		if code != 0 || !strings.Contains(errs, "the application asks for no token, as --auth token has a server do") {
			t.Errorf("%q: %d %s", cell, code, errs)
		}
	}
}

// TestApplicationOfTheExample: the class that the model's pickle names comes along as it was typed, and what only the
// training needs does not.
func TestApplicationOfTheExample(t *testing.T) {
	code, out, errs := command(t, "", "../../examples/digits.ipynb", "--to", "serve", "--stdout")
	if code != 0 || errs != "" {
		t.Fatalf("%d %s", code, errs)
	}
	for _, want := range []string{
		"\n\n    def predict(self, x):\n", "sys.modules[\"__main__\"].Network = Network\n",
		"def softmax(scores):", "def read_digit(image: np.ndarray):",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, wrong := range []string{"metaml", "def batches", "load_digits", "BATCH"} {
		if strings.Contains(out, wrong) {
			t.Errorf("%q in\n%s", wrong, out)
		}
	}
}

func TestApplicationFromScript(t *testing.T) {
	name := filepath.Join(t.TempDir(), "my-server.py")
	src := "from metaml import Serve, Train, model\nclass Net: pass\n@Train\ndef train(): return Net()\nnet = " +
		"open(model('train') / 'net')\n" +
		"@Serve(settings={'url': '/read', 'port': 8080, 'batch': 4})\ndef read(inputs): return [net.read(x) for x in " +
		"inputs]\nif __name__ == '__main__': read()\n"
	if err := os.WriteFile(name, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, "", name, "--to", "serve"); code != 0 {
		t.Fatal(errs)
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(name), "my_server_app.py"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"class Net: pass", "def model(run=None):",
		`read([by_name(read_input(), "inputs")])[0]`, "port=8080", `"/read"`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %q in\n%s", want, data)
		}
	}
}

func TestExplain(t *testing.T) {
	name := notebook(t, "K = 2", "def f(a): return a * K")
	code, out, _ := command(t, "", name, "--explain")
	if code != 0 || !strings.Contains(out, "cell 1, line 1") || !strings.Contains(out, "needed by f") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := command(t, "", name, "--explain", "--json"); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("%d %s", code, out)
	}
}

func TestMistakes(t *testing.T) {
	name := notebook(t, "def f(a): return b")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no notebook", nil, 2, "which notebook?"},
		{
			"another form",
			[]string{name, "--to", "html"},
			2,
			"--to html is jupyter nbconvert's; here it is script, notebook, percent, markdown, train or serve",
		},
		{
			"nothing to serve",
			[]string{name, "--to", "serve"},
			1,
			"nothing says which function is to answer: there is no %%serve cell and no @Serve\nName it: --function " +
				"NAME.",
		},
		{
			"a misspelt option of the cell",
			[]string{notebook(t, "%%serve --prot 80\ndef f(a): return a"), "--to", "serve"},
			1,
			"cell 1: there is no option --prot\nDid you mean --port?",
		},
		{
			"a served function without parameters",
			[]string{notebook(t, "%%serve\ndef f(): return 1"), "--to", "serve"},
			1, "f has no parameters",
		},
		{"an unknown option", []string{name, "--nonsense"}, 2, "nonsense"},
		{
			"a program to two places",
			[]string{name, "--stdout", "-o", "x"},
			2, "--stdout goes with --to script or serve",
		},
		{"a missing notebook", []string{"missing.ipynb"}, 1, "missing.ipynb"},
		{
			"an undefined name",
			[]string{name, "--function", "f"},
			1,
			"f uses `b` (cell 1, line 1), which no cell defines",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, out, errs := command(t, "", c.args...); code != c.code || !strings.Contains(errs, c.want) ||
				out != "" {
				t.Errorf("%d %q %q", code, out, errs)
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(name), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// What a saved notebook writes, its script writes, so that it runs in an empty folder.
func TestAScriptWritesTheFilesOfItsNotebook(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		cells      []string
	}{
		{"a module", `{"v": 7}`, []string{
			"%%writefile helpers_w.py\ndef seven():\n    return 7", "from helpers_w import seven",
			"%%train\ndef fit():\n    return {'v': seven()}",
		}},
		{"a module and what is appended", `{"v": 8}`, []string{
			"%%file helpers_w.py\nimport inner_w\n", "%%writefile -a helpers_w.py\ndef eight(): return inner_w.N\n",
			"%%writefile inner_w.py\nN = 8", "import helpers_w as h", "%%train\ndef fit():\n" +
				"    return {'v': h.eight()}",
		}},
		{"a folder", `{"v": 1}`, []string{
			"from pathlib import Path\nCKPT = Path('ckpt')\nCKPT.mkdir(exist_ok=True)",
			"%%train\ndef fit():\n    (CKPT / 'a.txt').write_text('x')\n    return {'v': 1}",
		}},
		{"a file", `{"v": 2}`, []string{
			"import shutil, pathlib\npathlib.Path('raw').mkdir()\npathlib.Path('raw/a.txt').write_text('ab')",
			"shutil.copytree('raw', 'data')", "%%train\ndef fit():\n    return {'v': len(open('data/a.txt').read())}",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := notebook(t, c.cells...)
			script := strings.TrimSuffix(name, ".ipynb") + "_script.py"
			if code, _, errs := command(t, "", name, "-o", script, "--function", "fit"); code != 0 || errs != "" {
				t.Fatal(code, errs)
			}
			process := exec.CommandContext(t.Context(), python, script)
			process.Dir = filepath.Dir(name)
			out, err := process.CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != c.want {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestWhatACommandMakesIsSaidToBeMissing(t *testing.T) {
	name := notebook(t, "!git clone https://example.org/repo", "%cd repo", "%%train\ndef f(): return 1")
	code, _, errs := command(t, "", name, "--function", "f")
	if code != 1 || !strings.Contains(errs, "!git clone https://example.org/repo was left out (cell 1, line 1)") ||
		!strings.Contains(errs, "cell 2, line 1 names repo") {
		t.Errorf("%d %s", code, errs)
	}
	if _, err := os.Stat(strings.TrimSuffix(name, ".ipynb") + ".py"); err != nil {
		t.Error(err)
	}
	if code, _, errs := command(t, "", name, "--explain"); code != 0 {
		t.Error(code, errs)
	}
}
