package pymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// environmentModules are the modules that say what an interpreter has, each after those that it imports. They need the
// standard library of Python 3.9 alone.
var environmentModules = []string{"markers", "installed", "closure", "environment"}

// answerMark stands before the answer: what sitecustomize or a .pth file prints comes before it.
const answerMark = "\x1emetaml "

// readEnvironment makes the modules of what it reads. Nothing of ours has to be on disk for it, and the package metaml
// itself, which needs a newer Python, is not executed.
const readEnvironment = `import json, sys, types
given = json.load(sys.stdin.buffer)
for name in ("metaml", "metaml._session"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
for name, source in given["modules"]:
    name = "metaml._session." + name
    sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), sys.modules[name].__dict__)
answer = sys.modules["metaml._session.environment"].answer(given["question"])
sys.stdout.flush()
print("\n\x1emetaml " + json.dumps(answer), flush=True)
`

// AskEnvironment gives the arguments for any Python from 3.9 on, and its standard input, so that its output has the
// answer of metaml/_session/environment.py to a question. Folders for modules are those that a script has which it
// runs, but for the script's own.
func AskEnvironment(question any) (args []string, stdin []byte, err error) {
	var sources [][2]string
	for _, name := range environmentModules {
		source, err := module.ReadFile("metaml/_session/" + name + ".py")
		if err != nil {
			return nil, nil, fmt.Errorf("read the Python module: %w", err)
		}
		sources = append(sources, [2]string{name, string(source)})
	}
	stdin, err = json.Marshal(map[string]any{"modules": sources, "question": question})
	if err != nil {
		return nil, nil, fmt.Errorf("ask an interpreter what it has: %w", err)
	}
	return RunCode(readEnvironment), stdin, nil
}

// EnvironmentAnswer finds the answer in the output of that Python; false if it is not there.
func EnvironmentAnswer(output []byte) ([]byte, bool) {
	_, answer, found := bytes.Cut(output, []byte(answerMark))
	answer, _, whole := bytes.Cut(answer, []byte("\n"))
	return answer, found && whole
}
