package jupytext

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/test/venv"
)

// asked is a document with the format that jupytext shall write it in.
type asked struct {
	Document string `json:"document"`
	Format   string `json:"format"`
}

// askJupytext gives jupytext's text of documents, "" where it fails. One process answers for all.
func askJupytext(t *testing.T, documents []asked) []string {
	t.Helper()
	const script = `
import json, sys, warnings
import jupytext, nbformat
from jupytext.config import JupytextConfiguration
warnings.simplefilter("ignore")
answers = []
for asked in json.load(sys.stdin):
    try:
        text = jupytext.writes(nbformat.reads(asked["document"], 4), fmt=asked["format"])
        answers.append(text if text.endswith("\n") else text + "\n")
    except Exception as error:
        answers.append("")
json.dump(answers, sys.stdout)
`
	in, err := json.Marshal(documents)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), venv.Python(t), "-c", script)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask jupytext: %v\n%s", err, stderr.Bytes())
	}
	var texts []string
	if err := json.Unmarshal(out, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestTextIsJupytexts(t *testing.T) {
	var documents []*nbformat.Document
	var questions []asked
	for seed := range uint64(3000) {
		d := newGenerator(seed).document(false)
		documents = append(documents, d)
		questions = append(questions, asked{string(d.Bytes()), "py:percent"})
	}
	for i, want := range askJupytext(t, questions) {
		got, err := Percent(documents[i], Options{LikeJupytext: true})
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			t.Errorf("seed %d: jupytext fails", i)
			continue
		}
		if string(got) != want {
			t.Errorf("seed %d:\n%s\njupytext:\n%s", i, got, want)
		}
		if strings.Count(want, "language_info") > 0 {
			continue
		}
	}
}
