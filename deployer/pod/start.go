package pod

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// BinaryName is the name of metaml-pod for an architecture of Linux, as Go calls it, compressed by gzip.
func BinaryName(arch string) string { return "metaml-pod-linux-" + arch + ".gz" }

// BinaryPart is the name of its part i, from 0, in the folder that a container unpacks it from.
func BinaryPart(arch string, i int) string { return BinaryName(arch) + "." + strconv.Itoa(i) }

// InAgentImage is where an image for --agent-image has metaml-pod.
const InAgentImage = "/metaml-pod"

// NoPython says that an image has no interpreter.
const NoPython = "the image has no Python: neither python3 nor python is on its PATH; --image-python names another"

// Start says how a container comes to metaml-pod, which its image does not have: the image's own Python unpacks it.
type Start struct {
	// Python is the path of the interpreter (--image-python), which needs no shell in the image. "" is python3 or
	// python of the PATH, which a shell finds.
	Python  string
	Parts   string            // the folder with the parts of the binary ([BinaryPart])
	To      string            // a folder that can be written to, and in which programs may be executed
	Digests map[string]string // architecture → hex sha256 of the compressed binary, at least one
	Message string            // file of the termination message
	Args    []string          // of metaml-pod, without --python, which is added
}

//go:embed start.py
var startPython string

//go:embed start.sh
var startShell string

// Command is what the container executes. Without Python in the image it ends with [ExitProgram] and one sentence in
// log and termination message. A Python that was named and is not there is the container runtime's to report.
func (s Start) Command() []string {
	digests := make([]string, 0, len(s.Digests))
	for _, arch := range slices.Sorted(maps.Keys(s.Digests)) {
		digests = append(digests, fmt.Sprintf("%s=%s", arch, s.Digests[arch]))
	}
	command := []string{s.Python, "-S", "-c"}
	if s.Python == "" {
		command = []string{"/bin/sh", "-c", strings.Replace(startShell, "NO PYTHON", NoPython, 1), "metaml-pod"}
	}
	command = append(command, startPython, s.Message, s.Parts, s.To, strings.Join(digests, ","))
	return append(command, s.Args...)
}
