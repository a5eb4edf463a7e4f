//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// doubles is a server that needs no package.
const doubles = `
import metaml

factor = 2

@metaml.Serve(settings={"url": "/double", "replicas": 2, "example": "1"})
def double(number: int):
    print("doubling", number)
    return number * factor
`

// shownServer is what `metaml show --json` says of a server.
type shownServer struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Ready    bool   `json:"ready"`
	URL      string `json:"url"`
	Revision int    `json:"revision"`
	Starting int    `json:"starting"`
	Failed   *struct {
		Revision int    `json:"revision"`
		Reason   string `json:"reason"`
		Text     string `json:"text"`
	} `json:"failed"`
	Workers []struct {
		Worker   int  `json:"worker"`
		Revision int  `json:"revision"`
		Attempt  int  `json:"attempt"`
		Ready    bool `json:"ready"`
	} `json:"workers"`
	Replicas int `json:"replicas"`
	Range    *struct {
		Min int `json:"min"`
		Max int `json:"max"`
	} `json:"range"`
	Answer  float64 `json:"answer"`
	Example string  `json:"example"`
	Notes   []struct {
		Code string `json:"code"`
		Text string `json:"text"`
	} `json:"notes"`
}

// ready counts the replicas of the revision that answers which do.
func (s *shownServer) ready() (n int) {
	for _, w := range s.Workers {
		if w.Ready && w.Revision == s.Revision {
			n++
		}
	}
	return n
}

func (p *person) showServer(name string) shownServer {
	p.t.Helper()
	var s shownServer
	out := p.must("show", "--json", name)
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		p.t.Fatalf("%v in %s", err, out)
	}
	return s
}

// serves writes a script with a server, submits it and waits until it is ready.
func (p *person) serves(script string, args ...string) (said string, code int) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.home, "serve.py"), []byte(script), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.metaml(append([]string{"run", "serve.py", "--python", python(p.t)}, args...)...)
}

// mustServe does so, and wants it to be ready.
func (p *person) mustServe(script string, args ...string) {
	p.t.Helper()
	if said, code := p.serves(script, args...); code != 0 {
		p.t.Fatalf("exit code %d: %s", code, said)
	}
}

// post sends JSON and gives the answer.
func post(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Close = true
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	data, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, string(data)
}

func TestAServerAnswersHereAndInTheCluster(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	said, code := p.serves(doubles, "--workers", "2")
	if code != 0 || !strings.Contains(said, "2 replicas   first answer") {
		t.Fatalf("exit code %d: %s", code, said)
	}
	s := p.showServer("double-1")
	if !s.Ready || s.Revision != 1 || len(s.Workers) != 2 || s.Example != "1" || len(s.Notes) > 0 {
		t.Errorf("it is %+v", s)
	}
	if status, answer := post(t, s.URL, "21"); status != http.StatusOK || answer != "42" {
		t.Errorf("%d: %s", status, answer)
	}
	log := p.begins("logs", "double-1", "--follow")
	for n := range 20 {
		post(t, s.URL, strconv.Itoa(1000+n))
	}
	eventually(t, "what both replicas print is followed", func(context.Context) (bool, error) {
		text := log.text()
		for n := range 20 {
			if !strings.Contains(text, fmt.Sprintf("doubling %d\n", 1000+n)) {
				return false, errors.New(text)
			}
		}
		return strings.Contains(text, "replica 0  ") && strings.Contains(text, "replica 1  "), nil
	})
	p.prints("double-1", "doubling 21\n")
	if out := p.must("logs", "double-1"); strings.Contains(out, "[metaml]") {
		t.Errorf("lines of the pod's own are shown: %s", out)
	}
	if out := p.must("runs"); !regexp.MustCompile(`double-1@\S+ +ready +2 replicas +http://127`).MatchString(out) {
		t.Errorf("the list is %s", out)
	}

	// The same cell again is the same revision; a page of another site is refused as on one machine.
	if said, code := p.serves(doubles, "--workers", "2"); code != 0 || !strings.Contains(said, "revision 1") &&
		p.showServer("double-1").Revision != 1 {
		t.Errorf("exit code %d: %s", code, said)
	}
	if status := from(t, s.URL, "evil.example"); status != http.StatusMisdirectedRequest {
		t.Errorf("under another name it answers %d", status)
	}

	// Another machine finds it, and gives it an address of its own.
	other := newPerson(t, inside.Researcher, space)
	if out := other.must("attach", s.Name); !strings.Contains(out, "ready on http://127.0.0.1:") {
		t.Errorf("another machine is shown %s", out)
	}
	if there := other.showServer("double-1"); !there.Ready || there.URL == s.URL {
		t.Errorf("on another machine it is %+v", there)
	} else if _, answer := post(t, there.URL, "3"); answer != "6" {
		t.Errorf("there it answers %s", answer)
	}

	p.must("stop", "double-1")
	log.ends(0)
	p.must("resume", "double-1")
	if _, answer := post(t, p.readyAgain("double-1").URL, "4"); answer != "8" {
		t.Errorf("after it was resumed it answers %s", answer)
	}
	p.must("stop", "double-1")
	p.must("delete", "double-1")
	leavesNothing(t, space)
}

// readyAgain waits until a server is ready.
func (p *person) readyAgain(name string) shownServer {
	p.t.Helper()
	return p.seesServer(name, "it is ready", func(s shownServer) bool {
		return s.Ready && s.Starting == 0 && s.Revision > 0
	})
}

// seesServer waits until a server looks so.
func (p *person) seesServer(name, what string, is func(shownServer) bool) shownServer {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		last := p.showServer(name)
		if is(last) {
			return last
		}
		if time.Now().After(end) {
			p.t.Fatalf("not within %s: %s; it is %+v", patience, what, last)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// prints waits until a server is known to have printed something.
func (p *person) prints(name, text string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		out := p.must("logs", name)
		if strings.Contains(out, text) {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s is not known to have printed %q, but %s", name, text, out)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// from sends a request to a server under a name that is not its own.
func from(t *testing.T, url, host string) (status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("1"))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	return got.StatusCode
}

func TestAServerSurvivesWhatIsKilled(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	p.mustServe(doubles)
	url := p.showServer("double-1").URL
	answers := func(what string) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		for range 20 {
			if answer, err := one(t.Context(), client, url); err != nil || answer != "2" {
				t.Errorf("after %s it answers %q: %v", what, answer, err)
			}
		}
	}
	answers("its start")
	pods := func() []corev1.Pod { t.Helper(); all, _ := servers(t.Context(), t, space); return all }
	for name, text := range map[string]string{"front": "metaml-server front", "worker": "metaml._loader"} {
		for _, pod := range pods() {
			found, err := inside.InPod(string(pod.UID), text)
			if err != nil || len(found) == 0 {
				t.Fatalf("pod %s has no %s: %v", pod.Name, name, err)
			}
			// The latest: a worker is a fork of the process that has loaded the program.
			if err := process.Signal(slices.Max(found), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			answers("a " + name + " was killed")
		}
	}
	if _, err := inside.KillPod(string(pods()[0].UID)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its processes have ended", func(context.Context) (bool, error) {
		left, err := inside.InPod(string(pods()[0].UID), "")
		status := pods()[0].Status.ContainerStatuses
		return err == nil && len(left) == 0 || len(status) > 0 && status[0].RestartCount > 0, err
	})
	answers("all processes of a pod were killed")
	p.readyAgain("double-1")

	// A pod that is deleted answers what it has, and another one takes its place.
	asking := keepsAsking(t, url)
	deleted := pods()[:1]
	if err := client(t, inside.Admin).CoreV1().Pods(space).Delete(t.Context(), deleted[0].Name,
		metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	replaced(t, space, deleted)
	asking.stop().check(t)

	// Who follows it is killed, and followed again it has the address that it had.
	kill := exec.CommandContext(t.Context(), "pkill", "-KILL", "-f", "metaml follow .*/"+space+"$")
	if err := kill.Run(); err != nil {
		t.Fatal(err)
	}
	p.must("attach", "double-1")
	if s := p.readyAgain("double-1"); s.URL != url {
		t.Errorf("it was at %s, and is at %s", url, s.URL)
	}
	answers("who followed it was killed")
	p.must("stop", "--now", "double-1")
	p.must("delete", "double-1")
	leavesNothing(t, space)
}

// replaced waits until a namespace's server has two pods that are ready, and none of these.
func replaced(t *testing.T, space string, before []corev1.Pod) {
	t.Helper()
	eventually(t, "other pods are ready", func(ctx context.Context) (bool, error) {
		now, _ := servers(ctx, t, space)
		return len(now) == 2 && !slices.ContainsFunc(now, func(p corev1.Pod) bool {
			is := func(b corev1.Pod) bool { return b.UID == p.UID }
			return !isReady(&p) || slices.ContainsFunc(before, is)
		}), nil
	})
}

// Who drains a node evicts all of its pods, and tries again where a budget says not yet (kubectl-drain(1)).
func TestADrainedNodeFailsNoRequest(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	p.mustServe(doubles)
	before, _ := servers(t.Context(), t, space)
	asking := keepsAsking(t, p.showServer("double-1").URL)
	waited := false
	for _, pod := range before {
		eventually(t, "pod "+pod.Name+" may go", func(ctx context.Context) (bool, error) {
			err := client(t, inside.Admin).CoreV1().Pods(space).EvictV1(ctx, &policyv1.Eviction{
				ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: space},
			})
			if apierrors.IsTooManyRequests(err) {
				waited = true
				return false, nil
			}
			return err == nil, err
		})
	}
	replaced(t, space, before)
	asking.stop().check(t)
	if !waited {
		t.Error("both pods could be evicted at once")
	}
}

// asksOn is a pod that sends a Service requests until it finds a file, and then says which failed.
const asksOn = `
import pathlib, urllib.request
here, faults, n = pathlib.Path("/dev/shm"), [], 0
while not (here / "stop").exists():
    request = urllib.request.Request("http://ADDRESS/double", b"1", {"Content-Type": "application/json"})
    try:
        answer = urllib.request.urlopen(request, timeout=30).read()
        if answer != b"2":
            faults.append(answer)
    except OSError as error:
        faults.append(error)
    n += 1
    (here / "asked").write_text(str(n))
print(n, "requests,", len(faults), "failed", faults[:3])
`

// While a node's kubelet is dead, what asks the Service is answered. Through the address on this machine, which needs
// that kubelet, what is asked meanwhile is answered when it is back.
func TestAServerOutlivesTheKubelet(t *testing.T) {
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	p.mustServe(doubles)
	service, err := client(t, inside.Admin).CoreV1().Services(space).Get(t.Context(), "double-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	start(t, space, indexedJob("asks", inside.BarePython, strings.Replace(asksOn, "ADDRESS", service.Spec.ClusterIP, 1),
		1))
	asks := running(t, space, "asks")
	folder := ""
	eventually(t, "a program asks", func(context.Context) (bool, error) {
		found, err := inside.InPod(string(asks.UID), "urllib.request")
		if err == nil && len(found) == 1 {
			folder = fmt.Sprintf("/proc/%d/root/dev/shm/", found[0])
		}
		return folder != "", err
	})
	asked := func() (n int) {
		data, err := os.ReadFile(folder + "asked")
		if err == nil {
			n, _ = strconv.Atoi(string(data))
		}
		return n
	}
	eventually(t, "requests are sent", func(context.Context) (bool, error) { return asked() > 20, nil })
	if err := here(t).Kill(t.Context(), "kubelet"); err != nil {
		t.Fatal(err)
	}
	again := sync.OnceValue(func() error { return here(t).Start(context.WithoutCancel(t.Context()), "kubelet") })
	t.Cleanup(func() { _ = again() })
	type answer struct {
		text string
		err  error
	}
	meanwhile := make(chan answer, 1)
	go func() {
		text, err := one(t.Context(), &http.Client{Timeout: patience}, p.showServer("double-1").URL)
		meanwhile <- answer{text, err}
	}()
	n := asked()
	eventually(t, "more are answered", func(context.Context) (bool, error) { return asked() > n+200, nil })
	if err := again(); err != nil {
		t.Fatal(err)
	}
	if got := <-meanwhile; got.err != nil || got.text != "2" {
		t.Errorf("what was asked meanwhile is answered %q, %v", got.text, got.err)
	}
	if err := os.WriteFile(folder+"stop", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ends(t, space, "asks")
	if said := logs(t, space, asks.Name); !strings.Contains(said, "requests, 0 failed") {
		t.Errorf("it said %s", said)
	}
}

// A laptop sleeps: what forwards the address of a server stands still, its connections go, and the pods that it knew
// are others when it wakes.
func TestTheAddressOfAServerSurvivesSleep(t *testing.T) {
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	p.mustServe(doubles)
	url := p.showServer("double-1").URL
	pid := followerOf(t, "double-1")
	if err := process.Signal(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before, _ := servers(t.Context(), t, space)
	for _, pod := range before {
		if err := client(t, inside.Admin).CoreV1().Pods(space).Delete(t.Context(), pod.Name,
			metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	replaced(t, space, before)
	if err := here(t).Restart(t.Context(), "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		answer, err := one(t.Context(), &http.Client{
			Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true},
		}, url)
		if err != nil || answer != "2" {
			t.Errorf("after the sleep it answers %q: %v", answer, err)
		}
	}
	if now := followerOf(t, "double-1"); now != pid {
		t.Errorf("another follower had to begin: %d, not %d", now, pid)
	}
}

// asked is what became of requests that were sent all the time.
type asked struct {
	end func() // no more are sent, and all have come back

	sync.Mutex
	answers map[string]int // how often each came
	faults  []string
}

// stop ends the requests.
func (a *asked) stop() *asked { a.end(); return a }

// check says which requests failed.
func (a *asked) check(t *testing.T) {
	t.Helper()
	if len(a.faults) > 0 {
		t.Errorf("%d of %v failed: %q", len(a.faults), a.answers, a.faults[:min(3, len(a.faults))])
	}
}

// keepsAsking sends requests to a server until the test says stop: over connections that are kept, and over new ones.
func keepsAsking(t *testing.T, url string) *asked {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	a := &asked{answers: map[string]int{}}
	var all sync.WaitGroup
	for i := range 4 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 1}, Timeout: patience}
		all.Go(func() {
			for ctx.Err() == nil {
				answer, err := one(ctx, client, url)
				if ctx.Err() != nil {
					return
				}
				a.Lock()
				if a.answers[answer]++; err != nil {
					a.faults = append(a.faults, fmt.Sprintf("%s: %v", time.Now().Format("15:04:05.000"), err))
				}
				a.Unlock()
			}
		})
	}
	a.end = sync.OnceFunc(func() { cancel(nil); all.Wait() })
	t.Cleanup(a.end)
	return a
}

// one sends a request, and gives what is answered.
func one(ctx context.Context, client *http.Client, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("1"))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	got, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer got.Body.Close()
	data, err := io.ReadAll(got.Body)
	if err == nil && got.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", got.Status, data)
	}
	return string(data), err
}

func TestAnUpdateFailsNoRequest(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	p.mustServe(doubles)
	url := p.showServer("double-1").URL
	asking := keepsAsking(t, url)
	last := 1 + int(number(t, "METAML_UPDATES", 5))
	multiplies := func(revision int) string {
		return strings.Replace(doubles, "factor = 2", fmt.Sprintf("factor = %d", revision+1), 1)
	}
	for revision := 2; revision <= last; revision++ {
		said, code := p.serves(multiplies(revision))
		if code != 0 {
			t.Fatalf("revision %d: exit code %d: %s", revision, code, said)
		}
		if s := p.showServer("double-1"); s.Revision != revision || s.URL != url {
			t.Errorf("it is %+v, not revision %d at %s", s, revision, url)
		}
		if _, answer := post(t, url, "1"); answer != strconv.Itoa(revision+1) {
			t.Errorf("revision %d answers %s", revision, answer)
		}
	}

	// Scaling makes no revision, and the same cell again leaves it as it was scaled.
	p.must("scale", "double-1", "3")
	p.seesServer("double-1", "there are three replicas", func(s shownServer) bool {
		return s.Replicas == 3 && s.ready() == 3
	})
	said, code := p.serves(multiplies(last))
	if code != 0 || !strings.Contains(said, "was scaled to 3 replicas, which stay") {
		t.Errorf("exit code %d: %s", code, said)
	}
	p.must("scale", "double-1", "2")

	goesOn := fmt.Sprintf("revision %d goes on answering", last)
	// One whose top level fails, and one whose first answer is an error, leave what answers alone.
	for _, broken := range []struct{ script, why string }{
		{strings.Replace(doubles, "factor = 2", "factor = int('no such table')", 1), "no such table"},
		{strings.Replace(doubles, "return number * factor", "return number / 0", 1), "ZeroDivisionError"},
	} {
		said, code := p.serves(broken.script)
		if code == 0 || !strings.Contains(said, broken.why) || !strings.Contains(said, goesOn) {
			t.Errorf("exit code %d, without %q: %s", code, broken.why, said)
		}
	}
	// Back to the one before the last, which has another number then.
	if said := p.must("rollback", "double-1", strconv.Itoa(last-1)); !strings.Contains(said,
		fmt.Sprintf("revision %d (revision %d again)", last+3, last-1)) {
		t.Errorf("it is said: %s", said)
	}
	if s := p.showServer("double-1"); s.Revision != last+3 || s.ready() != 2 {
		t.Errorf("it is %+v", s)
	}
	if _, answer := post(t, url, "1"); answer != strconv.Itoa(last) {
		t.Errorf("revision %d again answers %s", last-1, answer)
	}
	said, code = p.metaml("rollback", "double-1", strconv.Itoa(last+2))
	if code != 2 || !strings.Contains(said, "never answered") {
		t.Errorf("exit code %d: %s", code, said)
	}
	a := asking.stop()
	a.check(t)
	for want := 2; want <= last+1; want++ {
		if a.answers[strconv.Itoa(want)] == 0 {
			t.Errorf("nobody was answered %d: %v", want, a.answers)
		}
	}
}

func TestTwoUpdatesAtOnce(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	p.mustServe(doubles)
	slow := "import time\n" + strings.Replace(doubles, "factor = 2", "time.sleep(600)\nfactor = 3", 1)
	path := filepath.Join(p.home, "serve.py")
	if err := os.WriteFile(path, []byte(slow), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first := exec.CommandContext(ctx, binary(t), "run", "serve.py", "--python", python(t))
	first.Env, first.Dir = p.env, p.home
	var said bytes.Buffer
	first.Stdout, first.Stderr = &said, &said
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	p.seesServer("double-1", "the second revision starts", func(s shownServer) bool { return s.Starting == 2 })
	later, code := p.serves(strings.Replace(doubles, "factor = 2", "factor = 4", 1))
	says := regexp.MustCompile(`revision 2, which \S+ submitted .* ago, has not answered yet`)
	if code != 0 || !says.MatchString(later) {
		t.Errorf("who is later is shown, with exit code %d: %s", code, later)
	}
	err := first.Wait()
	if err == nil || !strings.Contains(said.String(), "revision 3 was submitted before it was ready") {
		t.Errorf("who was earlier is shown, %v: %s", err, &said)
	}
	if s := p.showServer("double-1"); s.Revision != 3 {
		t.Errorf("it is %+v", s)
	} else if _, answer := post(t, s.URL, "1"); answer != "4" {
		t.Errorf("it answers %s", answer)
	}
}

func TestAnObjectOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"Deployment", "Service"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			space := namespace(t)
			p := newPerson(t, inside.Admin, space)
			administer(t, foreign[kind], "-n", space, "apply", "-f", "-")
			said, code := p.serves(doubles)
			if want := "no server of ours is in namespace " + space; code != 2 || !strings.Contains(said, want) {
				t.Errorf("it ended with %d: %s", code, said)
			}
			eventually(t, "nothing is left of it", func(ctx context.Context) (bool, error) {
				return !slices.Contains(left(ctx, t, space), "configmaps/double-1"), nil
			})
		})
	}
}

// foreign are objects of somebody else that have the name of a server.
var foreign = map[string]string{
	"Deployment": `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "double-1"}, "spec": {
		"replicas": 0, "selector": {"matchLabels": {"app": "other"}}, "template": {
			"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "other", "image": "other"}]}}}}`,
	"Service": `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "double-1"},
		"spec": {"ports": [{"port": 80}]}}`,
}
