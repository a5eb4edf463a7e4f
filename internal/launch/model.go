package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
)

var identifier = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_]*$`)

// resolveModel finds what --model names: a variable that holds a Run, where there is a session to ask, else a run.
func resolveModel(ctx context.Context, client *deployer.Client, python answers, text string) (deployer.Model, error) {
	if text == "" {
		return deployer.Model{}, nil
	}
	name, which, trial := run.CutTrial(text)
	if python != nil && identifier.MatchString(name) {
		have, err := python.ask(ctx, talk.Need{Runs: []string{name}})
		if err != nil {
			return deployer.Model{}, err
		}
		if held := have.Runs[name]; held != "" { // a variable
			name = held
			if trial {
				name += ":" + which
			}
			return client.Model(ctx, name)
		}
	}
	m, err := client.Model(ctx, text)
	hint := "Name a run (metaml runs lists them), last, or a variable that holds one."
	if python == nil {
		hint = runHint
	}
	return m, noModel(err, "--model "+text, hint, python == nil && identifier.MatchString(name))
}

const runHint = "Name a run (metaml runs lists them), or last."

// noModel says of a run that does not exist where it was named. variable: the name may be one of a variable that nobody
// here has.
func noModel(err error, setting, hint string, variable bool) error {
	missing, ok := errors.AsType[*record.NotFound](err)
	if !ok {
		return err
	}
	what := missing.Error()
	if missing.Nearest == "" && missing.Name != record.Last {
		what = fmt.Sprintf("there is no run %q", missing.Name) // the hint says how to list them
	}
	if variable {
		what += ", and no session here that could have such a variable"
	}
	return usererror.Wrap(err, usererror.CodeModel, setting+": "+what, hint)
}

// resolveExample gives --example as JSON: as it was written, or the value of a variable.
func resolveExample(ctx context.Context, python answers, text string) (string, error) {
	switch {
	case text == "" || json.Valid([]byte(text)):
		return text, nil
	case !identifier.MatchString(text):
		return "", &usererror.Error{
			Code: usererror.CodeExample,
			Text: fmt.Sprintf("--example takes an input as JSON or the name of a variable, not %s",
				prose.Shorten(text, 60)), Hint: `In the cell, JSON needs quotes around it: --example '{"a": [1, 2]}'.`,
		}
	case python == nil:
		return "", &usererror.Error{
			Code: usererror.CodeExample,
			Text: fmt.Sprintf("--example %s is a variable, and there is no session that has it", text),
			Hint: "Give the input as JSON.",
		}
	}
	have, err := python.ask(ctx, talk.Need{JSON: text})
	if err != nil {
		return "", err
	}
	if !json.Valid([]byte(have.JSON)) {
		return "", fmt.Errorf("the example %s: the module answered something else than JSON", text)
	}
	return have.JSON, nil
}
