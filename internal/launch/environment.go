package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/talk"
)

// environment asks what is installed of all that a program needs which imports the modules.
func environment(ctx context.Context, python answers, modules []string) (*run.Environment, error) {
	if modules == nil {
		modules = []string{}
	}
	have, err := python.ask(ctx, talk.Need{Lock: modules})
	if err != nil {
		return nil, err
	}
	var l struct {
		Python   string
		Packages []struct {
			Name, Version string
			Root          bool
		}
	}
	if err := json.Unmarshal(have.Lock, &l); err != nil {
		return nil, fmt.Errorf("read the lock of the session: %w", err)
	}
	var r, c strings.Builder
	for _, p := range l.Packages {
		if p.Root {
			fmt.Fprintf(&r, "%s\n", p.Name)
		}
		fmt.Fprintf(&c, "%s==%s\n", p.Name, p.Version)
	}
	return &run.Environment{Python: l.Python, Requirements: r.String(), Constraints: c.String()}, nil
}
