package pod

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Program is a program of ours that a container executes and its image does not have.
type Program string

// The programs that containers execute.
const (
	Trial   Program = "metaml-pod"     // the first process of a trial's pod
	Server  Program = "metaml-server"  // the first process of a server's pod
	Monitor Program = "metaml-monitor" // the monitor of a run
)

// InAgentImage is where an image for --agent-image has a program.
func InAgentImage(p Program) string { return "/" + string(p) }

// BinaryName is the name of a program for an architecture of Linux, as Go calls it, compressed by gzip.
func BinaryName(p Program, arch string) string { return string(p) + "-linux-" + arch + ".gz" }

// BinaryPart is the name of its part i, from 0, in the folder that a container unpacks it from.
func BinaryPart(p Program, arch string, i int) string {
	return BinaryName(p, arch) + "." + strconv.Itoa(i)
}

// pythonFlag is the flag by which a program gets the interpreter that started it; "": it executes no Python.
func (p Program) pythonFlag() string {
	if p == Trial || p == Server {
		return "--python"
	}
	return ""
}

// NoPython says that an image has no interpreter.
const NoPython = "the image has no Python: neither python3 nor python is on its PATH; --image-python names another"

// Start says how a container comes to a program that its image does not have: the image's own Python unpacks it.
type Start struct {
	Program Program // must be set
	// Python is the path of the interpreter (--image-python), which needs no shell in the image. "" is python3 or
	// python of the PATH, which a shell finds.
	Python  string
	Parts   string            // the folder with the parts of the binary ([BinaryPart])
	To      string            // a folder that can be written to, and in which programs may be executed
	Digests map[string]string // architecture → hex sha256 of the compressed binary, at least one
	Message string            // file of the termination message
	Args    []string          // of the program; before them [Trial] and [Server] get the interpreter, by --python
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
		command = []string{"/bin/sh", "-c", strings.Replace(startShell, "NO PYTHON", NoPython, 1), string(s.Program)}
	}
	command = append(command, startPython, s.Message, string(s.Program), s.Program.pythonFlag(), s.Parts, s.To,
		strings.Join(digests, ","))
	return append(command, s.Args...)
}
