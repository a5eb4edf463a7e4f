package nbformat

import (
	"fmt"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// verdict is what Python's nbformat makes of a document.
type verdict struct {
	Reads    bool    // Python's json reads it
	Valid    bool    // validator.isvalid
	Repaired bool    // validate, which repairs ids first
	Written  *string // read, and written by nbformat.write in its version; nil where Python fails
	Upgraded *string // as version 4.5, with the ids id-1, id-2, …; nil where Python fails
}

// askPython gives what the Python package nbformat makes of documents. One process answers for all of them.
func askPython(t *testing.T, documents []string) []verdict {
	t.Helper()
	const script = `
import copy, io, itertools, json, logging, sys, warnings
import nbformat
from nbformat import reader, v3, v4, validator
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

def attempt(f):
    try:
        return f()
    except RecursionError:
        raise
    except Exception:
        return None

def written(nb):
    file = io.StringIO()
    nbformat.write(nb, file)
    return file.getvalue()

def upgraded(text):
    counter = itertools.count(1)
    v4.convert.random_cell_id = lambda: f"id-{next(counter)}"
    nb = nbformat.convert(reader.reads(text), 4)
    return written(v4.upgrade(nb))

answers = []
for text in json.load(sys.stdin):
    nb = attempt(lambda: json.loads(text))
    answers.append({
        "Reads": nb is not None,
        "Valid": bool(attempt(lambda: validator.isvalid(nb))),
        "Repaired": attempt(lambda: (validator.validate(copy.deepcopy(nb)), True)[1]) or False,
        "Written": attempt(lambda: written(reader.reads(text))),
        "Upgraded": attempt(lambda: upgraded(text)),
    })
json.dump(answers, sys.stdout)
`
	var verdicts []verdict
	venv.Ask(t, venv.Python(t), []string{"-c", script}, documents, &verdicts)
	return verdicts
}

// versions are those of generated documents; 4.6 and 4.99 are of the future.
var versions = [][2]int{{1, 0}, {2, 0}, {3, 0}, {4, 0}, {4, 1}, {4, 2}, {4, 3}, {4, 4}, {4, 5}, {4, 6}, {4, 99}, {3, 1}}

// generated makes documents of all versions.
func generated(count int, broken bool) []string {
	documents := make([]string, 0, count*len(versions))
	for _, version := range versions {
		for seed := range count {
			g := newGenerator(uint64(seed))
			g.broken = broken
			documents = append(documents, g.write(g.notebook(version[0], version[1])))
		}
	}
	return documents
}

func TestValidDocumentsAgainstPython(t *testing.T) {
	documents := generated(150, false)
	written, upgraded := 0, 0
	for i, v := range askPython(t, documents) {
		d := checkVerdict(t, documents[i], v)
		if d == nil {
			continue
		}
		major, minor := d.Version()
		if major == 3 && minor == 1 {
			continue // it does not exist, and Python's write fails on it
		}
		if v.Written == nil || v.Upgraded == nil && minor < 6 {
			t.Errorf("Python fails on %q", documents[i])
			continue
		}
		written++
		if got := string(d.Format()); got != *v.Written {
			t.Errorf("%q is written as\n%s\nPython:\n%s", documents[i], got, *v.Written)
		}
		if v.Upgraded == nil || minor > 5 {
			continue
		}
		upgraded++
		n := 0
		d.NewID = func() string { n++; return fmt.Sprint("id-", n) }
		if warnings := d.Upgrade(); len(warnings) > 0 {
			t.Errorf("%q: %v", documents[i], warnings)
		}
		if got := string(d.Format()); got != *v.Upgraded {
			t.Errorf("%q is upgraded to\n%s\nPython:\n%s", documents[i], got, *v.Upgraded)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d documents written and %d upgraded as Python does it", written, upgraded)
}

func TestBrokenDocumentsAgainstPython(t *testing.T) {
	documents := generated(300, true)
	valid, repaired := 0, 0
	for i, v := range askPython(t, documents) {
		if v.Valid {
			valid++
		} else if v.Repaired {
			repaired++
		}
		if d := checkVerdict(t, documents[i], v); d != nil {
			d.Upgrade()
			if _, err := Parse(d.Format()); err != nil {
				t.Errorf("%q is upgraded to what cannot be read: %v", documents[i], err)
			}
		}
	}
	t.Logf("%d documents, %d of them valid, %d more when their ids are repaired", len(documents), valid, repaired)
	if valid == 0 || repaired == 0 {
		t.Error("the documents do not show all verdicts")
	}
}

// checkVerdict compares what we and Python say of a document. It gives the document if it could be parsed.
func checkVerdict(t *testing.T, text string, v verdict) *Document {
	t.Helper()
	if !v.Reads {
		t.Errorf("Python does not read %q", text)
	}
	d, err := Parse([]byte(text))
	if err != nil {
		if v.Valid {
			t.Errorf("%q is refused: %v", text, err)
		}
		return nil
	}
	if got := string(d.Bytes()); got != text {
		t.Errorf("%q is written back as %q", text, got)
	}
	if major, _ := d.Version(); major < 3 {
		return d // Python has no rules for these
	}
	problems := d.Validate()
	repaired := true
	for _, p := range problems {
		repaired = repaired && p.Repaired
	}
	if (len(problems) == 0) != v.Valid || repaired != v.Repaired {
		t.Errorf("%q: Python says valid %v, valid when repaired %v; we say %v", text, v.Valid, v.Repaired, problems)
	}
	return d
}
