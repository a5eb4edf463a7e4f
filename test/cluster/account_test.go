//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// accountFolder is where the kubelet gives a pod the token of its service account. The cluster has a /run of its own.
const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

// inPod makes this machine look like a pod of a namespace, for one person: it has the account's token, the address of
// the API server and no kubeconfig.
func (p *person) inPod(space, account string) {
	p.t.Helper()
	accounts := client(p.t, inside.Admin).CoreV1().ServiceAccounts(space)
	if _, err := accounts.Create(p.t.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: account},
	}, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
	token, err := accounts.CreateToken(p.t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", here(p.t).Kubeconfig(inside.Admin))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.MkdirAll(accountFolder, 0o700); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := os.RemoveAll(accountFolder); err != nil {
			p.t.Error(err)
		}
	})
	for name, data := range map[string][]byte{
		"token": []byte(token.Status.Token), "ca.crt": config.CAData, "namespace": []byte(space),
	} {
		if err := os.WriteFile(filepath.Join(accountFolder, name), data, 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	p.env = slices.DeleteFunc(p.env, func(v string) bool {
		return strings.HasPrefix(v, "KUBECONFIG=") || strings.HasPrefix(v, "METAML_NAMESPACE=")
	})
	p.env = append(p.env, "KUBERNETES_SERVICE_HOST=127.0.0.1", "KUBERNETES_SERVICE_PORT=6443")
}

// A notebook in a pod, without a kubeconfig, runs sweeps in its own namespace as the pod's account.
func TestInAPodItsAccountIsUsed(t *testing.T) {
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	if err := os.WriteFile(filepath.Join(p.home, "sweep.py"), []byte(rates), 0o600); err != nil {
		t.Fatal(err)
	}
	p.inPod(space, "notebook")
	user := "system:serviceaccount:" + space + ":notebook"
	command := []string{"run", "sweep.py", "--python", python(t)}
	if out, code := p.metaml(command...); code != 2 ||
		!strings.Contains(out, "metaml setup rbac --namespace "+space+" --user "+user) {
		t.Errorf("without rights it ended with %d: %s", code, out)
	}
	p.mayRun(space, user)
	out, _ := p.metaml("doctor", "--target", "kubernetes") // this Python has no ipykernel
	if !strings.Contains(out, "none; in this pod its account is used, namespace "+space) ||
		!strings.Contains(out, user) {
		t.Errorf("it does not say who it is, and where: %s", out)
	}
	name := "fit-1@in-cluster/" + space
	if out := p.must(command...); !strings.Contains(out, name) {
		t.Errorf("it is not called %s: %s", name, out)
	}
	if s := p.show(name); s.State != "succeeded" || s.counts("succeeded") != 3 {
		t.Errorf("it is %+v", s)
	}
	if log := p.must("logs", "fit-1:2"); log != "the rate is 0.2\n" {
		t.Errorf("trial 2 printed %q", log)
	}

	// Another pod of the same account, which knows nothing yet.
	again := newPerson(t, inside.Admin, space)
	again.env = append(slices.Clone(p.env), "HOME="+again.home, "XDG_DATA_HOME="+filepath.Join(again.home, "data"))
	if out := again.must("runs", "--target", "kubernetes"); !strings.Contains(out, name+"   succeeded") {
		t.Errorf("it is not listed: %s", out)
	}
	again.must("delete", name)
	leavesNothing(t, space)
}
