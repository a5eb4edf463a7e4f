//go:build linux

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// planted is how words begin that must not leave the machine where they are.
const planted = "planted-in-"

// secretive plants words in a cell that the function does not need, in a name that a cell reads from the environment
// and the function needs, and in what is printed.
var secretive = []string{
	"import os\nimport metaml",
	`aside = "planted-in-a-cell"`,
	`token = os.environ.get("PLANTED_TOKEN", "")`,
	`print("planted-in-" + "an-output", token)`,
	`rows = [{"x": i} for i in range(2)]

@metaml.Train(settings={"hyper_parameters": "rows"})
def fit(x):
    print("its token has", len(token), "letters")
    return {"loss": len(os.environ.get("GIVEN", ""))}
`,
}

// plants puts words into the environment of whatever a person starts.
func (p *person) plants() {
	p.env = append(p.env, "PLANTED_TOKEN="+planted+"a-name", "PLANTED_OTHER="+planted+"the-environment")
}

// Of the session's environment nothing leaves this machine but what was named, and of the program only what is needed.
func TestNothingLeavesThisMachineThatNobodyNamed(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	p.plants()
	p.env = append(p.env, "GIVEN=12345")
	name := p.submits(strings.Join(secretive, "\n\n"), "--secret", "GIVEN")
	said, _ := p.metaml("attach", name)
	if s := p.show(name); s.Trials[0].Metrics["loss"] != 5 {
		t.Errorf("it got another variable than was named: %+v\n%s", s, said)
	}
	if log := p.must("logs", name+":0"); log != "its token has 0 letters\n" {
		t.Errorf("a trial printed %q", log)
	}
	keeps(t, space, "its token has")
	for _, one := range objects(t.Context(), t, space, "") {
		if data, err := json.Marshal(one.content); err != nil || bytes.Contains(data, []byte(p.home)) {
			t.Errorf("%s has a path of this machine in clear (%v)", one.name, err)
		}
	}
}

// keeps checks that no planted word is in what has left for a namespace, and that a text of the program is.
func keeps(t *testing.T, space, program string) {
	t.Helper()
	shipped := false
	for where, data := range gone(t, space) {
		if i := bytes.Index(data, []byte(planted)); i >= 0 {
			t.Errorf("in %s there is %q", where, data[max(0, i-40):min(len(data), i+80)])
		}
		shipped = shipped || strings.Contains(where, "program") && bytes.Contains(data, []byte(program))
	}
	if !shipped {
		t.Errorf("this test does not see the program, which has %q", program)
	}
}

// gone is what has left for a namespace, by where it is: each object as JSON, what is encoded or compressed in it, the
// log of each pod, and what the API server noted of requests.
func gone(t *testing.T, space string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, one := range objects(t.Context(), t, space, "") {
		data, err := json.Marshal(one.content)
		if err != nil {
			t.Fatal(err)
		}
		all[one.name] = data
		labels := (&unstructured.Unstructured{Object: one.content}).GetLabels()
		if labels["app.kubernetes.io/component"] == "agent" {
			continue // parts of a binary, the same for everybody
		}
		for _, field := range []string{"binaryData", "data"} {
			values, _ := one.content[field].(map[string]any)
			for key, value := range values {
				text, _ := value.(string)
				if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
					all[one.name+" "+key] = unpacked(t, decoded)
				}
			}
		}
	}
	pods, err := client(t, inside.Admin).CoreV1().Pods(space).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods.Items {
		all["the log of "+pods.Items[i].Name] = []byte(logs(t, space, pods.Items[i].Name))
	}
	if all["the audit log"], err = os.ReadFile(here(t).AuditLog()); err != nil {
		t.Fatal(err)
	}
	return all
}

// unpacked is what was compressed by gzip, and anything else as it is.
func unpacked(t *testing.T, data []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return data
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		t.Fatalf("unpack what has left: %v", err)
	}
	return plain
}

// having is a file of a folder that has a word in it; "" if there is none.
func having(t *testing.T, folder, word string) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(folder, func(path string, item fs.DirEntry, err error) error {
		if err != nil || !item.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(word)) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
