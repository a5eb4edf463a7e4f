package deployer_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// target gives fixed answers: what the door asks before anything starts.
type target struct {
	deployer.Target
	active *run.Spec
	listed []run.Listed
}

func (t target) Active(_ context.Context, key string) (*run.Spec, error) {
	if t.active != nil && t.active.Key == key {
		return t.active, nil
	}
	return nil, nil
}

func (t target) List(context.Context) ([]run.Listed, error) { return t.listed, nil }

func (t target) Provisional(_ context.Context, series string) (string, error) {
	return series + "-1", nil
}

// request is a sweep over two rows; draws counts how often rows were drawn.
func request(t *testing.T, line string, draws *int) deployer.Request {
	t.Helper()
	given, err := settings.ParseLine(run.Train, line)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := settings.Resolve(run.Train, settings.Sources{Line: given, Typed: settings.FromCell})
	if err != nil {
		t.Fatal(err)
	}
	return deployer.Request{
		Digest: "code", Entry: "train_model", Parameters: []string{"x"}, Required: []string{"x"}, Settings: resolved, Source: "/n/a.ipynb",
		Packages: map[string]string{"numpy": "2.0"}, Now: time.Unix(0, 0),
		Draw: func(_ context.Context, r deployer.DrawRequest) (deployer.Drawn, error) {
			if r.Limit == 0 {
				return deployer.Drawn{Digest: "generator"}, nil
			}
			*draws++
			row := run.Row{{Name: "x", Value: json.RawMessage("1")}}
			return deployer.Drawn{Digest: "generator", Rows: []run.Row{row, row}}, nil
		},
	}
}

func plan(t *testing.T, in target, r deployer.Request) *deployer.Plan {
	t.Helper()
	p, err := (&deployer.Door{Target: in}).Plan(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheKeyIsWhatMakesTwoSubmissionsTheSameRun(t *testing.T) {
	var draws int
	key := func(line string, change func(*deployer.Request)) string {
		r := request(t, line, &draws)
		change(&r)
		return plan(t, target{}, r).Spec.Key
	}
	same := func(*deployer.Request) {}
	first := key("--hyper-parameters g", same)
	for _, line := range []string{"--hyper-parameters g --parallelism 2", "--hyper-parameters g --retries 5 --detach"} {
		if key(line, same) != first {
			t.Errorf("%s makes another run", line)
		}
	}
	for what, other := range map[string]string{
		"completions": key("--hyper-parameters g --completions 2", same),
		"name":        key("--hyper-parameters g --name other", same),
		"code":        key("--hyper-parameters g", func(r *deployer.Request) { r.Digest = "edited" }),
		"notebook":    key("--hyper-parameters g", func(r *deployer.Request) { r.Source = "/n/b.ipynb" }),
		"package":     key("--hyper-parameters g", func(r *deployer.Request) { r.Packages = map[string]string{"numpy": "2.1"} }),
		"with":        key("--hyper-parameters g", func(r *deployer.Request) { r.With = map[string]string{"v": "1"} }),
	} {
		if other == first {
			t.Errorf("another %s is the same run", what)
		}
	}
}

func TestAttachingDrawsNothingAndNamesWhatDiffers(t *testing.T) {
	var draws int
	active := plan(t, target{}, request(t, "--hyper-parameters g", &draws)).Spec
	active.Name, draws = "train-model-7", 0
	p := plan(t, target{active: &active}, request(t, "--hyper-parameters g --retries 4 --detach", &draws))
	if p.Attach == nil || p.Spec.Name != "train-model-7" || draws != 0 {
		t.Fatalf("attached to %v with %d draws", p.Attach, draws)
	}
	if got, want := strings.Join(p.Differs, "; "), "retries is 1 in the active run and stays so (asked: 4)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := plan(t, target{active: &active}, request(t, "--hyper-parameters g --again", &draws)); p.Attach != nil || draws != 1 {
		t.Errorf("--again attached to %v with %d draws", p.Attach, draws)
	}
}

func TestReuseShowsASucceededRunOfTheSameKey(t *testing.T) {
	var draws int
	done := plan(t, target{}, request(t, "--hyper-parameters g", &draws)).Spec
	listed := []run.Listed{{Spec: done, State: &run.State{Phase: run.Succeeded}, Liveness: run.Ended, Seen: true}}
	if p := plan(t, target{listed: listed}, request(t, "--hyper-parameters g --reuse", &draws)); p.Reuse == nil {
		t.Error("a succeeded run of the same key is not shown again")
	}
	if p := plan(t, target{listed: listed}, request(t, "--hyper-parameters g", &draws)); p.Reuse != nil || len(p.Notes) != 0 {
		t.Errorf("without --reuse: %v, %v", p.Reuse, p.Notes)
	}
}

func TestParametersWithoutASourceAreRefused(t *testing.T) {
	var draws int
	_, err := (&deployer.Door{Target: target{}}).Plan(t.Context(), request(t, "", &draws))
	var user *run.UserError
	if !errors.As(err, &user) || user.Text != "train_model needs a value for x" {
		t.Errorf("got %v", err)
	}
}

func TestThreadsShareTheCoresUnlessTheUserChose(t *testing.T) {
	var draws int
	r := request(t, "--hyper-parameters g --parallelism 1000", &draws)
	if env := plan(t, target{}, r).Spec.Env; env["OMP_NUM_THREADS"] == "" {
		t.Error("the threads of parallel trials are not bounded")
	}
	r.Environ = []string{"OMP_NUM_THREADS=3"}
	if env := plan(t, target{}, r).Spec.Env; len(env) != 0 {
		t.Errorf("the user's own choice was changed: %v", env)
	}
}
