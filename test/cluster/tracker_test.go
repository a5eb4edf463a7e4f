//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// logged is a sweep of three trials that log to MLflow as a script does, and know neither server nor login. None ends
// before the file is there that lets them.
const logged = `
import pathlib, time
import metaml, mlflow

rows = [{"rate": 0.25}, {"rate": 0.5}, {"rate": 0.75}]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": 3})
def fit(rate):
    with mlflow.start_run():
        mlflow.log_param("rate", rate)
        for step in range(4):
            mlflow.log_metric("loss", rate / (step + 1), step=step)
        print("logged", rate, flush=True)
        while not pathlib.Path("/gate/open").exists():
            time.sleep(0.1)
    return {"loss": rate / 4}
`

// tracker is a server of MLflow with logins, and the one that it has.
type tracker struct {
	t                        *testing.T
	address, login, password string
}

// tracks starts MLflow's server where pods reach it, with nothing in it.
func tracks(t *testing.T, login, password string) *tracker {
	t.Helper()
	nodes, err := client(t, inside.Admin).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{
		LabelSelector: "!" + inside.SimulatedLabel,
	})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("there are %d nodes, %v", len(nodes.Items), err)
	}
	const port = "12441"
	host := nodes.Items[0].Status.Addresses[0].Address
	folder := t.TempDir()
	database := func(name string) string { return "sqlite:///" + filepath.Join(folder, name) }
	logins := filepath.Join(folder, "logins.ini")
	made := &tracker{t: t, address: "http://" + host + ":" + port, login: login, password: password}
	if err := os.WriteFile(logins, fmt.Appendf(nil, `[mlflow]
default_permission = READ
database_uri = %s
admin_username = %s
admin_password = %s
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
`, database("logins.db"), made.login, made.password), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(context.Background()) // the test's ends before what it cleans up
	server := exec.CommandContext(ctx, python(t), "-m", "mlflow", "server", "--app-name", "basic-auth",
		"--host", host, "--port", port, "--allowed-hosts", host+":"+port, "--workers", "1",
		"--backend-store-uri", database("runs.db"), "--artifacts-destination", filepath.Join(folder, "artifacts"))
	server.Dir = folder
	server.Env = append(os.Environ(), "HOME="+folder, "MLFLOW_AUTH_CONFIG_PATH="+logins,
		"MLFLOW_FLASK_SERVER_SECRET_KEY=key", "MLFLOW_DISABLE_TELEMETRY=true",
		"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false")
	var said bytes.Buffer
	server.Stdout, server.Stderr = &said, &said
	// It starts another process, which goes with it.
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	server.Cancel = func() error { return process.SignalGroup(server.Process.Pid, syscall.SIGKILL) }
	if err := server.Start(); err != nil {
		stop(err)
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Wait()
	}()
	t.Cleanup(func() {
		stop(errors.New("the test is over"))
		<-ended
		if t.Failed() {
			t.Logf("MLflow's server said %s", said.String())
		}
	})
	eventually(t, "MLflow's server answers", func(ctx context.Context) (bool, error) {
		select {
		case <-ended:
			t.Fatal("MLflow's server has ended")
		default:
		}
		status, _, err := made.get(ctx, http.MethodGet, "/health", nil, "")
		return status == http.StatusOK, err
	})
	return made
}

// get asks the server, as somebody with a password, and gives the status and the answer.
func (m *tracker) get(ctx context.Context, method, path string, question any, password string) (int, []byte, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, m.address+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(m.login, password)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// ask asks MLflow's REST API.
func (m *tracker) ask(method, path string, question, answer any) {
	m.t.Helper()
	status, text, err := m.get(m.t.Context(), method, "/api/2.0/mlflow/"+path, question, m.password)
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal(text, answer)
	}
	if err != nil || status != http.StatusOK {
		m.t.Fatalf("MLflow's server answers %s with %d: %v\n%s", path, status, err, text)
	}
}

// runs are the runs of an experiment, in the order of their rate: state, rate, and the losses of the steps.
func (m *tracker) runs(experiment string) (all []string) {
	m.t.Helper()
	var found struct {
		Runs []struct {
			Info struct {
				ID     string `json:"run_id"`
				Status string `json:"status"`
			} `json:"info"`
			Data struct {
				Params []struct{ Key, Value string } `json:"params"`
			} `json:"data"`
		} `json:"runs"`
	}
	m.ask(http.MethodPost, "runs/search", map[string]any{"experiment_ids": []string{experiment}}, &found)
	for _, run := range found.Runs {
		var history struct {
			Metrics []struct {
				Step  int     `json:"step"`
				Value float64 `json:"value"`
			} `json:"metrics"`
		}
		m.ask(http.MethodGet, "metrics/get-history?metric_key=loss&run_id="+run.Info.ID, nil, &history)
		text := run.Info.Status
		for _, p := range run.Data.Params {
			text += fmt.Sprintf(" %s=%s", p.Key, p.Value)
		}
		for _, one := range history.Metrics {
			text += fmt.Sprintf(" %d:%.4f", one.Step, one.Value)
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// Trials log to a server of MLflow with code that says nothing of where it is and who they are: each makes one run
// there, with its values. The login is nowhere but in Secrets and in the environment of the trials.
func TestTrialsLogToMLflowWithALoginFromSecrets(t *testing.T) {
	t.Parallel()
	const login, password = planted + "the-session", planted + "a-secret"
	server := tracks(t, login, password)
	if status, text, err := server.get(t.Context(), http.MethodPost, "/api/2.0/mlflow/runs/search", nil,
		"another"); status != http.StatusUnauthorized {
		t.Fatalf("with another password it answers %d, %s, %v", status, text, err)
	}
	space := namespace(t)
	if _, err := client(t, inside.Admin).CoreV1().Secrets(space).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "tracker"}, StringData: map[string]string{"password": password},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var experiment struct {
		ID string `json:"experiment_id"`
	}
	server.ask(http.MethodPost, "experiments/create", map[string]string{"name": "digits"}, &experiment)
	gate := claim(t, space, "gate")
	p := plain(t, space, "METAML_REPOSITORY="+registry+"/"+space+"/environments", "METAML_MEMORY=512Mi",
		"MLFLOW_TRACKING_URI="+server.address, "MLFLOW_TRACKING_USERNAME="+login)
	name := p.submits(logged, "--mount", "pvc:gate:/gate", "--env", "MLFLOW_TRACKING_URI",
		"--env", "MLFLOW_EXPERIMENT_NAME=digits", "--env", "MLFLOW_DISABLE_TELEMETRY=true",
		"--secret", "MLFLOW_TRACKING_USERNAME", "--secret", "MLFLOW_TRACKING_PASSWORD=tracker/password")
	for i := range 3 {
		p.reads(fmt.Sprintf("%s:%d", name, i), "logged")
	}
	inNoArgument(t)
	if err := os.WriteFile(filepath.Join(gate, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := p.must("attach", name)
	if s := p.show(name); s.State != "succeeded" || s.counts("succeeded") != 3 {
		t.Errorf("it is %+v\n%s", s, out)
	}
	want := []string{
		"FINISHED rate=0.25 0:0.2500 1:0.1250 2:0.0833 3:0.0625",
		"FINISHED rate=0.5 0:0.5000 1:0.2500 2:0.1667 3:0.1250",
		"FINISHED rate=0.75 0:0.7500 1:0.3750 2:0.2500 3:0.1875",
	}
	if got := server.runs(experiment.ID); !slices.Equal(got, want) {
		t.Errorf("MLflow has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	inSecretsAlone(t, space, 2)
	if where := having(t, p.home, planted); where != "" {
		t.Errorf("a planted word is in %s", where)
	}
}

// inNoArgument checks that no planted word is in the command line of a process, in a pod or not, while three trials
// have one in their environment.
func inNoArgument(t *testing.T) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	trials := map[string]bool{}
	for _, process := range processes {
		line, _ := os.ReadFile(filepath.Join(process, "cmdline")) // it may have ended
		if bytes.Contains(line, []byte(planted)) {
			t.Errorf("a process is %q", line)
		}
		text, _ := os.ReadFile(filepath.Join(process, "environ"))
		variables := strings.Split(string(text), "\x00")
		if i := slices.IndexFunc(variables, func(v string) bool {
			return strings.HasPrefix(v, "JOB_COMPLETION_INDEX=")
		}); i >= 0 && slices.Contains(variables, "MLFLOW_TRACKING_PASSWORD="+planted+"a-secret") {
			trials[variables[i]] = true
		}
	}
	if len(trials) != 3 {
		t.Errorf("of the processes of three trials this test sees %v", trials)
	}
}

// inSecretsAlone checks that of what has left for a namespace nothing has a planted word but as many Secrets.
func inSecretsAlone(t *testing.T, space string, want int) {
	t.Helper()
	secrets := 0
	coded := base64.StdEncoding.EncodeToString([]byte(planted)[:len(planted)/3*3])
	for where, data := range gone(t, space) {
		if !bytes.Contains(data, []byte(planted)) && !bytes.Contains(data, []byte(coded)) {
			continue
		}
		if !strings.HasPrefix(where, "secrets/") {
			t.Errorf("a planted word is in %s", where)
		} else if bytes.Contains(data, []byte(planted)) {
			secrets++
		}
	}
	if secrets != want {
		t.Errorf("%d values of Secrets have planted words, want %d", secrets, want)
	}
}
