package setup

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

//go:embed image.py
var imageCode string

// patience is how long an interpreter may take to say what is installed: its disk may be cold.
const patience = time.Minute

// checkImage refuses an image that lacks what the program requires. What it has otherwise is a note; nil: nothing.
func (in Input) checkImage(ctx context.Context, python string) (*run.Note, error) {
	data, err := in.Read(pod.RequiresName)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing is required, and nothing is to be said
	}
	if err != nil {
		return nil, err
	}
	required, err := pod.ParseRequires(data)
	if err != nil {
		return nil, err
	}
	have, err := installed(ctx, python, required)
	if err != nil {
		return nil, err
	}
	refused, differs := required.Compare(have)
	if refused != "" {
		return nil, errors.New(refused)
	}
	if differs == "" {
		return nil, nil //nolint:nilnil // as above
	}
	return &run.Note{Code: run.NotePackages, Text: differs, Hint: "--strict refuses such an image."}, nil
}

// installed asks an interpreter what it has of what is required.
func installed(ctx context.Context, python string, required pod.Requires) (pod.Installed, error) {
	var have pod.Installed
	question, err := json.Marshal(required)
	if err != nil {
		return have, fmt.Errorf("ask the image's Python: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, python, pymodule.RunCode(imageCode, string(question))...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return have, fmt.Errorf("the image's Python %q did not say within %v what is installed: %w", python, patience,
			ctx.Err())
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
		return have, fmt.Errorf("the image's Python %q cannot be used: %s (%w)", python,
			prose.Clause(lines[len(lines)-1]), err)
	}
	// What else starts with every Python may print before.
	out = bytes.TrimSpace(out)
	if err := json.Unmarshal(out[bytes.LastIndexByte(out, '\n')+1:], &have); err != nil {
		return have, fmt.Errorf("the image's Python %q did not say what is installed: %w", python, err)
	}
	return have, nil
}
