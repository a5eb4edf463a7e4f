package outline

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/token"
	"github.com/metaml/metaml/test/venv"
)

const compiles = `
import ast, json, sys, warnings
warnings.simplefilter("ignore")
said = []
for text in json.load(sys.stdin):
    try:
        compile(text, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        said.append("")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        said.append(f"{type(e).__name__}: {e}")
json.dump(said, sys.stdout)
`

// refusals gives what Python says to texts, "" where it compiles them.
func refusals(t *testing.T, texts []string) []string {
	t.Helper()
	var said []string
	venv.Ask(t, venv.Python(t), []string{"-c", compiles}, texts, &said)
	return said
}

// judge checks that nothing is accepted that Python refuses, and gives the part of what Python compiles that is
// accepted.
func judge(t *testing.T, texts []string) float64 {
	t.Helper()
	accepted, compiled, faults := 0, 0, 0
	for i, said := range refusals(t, texts) {
		_, ok := Of(texts[i])
		switch {
		case ok && said != "":
			if faults++; faults <= 10 {
				t.Errorf("accepted, but Python says %s:\n%s", said, texts[i])
			}
		case said == "":
			compiled++
			if ok {
				accepted++
			}
		}
	}
	t.Logf("%d texts, %d compile, of which %d are accepted", len(texts), compiled, accepted)
	return float64(accepted) / float64(max(1, compiled))
}

// library gives files of Python's standard library, so many of each hundred.
func library(t *testing.T, percent int) []string {
	t.Helper()
	where, err := exec.CommandContext(t.Context(), venv.Python(t), "-c",
		"import sysconfig; print(sysconfig.get_path('stdlib'))").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSpace(string(where))
	rng := rand.New(rand.NewPCG(3, 4))
	var files []string
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir() && (d.Name() == "site-packages" || d.Name() == "lib2to3"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".py") && rng.IntN(100) < percent:
			data, err := os.ReadFile(path)
			if err == nil && len(data) < 200_000 {
				files = append(files, strings.ToValidUTF8(string(data), "?"))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// pieces cuts a file before lines that begin with text at the left, and the functions of its classes out of them.
func pieces(file string) []string {
	var all []string
	var piece, method []string
	closing := func() {
		if text := strings.Join(method, "\n"); strings.TrimSpace(text) != "" {
			all = append(all, text)
		}
		method = nil
	}
	for line := range strings.SplitSeq(file, "\n") {
		if line != "" && !strings.ContainsAny(line[:1], " \t#)]}'\"") && len(piece) > 0 &&
			!strings.HasPrefix(line, "el") && !strings.HasPrefix(line, "except") &&
			!strings.HasPrefix(line, "finally") &&
			!strings.HasPrefix(piece[len(piece)-1], "@") {
			all = append(all, strings.Join(piece, "\n"))
			piece = nil
			closing()
		}
		piece = append(piece, line)
		if inner, is := strings.CutPrefix(line, "    "); is || line == "" {
			if strings.HasPrefix(inner, "def ") || strings.HasPrefix(inner, "@") && len(method) > 0 {
				closing()
			}
			method = append(method, inner)
		}
	}
	closing()
	return append(all, strings.Join(piece, "\n"))
}

// TestDoubtful has texts about which a recogniser may well be wrong.
func TestDoubtful(t *testing.T) {
	var texts []string
	for line := range strings.SplitSeq(strings.TrimRight(string(read(t, "doubtful.txt")), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		text, err := strconv.Unquote(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		texts = append(texts, text)
	}
	judge(t, texts)
}

func TestLibrary(t *testing.T) {
	var texts []string
	for _, file := range library(t, 25) {
		texts = append(texts, file)
		texts = append(texts, pieces(file)...)
	}
	if rate := judge(t, texts); rate < 0.9 {
		t.Errorf("only %.1f %% of what Python compiles are accepted", 100*rate)
	}
}

// words are put into texts to spoil them.
var words = strings.Fields(`( ) [ ] { } , : ; . = == := -> * ** / // @ + - ~ < ... not in is and or if else for lambda
	yield await async return break continue pass del global nonlocal import from as with try except finally raise
	class def None True x y f() "s" b"s" f"{x}" f"{x!r:>{y}}" f"{" 1 1.5 0x1 1_000 01 1e 2j *x **x x=1 x:=1 print match
	type _ += <<= !`)

// tokens are the texts of the tokens of a piece, and of what is between them.
func tokens(text string) []string {
	var all []string
	last := 0
	for sc := token.NewScanner(text, 0); ; {
		tok, ok := sc.Next()
		if !ok {
			return append(all, text[last:])
		}
		all = append(all, text[last:tok.Start], text[tok.Start:tok.End])
		last = tok.End
	}
}

// spoil changes a text in a few places.
func spoil(rng *rand.Rand, text string) string {
	parts := tokens(text)
	for range 1 + rng.IntN(2) {
		i, j := rng.IntN(len(parts)), rng.IntN(len(parts))
		switch rng.IntN(6) {
		case 0:
			parts[i] = ""
		case 1:
			parts[i], parts[j] = parts[j], parts[i]
		case 2:
			parts[i] = parts[j]
		case 3:
			parts = slices.Insert(parts, i, " "+words[rng.IntN(len(words))]+" ")
		case 4:
			parts = slices.Insert(parts, i, parts[j])
		case 5:
			parts[i] = words[rng.IntN(len(words))]
		}
	}
	return strings.Join(parts, "")
}

func TestSpoiled(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n = 2_000
	}
	if more := os.Getenv("METAML_TEST_SPOILED"); more != "" {
		if _, err := fmt.Sscan(more, &n); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	for _, file := range library(t, 10) {
		for _, piece := range pieces(file) {
			if len(piece) < 1500 {
				all = append(all, piece)
			}
		}
	}
	rng := rand.New(rand.NewPCG(5, uint64(n)))
	texts := make([]string, n)
	for i := range texts {
		texts[i] = spoil(rng, all[rng.IntN(len(all))])
	}
	judge(t, texts)
}
