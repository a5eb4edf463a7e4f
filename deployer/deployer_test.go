package deployer_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// target gives fixed answers: what a client reads before anything starts.
type target struct {
	deployer.Target
	active  *run.Spec
	environ []string
	listed  []run.Listed
}

func (t target) Active(_ context.Context, key string) (*run.Spec, error) {
	if t.active != nil && t.active.Key == key {
		return t.active, nil
	}
	return nil, nil
}

func (t target) At(_ context.Context, _ *settings.Resolved, environ []string) (deployer.Place, error) {
	t.environ = environ
	return t, nil
}

func (t target) Submit(context.Context, run.Submission, func(run.Event)) (run.Submitted, error) {
	return run.Submitted{}, errors.New("nothing is to be submitted")
}

func (t target) Server(context.Context, run.Spec) (*run.Listed, error) { return nil, nil }

func (t target) Remarks(string) []run.Note                                      { return nil }
func (t target) Outline(context.Context, run.Submission) ([]run.Section, error) { return nil, nil }

func (t target) Check(*settings.Resolved) error { return nil }

func (t target) ID() string { return "" }

func (t target) Owner() string { return "me" }

func (t target) Environment(processes int) map[string]string {
	return (*local.Target)(nil).From(t.environ).Environment(processes)
}

func (t target) Fetch(context.Context, string, int) error { return nil }

func (t target) FetchCode(context.Context, string) error { return nil }

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
		Digest: "code", Entry: "train_model", Parameters: []string{"x"}, Required: []string{"x"}, Settings: resolved,
		Source:   "/n/a.ipynb",
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

// exporting keeps what it is to export.
type exporting struct {
	target
	exported *run.Submission
}

func (e exporting) CheckExport(*settings.Resolved) error { return nil }

func (e exporting) Export(
	_ context.Context, _ *settings.Resolved, _ []string, what run.Submission,
) ([]byte, error) {
	*e.exported = what
	return []byte("exported"), nil
}

func TestAnExportIsAnotherRunThanTheOneThatIsActive(t *testing.T) {
	draws := 0
	r := request(t, "--hyper-parameters generator", &draws)
	before, err := clientOf(t, target{}).Plan(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	at := exporting{target: target{active: &before.Spec}, exported: &run.Submission{}}
	c := clientOf(t, at)
	r.Export = true
	plan, err := c.Plan(t.Context(), r)
	if err != nil || plan.Attach != nil {
		t.Fatalf("it attaches to %v: %v", plan.Attach, err)
	}
	text, err := c.Export(t.Context(), plan)
	if err != nil || string(text) != "exported" || len(at.exported.Table) != 2 || at.exported.Spec.Name == "" {
		t.Errorf("exported is %+v: %s, %v", at.exported, text, err)
	}
}

func TestATargetThatCannotExportRefuses(t *testing.T) {
	draws := 0
	err := clientOf(t, target{}).CheckExport(request(t, "", &draws).Settings)
	if u, ok := errors.AsType[*usererror.Error](err); !ok || u.Code != usererror.CodeTarget || u.Hint == "" {
		t.Errorf("the error is %v", err)
	}
}

// clientOf gives a client of a target that stands for local, and of runs that there are, the newest first.
func clientOf(t *testing.T, at deployer.Target, runs ...run.Listed) *deployer.Client {
	t.Helper()
	dir := t.TempDir()
	for i, l := range runs {
		l.Spec.V, l.Spec.Completions = 1, len(l.State.Trials)
		l.Spec.ID, l.Spec.Created = folder.NewID(), time.Unix(int64(1000-i), 0)
		f := folder.In(dir, l.Spec.Name)
		if name := run.ParseName(l.Spec.Name); name.Place != "" {
			l.Spec.Name, f = name.Run, folder.In(folder.MirrorOf(dir, run.Kubernetes, name.Place).Dir, name.Run)
		}
		if err := os.MkdirAll(string(f), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := folder.ReplaceJSON(f.Spec(), l.Spec); err != nil {
			t.Fatal(err)
		}
		if err := f.Claim(l.Spec.ID, string(f)); err != nil {
			t.Fatal(err)
		}
		writeEvents(t, f, l)
		if l.Seen {
			if err := os.WriteFile(f.SeenFile(), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return deployer.NewClient(dir, map[string]deployer.Target{"local": at})
}

// writeEvents writes events that lead to the state of a run.
func writeEvents(t *testing.T, f folder.Run, l run.Listed) {
	t.Helper()
	var lines []byte
	n := int64(0)
	write := func(e run.Event) {
		n++
		e.V, e.Source, e.Seq, e.Run, e.Time = 1, "test", n, l.Spec.Name, time.Unix(n, 0)
		line, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	for i, trial := range l.State.Trials {
		write(run.Event{Type: run.EventTrialStarted, Trial: &i, Attempt: 1})
		if trial.Phase.Final() {
			write(run.Event{
				Type: run.EventTrialEnded, Trial: &i, Attempt: 1, State: trial.Phase, Metrics: trial.Metrics,
			})
		}
	}
	if l.State.Phase.Final() {
		write(run.Event{Type: run.EventEnded, State: l.State.Phase})
	}
	if err := os.WriteFile(f.Events(), lines, 0o600); err != nil {
		t.Fatal(err)
	}
}

func plan(t *testing.T, in target, r deployer.Request) *deployer.Plan {
	t.Helper()
	p, err := clientOf(t, in, in.listed...).Plan(t.Context(), r)
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
		"package": key("--hyper-parameters g", func(r *deployer.Request) {
			r.Packages = map[string]string{"numpy": "2.1"}
		}),
		"with": key("--hyper-parameters g", func(r *deployer.Request) { r.With = map[string]string{"v": "1"} }),
	} {
		t.Run(what, func(t *testing.T) {
			if other == first {
				t.Error("the run is the same")
			}
		})
	}
}

func TestAnotherImageMakesAnotherRun(t *testing.T) {
	var draws int
	key := func(line string) string {
		p, err := deployer.NewClient(t.TempDir(), map[string]deployer.Target{"kubernetes": target{}}).
			Plan(t.Context(), request(t, "--hyper-parameters g --target kubernetes "+line, &draws))
		if err != nil {
			t.Fatal(err)
		}
		return p.Spec.Key
	}
	first := key("--image a --env A=1 --memory 4Gi")
	if key("--image a --env A=1 --memory 8Gi --cpu 2") != first {
		t.Error("what a trial gets makes another run")
	}
	for _, line := range []string{"--image b --env A=1", "--image a --env A=2", "--image a"} {
		if key(line) == first {
			t.Errorf("%s makes the same run", line)
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
	if got, want := strings.Join(p.Differs,
		"; "), "retries is 1 in the active run and stays so (asked: 4)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := plan(t, target{active: &active}, request(t, "--hyper-parameters g --again", &draws)); p.Attach != nil ||
		draws != 1 {
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
	if p := plan(t, target{listed: listed}, request(t, "--hyper-parameters g", &draws)); p.Reuse != nil ||
		len(p.Notes) != 0 {
		t.Errorf("without --reuse: %v, %v", p.Reuse, p.Notes)
	}
}

func TestParametersWithoutASourceAreRefused(t *testing.T) {
	var draws int
	_, err := clientOf(t, target{}).Plan(t.Context(), request(t, "", &draws))
	var user *usererror.Error
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

// server is a target on which a server of the function answers, or none.
type server struct {
	target
	answers *run.Listed
}

func (s server) At(context.Context, *settings.Resolved, []string) (deployer.Place, error) {
	return s, nil
}

func (s server) Server(_ context.Context, spec run.Spec) (*run.Listed, error) {
	if s.answers == nil || !run.SameServer(&s.answers.Spec, &spec) {
		return nil, nil
	}
	return s.answers, nil
}

func servingRequest(t *testing.T, line string) deployer.Request {
	t.Helper()
	given, err := settings.ParseLine(run.Serve, line)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := settings.Resolve(run.Serve, settings.Sources{Line: given, Typed: settings.FromCell})
	if err != nil {
		t.Fatal(err)
	}
	return deployer.Request{
		Digest: "code", Entry: "serve", Parameters: []string{"input"}, Required: []string{"input"}, Settings: resolved,
		Source: "/n/a.ipynb", Now: time.Unix(0, 0),
	}
}

// A server is its series: what changes it, code or settings, is another revision; what does not is there already.
func TestRevisions(t *testing.T) {
	ctx := t.Context()
	client := clientOf(t, server{})
	first, err := client.Plan(ctx, servingRequest(t, "--replicas 2 --workers 3"))
	if err != nil {
		t.Fatal(err)
	}
	if s := first.Spec; s.Name != "serve-1" || s.Completions != 6 || s.Server.Path != "/predict" ||
		s.Timeout != run.DefaultRequestTimeout || first.Replaces != 0 {
		t.Errorf("planned %+v with %+v", s, s.Server)
	}
	answering := func(failed int) *deployer.Client {
		spec := first.Spec
		spec.Server.Revision = 3
		state := run.NewState(spec)
		state.Phase, state.Server.Revision = run.Running, 2
		if failed > 0 {
			state.Server.Failed = &run.RevisionFailure{Revision: failed}
		}
		return clientOf(t, server{answers: &run.Listed{Spec: spec, State: state, Liveness: run.Alive}})
	}
	for _, c := range []struct {
		name, line string
		failed     int // the revision that failed last
		source     string
		attach     bool
	}{
		{"nothing changed", "--replicas 2 --workers 3", 0, "", true},
		{"nothing changed since an older revision failed", "--replicas 2 --workers 3", 2, "", true},
		{
			"nothing changed since this revision failed",
			"--replicas 2 --workers 3", 3, "", false, // this very code failed: perhaps it does not now
		},
		{"again", "--replicas 2 --workers 3 --again", 0, "", false},
		{"other replicas", "--replicas 5 --workers 3", 0, "", true},
		{"fewer workers", "--replicas 2 --workers 2", 0, "", false},
		{"another batch", "--replicas 2 --workers 3 --batch 8", 0, "", false},
		{"another origin", "--replicas 2 --workers 3 --cors https://app.example", 0, "", false},
		{"another allowed host", "--replicas 2 --workers 3 --allow-host app.example", 0, "", false},
		// another server: its name is settled when it is submitted
		{"another notebook", "--replicas 2 --workers 3", 0, "/n/b.ipynb", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := servingRequest(t, c.line)
			if c.source != "" {
				r.Source = c.source
			}
			p, err := answering(c.failed).Plan(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			replaces := 0
			if !c.attach && c.source == "" {
				replaces = 2
			}
			if (p.Attach != nil) != c.attach || p.Spec.Name != "serve-1" || p.Replaces != replaces {
				t.Errorf("attach %v, name %s, replaces %d", p.Attach != nil, p.Spec.Name, p.Replaces)
			}
		})
	}
}

// What somebody scaled a server to stays, whoever runs its cell again.
func TestReplicasOfAServerThatIsThere(t *testing.T) {
	first, err := clientOf(t, server{}).Plan(t.Context(), servingRequest(t, "--replicas 2"))
	if err != nil {
		t.Fatal(err)
	}
	const stays = "serve-1 was scaled to 4 replicas, which stay: metaml scale serve-1 2 changes that"
	for _, c := range []struct {
		name, line     string
		scaled         int
		differs, notes string
	}{
		{"as the cell says", "--replicas 2", 0, "", ""},
		{"the cell was edited", "--replicas 3", 0, "serve-1 is scaled from 2 to 3 replicas; its revision stays", ""},
		{"somebody scaled it", "--replicas 2", 4, stays, ""},
		{"another revision", "--replicas 3 --batch 8", 0, "", ""},
		{"another revision of what somebody scaled", "--replicas 2 --batch 8", 4, "", stays},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := first.Spec
			spec.Server.Revision = 1
			state := run.NewState(spec)
			state.Phase, state.Server.Revision, state.Server.Replicas = run.Running, 1, c.scaled
			client := clientOf(t, server{answers: &run.Listed{Spec: spec, State: state, Liveness: run.Alive}})
			p, err := client.Plan(t.Context(), servingRequest(t, c.line))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(p.Differs, "; "); got != c.differs {
				t.Errorf("below the cell: %q, want %q", got, c.differs)
			}
			if got := strings.Join(p.Notes, "; "); got != c.notes {
				t.Errorf("notes %q, want %q", got, c.notes)
			}
		})
	}
}

// Who may ask is part of a revision. Under a JupyterHub its name is one of the server's: the proxy passes on what the
// browser requested.
func TestWhoMayAskAServer(t *testing.T) {
	client := clientOf(t, server{})
	r := servingRequest(t,
		"--allow-host b.example --allow-host a.example,b.example --cors https://app.example --cors "+
			"http://localhost:3000")
	r.Environ = []string{
		"JUPYTERHUB_PUBLIC_URL=https://hub.example:8443/user/me/", "JUPYTERHUB_HOST=",
		"JUPYTERHUB_PUBLIC_HUB_URL=https://hub.example:8443/hub/",
	}
	p, err := client.Plan(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(p.Spec.Server.Hosts, " "), "a.example b.example hub.example"; got != want {
		t.Errorf("names %q, want %q", got, want)
	}
	if got, want := strings.Join(p.Spec.Server.Origins, " "), "https://app.example http://localhost:3000"; got != want {
		t.Errorf("origins %q, want %q", got, want)
	}
	if len(p.Notes) > 0 {
		t.Errorf("it is warned of %q", p.Notes)
	}
	for line, want := range map[string]string{
		"--cors *": "--cors *: ", "--allow-host *": "--allow-host *: ",
		"--host 0.0.0.0": "--host 0.0.0.0: ",
	} {
		t.Run(line, func(t *testing.T) {
			p, err := client.Plan(t.Context(), servingRequest(t, line))
			if err != nil || len(p.Notes) != 1 || !strings.HasPrefix(p.Notes[0], want) {
				t.Errorf("warned of %q, %v", p.Notes, err)
			}
		})
	}
}

func TestModels(t *testing.T) {
	trial := func(p run.Phase, accuracy float64) run.Trial {
		return run.Trial{Phase: p, Metrics: run.Metrics{"accuracy": accuracy}}
	}
	trained := func(name string, trials ...run.Trial) run.Listed {
		return run.Listed{
			Spec: run.Spec{Name: name, Kind: run.Train}, State: &run.State{Phase: run.Running, Trials: trials},
		}
	}
	number := run.Trial{Phase: run.Succeeded, Metrics: run.Metrics{"value": 1}}
	client := clientOf(t, target{},
		// A server that is newer than the last training.
		run.Listed{Spec: run.Spec{Name: "serve-1", Kind: run.Serve}, State: &run.State{}},
		trained("some", trial(run.Succeeded, 0.5), trial(run.Succeeded, 0.9), trial(run.Running, 0.1)),
		trained("none", trial(run.Succeeded, 1)),
		trained("vague", run.Trial{Phase: run.Succeeded}, run.Trial{Phase: run.Succeeded}),
		trained("number", number, number),
		trained("bad", trial(run.Failed, 0.1), trial(run.Failed, 0.2)),
	)
	for i := range 3 {
		output := client.Runs.Attempt("some", i, 1).Output
		if err := os.MkdirAll(output, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(output, "net.bin"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"some": "some:1", "some:best": "some:1", "some:0": "some:0", "last": "some:1", "last:0": "some:0",
		"some:2":  "trial 2 of some has not ended yet, so its model is not there",
		"some:7":  "some has no trial 7, only 0 to 2",
		"some:-1": `--model takes RUN, RUN:TRIAL or RUN:best, not "some:-1"`,
		"none":    "trial 0 of none kept no files, so it has no model to serve",
		"vague":   "no trial of vague has a metric, so none is the best",
		"number": "the name `value` does not say whether more or less of it is better, so no trial of number is " +
			"called the best: --objective min:value or max:value",
		"bad": "bad has no trial that succeeded, so it has no model to serve",
	} {
		t.Run(name, func(t *testing.T) {
			m, err := client.Model(t.Context(), name)
			got := m.Name
			if user, ok := errors.AsType[*usererror.Error](err); ok {
				got = user.Text
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			_, index, _ := strings.Cut(want, ":")
			if n, _ := strconv.Atoi(index); err == nil && m.Folder != client.Runs.Attempt("some", n, 1).Output {
				t.Errorf("it is in %s", m.Folder)
			}
		})
	}
}

// afar is a target whose runs have their files elsewhere. Who submits to it reads the model, or does not.
type afar struct {
	server
	runs    *record.Reader
	files   []string // that are fetched
	reads   bool
	fetched *int
	lost    error // what trials wrote is not kept
}

func (a afar) Kept(string) error { return a.lost }

func (a afar) Fetch(_ context.Context, name string, trial int) error {
	*a.fetched++
	output := a.runs.Folder(name).Output(trial)
	if err := os.MkdirAll(output, 0o700); err != nil {
		return err
	}
	for _, file := range a.files {
		if err := os.WriteFile(filepath.Join(output, file), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (a afar) At(context.Context, *settings.Resolved, []string) (deployer.Place, error) {
	return a, nil
}

func (a afar) Submit(ctx context.Context, s run.Submission, _ func(run.Event)) (run.Submitted, error) {
	if a.reads {
		return run.Submitted{}, s.BringModel(ctx)
	}
	return run.Submitted{}, nil
}

// The files of a model that are elsewhere are fetched by who reads them, be that only to find that there are none.
func TestAModelIsFetchedWhenItIsRead(t *testing.T) {
	const name = "fit-1@there/team"
	for _, c := range []struct {
		name    string
		reads   bool
		files   []string
		fetched int
		steps   []run.Phase
		says    string
	}{
		{"nobody reads it", false, []string{"net.bin"}, 0, nil, ""},
		{"the target reads it", true, []string{"net.bin"}, 1, []run.Phase{run.Succeeded}, ""},
		{
			"there are none",
			true, nil, 1,
			[]run.Phase{run.Failed},
			"trial 0 of " + name + " kept no files, so it has no model to serve",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			fetched := 0
			at := &afar{files: c.files, reads: c.reads, fetched: &fetched}
			client := clientOf(t, at, run.Listed{
				Spec:  run.Spec{Name: name, Kind: run.Train},
				State: &run.State{Phase: run.Succeeded, Trials: []run.Trial{{Phase: run.Succeeded}}},
			})
			client.Use(run.Kubernetes, at)
			at.runs = client.Runs
			r := servingRequest(t, "")
			var err error
			if r.Model, err = client.Model(t.Context(), name); err != nil || fetched > 0 {
				t.Fatalf("%v, fetched %d times", err, fetched)
			}
			plan, err := client.Plan(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			var steps []run.Phase
			_, err = client.Submit(t.Context(), plan, func(e run.Event) {
				if e.Build.State.Final() {
					steps = append(steps, e.Build.State)
				}
			})
			says := ""
			if user, ok := errors.AsType[*usererror.Error](err); ok {
				says, err = user.Text, nil
			}
			if err != nil || fetched != c.fetched || !slices.Equal(steps, c.steps) || says != c.says {
				t.Errorf("fetched %d times, steps %v, %q, %v", fetched, steps, says, err)
			}
		})
	}
}

func TestAModelThatIsNotKeptIsRefusedAtOnce(t *testing.T) {
	at := &afar{lost: usererror.New(usererror.CodeOutputs, "it went with the pods")}
	client := clientOf(t, at, run.Listed{
		Spec:  run.Spec{Name: "fit-1@there/team", Kind: run.Train},
		State: &run.State{Phase: run.Succeeded, Trials: []run.Trial{{Phase: run.Succeeded}}},
	})
	client.Use(run.Kubernetes, at)
	if m, err := client.Model(t.Context(), "fit-1"); err == nil || err.Error() != "it went with the pods" {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestATargetThatIsNotThereIsRefused(t *testing.T) {
	draws := 0
	_, err := clientOf(t, target{}).Plan(t.Context(),
		request(t, "--target kubernetes --hyper-parameters g", &draws))
	want := "target kubernetes is not in this version of MetaML\nLeave it out (cell): runs execute on this machine."
	if err == nil || err.Error() != want || draws > 0 {
		t.Errorf("got %v after %d draws, want %s", err, draws, want)
	}
}
