//go:build linux

package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// tokenLine is what a submission says that made a token.
var tokenLine = regexp.MustCompile(`(?m)^token: ([A-Za-z0-9_-]{43}) \(shown only now; `)

// tokenIn is the token in what a submission said; "" is none.
func tokenIn(said string) string {
	found := tokenLine.FindStringSubmatch(said)
	if found == nil {
		return ""
	}
	return found[1]
}

// with sends JSON to a server with a token, and gives the answer.
func with(t *testing.T, url, host, token, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	r.Host, r.Close = host, true
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

// asksLocked sends a server a request with the token that it reads, as a pod of the cluster does, under one of the
// names that the Service has.
const asksLocked = `
import http.client, sys, urllib.parse
at = urllib.parse.urlsplit(sys.argv[1])
link = http.client.HTTPConnection(at.hostname, at.port or 80, timeout=30)
headers = {"Host": sys.argv[2], "Content-Type": "application/json", "Authorization": "Bearer " + sys.stdin.read()}
link.request("POST", at.path, "21", headers)
answer = link.getresponse()
print(answer.status, answer.read().decode())
`

// A server with a token answers nobody without it, here and in the cluster. Its Secret is the server's: pods that are
// made again, other revisions and other machines have the same one.
func TestAServerAsksForItsToken(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	core := client(t, inside.Admin).CoreV1()

	// The Secret of somebody else is left alone.
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "double-1-token"}}
	if _, err := core.Secrets(space).Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if said, code := p.serves(doubles, "--auth", "token"); code != 2 ||
		!strings.Contains(said, `a Secret "double-1-token" that is no server of ours`) {
		t.Errorf("exit code %d: %s", code, said)
	}
	if err := core.Secrets(space).Delete(t.Context(), foreign.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	leavesNothing(t, space)

	said, code := p.serves(doubles, "--auth", "token")
	token := tokenIn(said)
	if code != 0 || token == "" || !strings.Contains(said, `curl -H "Authorization: Bearer $TOKEN" -d '1' http://127`) {
		t.Fatalf("exit code %d: %s", code, said)
	}
	owner, err := core.ConfigMaps(space).Get(t.Context(), "double-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := core.Secrets(space).Get(t.Context(), "double-1-token", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != owner.UID ||
		string(secret.Data["token"]) != token || len(secret.Data) != 1 {
		t.Errorf("its Secret belongs to %+v and has %d values", secret.OwnerReferences, len(secret.Data))
	}
	url := p.showServer("double-1").URL
	locked := func(what string) {
		t.Helper()
		if status, answer := post(t, url, "21"); status != http.StatusUnauthorized {
			t.Errorf("%s it answers without the token: %d %s", what, status, answer)
		}
		if status, answer := with(t, url, "", token, "21"); status != http.StatusOK || answer != "42" {
			t.Errorf("%s it answers with the token: %d %s", what, status, answer)
		}
	}
	locked("here")
	service, err := core.Services(space).Get(t.Context(), "double-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pods := metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=server"}
	list, err := core.Pods(space).List(t.Context(), pods)
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("%d pods: %v", len(list.Items), err)
	}
	within := notebook{t: t, space: space, name: list.Items[0].Name}
	inCluster := func(sent, want string) {
		t.Helper()
		out, code := within.does([]byte(sent), "python3", "-c", asksLocked, "http://"+service.Spec.ClusterIP+"/double",
			"double-1."+space)
		if code != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("in the cluster it answers with %s, want %s; exit code %d", out, want, code)
		}
	}
	inCluster(token, "200 42\n")
	inCluster(token[1:], "401 ")

	// Pods that take the place of others have it.
	if err := core.Pods(space).DeleteCollection(t.Context(), metav1.DeleteOptions{}, pods); err != nil {
		t.Fatal(err)
	}
	p.seesServer("double-1", "it has other pods", func(s shownServer) bool { return s.Ready && s.ready() == 2 })
	locked("after its pods were deleted")

	// Neither the same cell nor another revision shows it again, on whichever machine; metaml token does.
	other := newPerson(t, inside.Researcher, space)
	name := p.showServer("double-1").Name
	if here, there := p.must("token", "double-1"), other.must("token", name); here != token+"\n" || there != here {
		t.Errorf("the token is %q, and on another machine %q", here, there)
	}
	if out := other.must("attach", name); strings.Contains(out, "token: ") || strings.Contains(out, token) {
		t.Errorf("another machine is shown %s", out)
	}
	for _, args := range [][]string{{"--auth", "token"}, {"--auth", "token", "--workers", "2"}} {
		if said, code := p.serves(doubles, args...); code != 0 || tokenIn(said) != "" {
			t.Errorf("%q: exit code %d: %s", args, code, said)
		}
	}
	locked("as revision 2")
	keepsToItself(t, space, token, p, other)

	if said, code := p.serves(doubles); code != 0 ||
		!strings.Contains(said, "revision 3 asks for no token, as revision 2 did") {
		t.Errorf("without the setting: exit code %d: %s", code, said)
	}
	if status, answer := post(t, url, "21"); answer != "42" {
		t.Errorf("without the setting it answers %d %s", status, answer)
	}
	if said := p.must("rollback", "double-1"); !strings.Contains(said, "revision 4 (revision 2 again)") ||
		strings.Contains(said, "asks for no token") {
		t.Errorf("it is said: %s", said)
	}
	locked("as revision 2 again")
	if said := p.must("rollback", "double-1", "3"); !strings.Contains(said, "asks for no token, as revision 4 did") {
		t.Errorf("it is said: %s", said)
	}
	p.must("stop", "double-1")
	p.must("delete", "double-1")
	leavesNothing(t, space)
}

// keepsToItself checks that a token is in its Secret, and in no other object, log or record.
func keepsToItself(t *testing.T, space, token string, people ...*person) {
	t.Helper()
	forms := [][]byte{[]byte(token), []byte(base64.StdEncoding.EncodeToString([]byte(token)))}
	has := func(data []byte) bool { return bytes.Contains(data, forms[0]) || bytes.Contains(data, forms[1]) }
	found := false
	for where, data := range gone(t, space) {
		if strings.HasPrefix(where, "secrets/double-1-token") {
			found = found || has(data)
		} else if has(data) {
			t.Errorf("%s has the token", where)
		}
	}
	if !found {
		t.Error("its Secret was not looked at")
	}
	for _, p := range people {
		err := filepath.WalkDir(p.home, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if has(data) {
				t.Errorf("%s has the token", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Of two people who lock a server at the same moment one makes the token, and both have it.
func TestTwoPeopleLockAServerAtOnce(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p, said := newPerson(t, inside.Admin, space), [2]string{}
	p.mustServe(doubles)
	var both sync.WaitGroup
	for i := range said {
		both.Go(func() {
			said[i], _ = p.metaml("run", "serve.py", "--python", python(t), "--auth", "token", "--workers",
				[]string{"2", "3"}[i]) // whoever is replaced by the other fails
		})
	}
	both.Wait()
	token := strings.TrimSpace(p.must("token", "double-1"))
	shown := 0
	for _, one := range said {
		if has := tokenIn(one); has != "" {
			if shown++; has != token {
				t.Errorf("%s was shown, and the token is %s", has, token)
			}
		}
	}
	if shown > 1 {
		t.Errorf("both were shown a token: %q", said)
	}
	s := p.readyAgain("double-1")
	if status, _ := post(t, s.URL, "1"); status != http.StatusUnauthorized {
		t.Errorf("without the token it answers %d", status)
	}
	if status, answer := with(t, s.URL, "", token, "1"); status != http.StatusOK {
		t.Errorf("with it it answers %d: %s", status, answer)
	}
}
