package solve

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"

	"github.com/metaml/metaml/deployer/image/builder"
)

func request() *builder.Build {
	return &builder.Build{
		Arch: "arm64", Base: "registry.example/python@sha256:" + strings.Repeat("a", 64), Config: []byte(`{}`),
		Python: "/usr/bin/python3.11", Prefix: "/opt/venv", UV: "/somewhere/uv", Lock: "pylock.toml",
		Files: map[string]string{"requirements.txt": "numpy"}, Resolve: []string{"pip", "compile"},
		System: []string{"gcc; reboot"}, After: [][]string{{"python", "-c", "print('$HOME')"}},
		Variables: map[string]string{"UV_INDEX": "https://me:secret@registry.example"},
		Secrets:   map[string][]byte{"NETRC": []byte("machine registry.example password secret")},
	}
}

// operations are what the builder gets for a state.
func operations(t *testing.T, state llb.State) []*pb.Op {
	t.Helper()
	definition, err := state.Marshal(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var all []*pb.Op
	for _, data := range definition.Def {
		var op pb.Op
		if err := op.UnmarshalVT(data); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "secret@") || strings.Contains(string(data), "password secret") {
			t.Errorf("a secret is in the graph: %s", op.String())
		}
		all = append(all, &op)
	}
	return all
}

// What people write stays an argument, whatever is in it; what is secret is in nothing that the builder keeps.
func TestArgumentsStayArguments(t *testing.T) {
	g, err := newGraph(request())
	if err != nil {
		t.Fatal(err)
	}
	var executed [][]string
	for _, op := range operations(t, g.environment([]byte("lock"))) {
		if run := op.GetExec(); run != nil {
			executed = append(executed, run.Meta.Args)
			if len(run.Secretenv) != 1 || run.Secretenv[0].Name != "UV_INDEX" {
				t.Errorf("%q gets %v", run.Meta.Args, run.Secretenv)
			}
		}
	}
	has := func(want ...string) bool {
		return slices.ContainsFunc(executed, func(args []string) bool { return slices.Equal(args, want) })
	}
	if len(executed) != 3 || !has("/usr/bin/python3.11", "-I", tools+"/system.py", "gcc; reboot") ||
		!has("python", "-c", "print('$HOME')") {
		t.Errorf("it executes %q", executed)
	}
	operations(t, g.resolved(nil))
}

// The same request is the same graph: the builder finds what it has done before.
func TestTheGraphIsAFunctionOfTheRequest(t *testing.T) {
	digest := func() string {
		g, err := newGraph(request())
		if err != nil {
			t.Fatal(err)
		}
		definition, err := g.framed().Marshal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		head, err := definition.Head()
		if err != nil {
			t.Fatal(err)
		}
		return head.String()
	}
	if a, b := digest(), digest(); a != b {
		t.Errorf("%s, and then %s", a, b)
	}
}
