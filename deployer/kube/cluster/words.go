package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// unreadable is a kubeconfig that is there and cannot be used.
func unreadable(rules *clientcmd.ClientConfigLoadingRules, err error) error {
	return usererror.Wrap(err, usererror.CodeKubeconfig,
		fmt.Sprintf("the kubeconfig %s cannot be read: %v", strings.Join(rules.GetLoadingPrecedence(), ", "), err),
		"See what is wrong with it: kubectl config view.")
}

// checkContext refuses a context that is not there.
func checkContext(config *clientcmdapi.Config, rules *clientcmd.ClientConfigLoadingRules, context string) error {
	names := slices.Sorted(maps.Keys(config.Contexts))
	files := strings.Join(rules.GetLoadingPrecedence(), ", ")
	switch {
	case len(names) == 0:
		hint := "Ask whoever runs your cluster for a kubeconfig, and save it as ~/.kube/config."
		text := "there is no kubeconfig, so no cluster is known: " + files + " does not exist"
		if slices.ContainsFunc(rules.GetLoadingPrecedence(), exists) {
			text = fmt.Sprintf("the kubeconfig %s has no context, so no cluster is known", files)
		}
		return &usererror.Error{Code: usererror.CodeKubeconfig, Text: text, Hint: hint}
	case context == "":
		return &usererror.Error{
			Code: usererror.CodeKubeconfig, Text: fmt.Sprintf("the kubeconfig %s has no current context", files),
			Hint: fmt.Sprintf("Name one with --context: %s.", prose.List(names[:min(len(names), 8)])),
		}
	}
	if _, ok := config.Contexts[context]; ok {
		return nil
	}
	refused := &usererror.Error{
		Code: usererror.CodeKubeconfig, Text: fmt.Sprintf("the kubeconfig %s has no context %q", files, context),
		Hint: fmt.Sprintf("It has %s.", prose.List(names[:min(len(names), 8)])),
	}
	if n := prose.Nearest(context, names); n != "" {
		refused.Hint = fmt.Sprintf("Did you mean %q?", n)
	}
	return refused
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// unusable is a context that leads nowhere.
func unusable(context string, err error) error {
	return usererror.Wrap(err, usererror.CodeKubeconfig,
		fmt.Sprintf("the context %q of the kubeconfig cannot be used: %v", context, err),
		"See what is wrong with it: kubectl config view.")
}

// noAccount is a pod whose account cannot be used, or no pod.
func noAccount(err error) error {
	if errors.Is(err, rest.ErrNotInCluster) {
		return usererror.Wrap(err, usererror.CodeKubeconfig,
			fmt.Sprintf("the context %s is for programs in a pod of a cluster, and this is none", InCluster),
			"Name a context of the kubeconfig with --context.")
	}
	return usererror.Wrap(err, usererror.CodeKubeconfig,
		fmt.Sprintf("there is no kubeconfig, and the account of this pod cannot be used: %v", err),
		"Ask whoever made this pod for a service account with its token in it, or for a kubeconfig.")
}

// goneFromKubeconfig says that no context leads to a cluster any more.
func goneFromKubeconfig(pin Pin) error {
	return &usererror.Error{
		Code: usererror.CodeKubeconfig,
		Text: fmt.Sprintf("no context of the kubeconfig leads to the cluster of %s any more (%s)", pin.Place(),
			pin.Server),
		Hint: "Set KUBECONFIG to the file that you had when the run was submitted.",
	}
}

// Explain puts what the cluster, or the way to it, answered into words. doing follows "the cluster … did not let us";
// it is used where nothing better is known.
func (c *Cluster) Explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*usererror.Error](err); known {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if words := c.loginFailed(err); words != nil {
		return words
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return c.unreachable(err)
	}
	message := status.Status().Message
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(message, "violates PodSecurity"):
		return usererror.Wrap(err, usererror.CodeRefused,
			fmt.Sprintf("namespace %s refuses these pods: %s", c.Namespace, after(message, "violates ")),
			"Leave out of --pod-template what it names.")
	case apierrors.IsForbidden(err) && strings.Contains(message, "exceeded quota"):
		return usererror.Wrap(err, usererror.CodeQuota,
			fmt.Sprintf("the quota of namespace %s is used up: %s", c.Namespace, after(message, "exceeded quota: ")),
			"Delete what is no longer needed, ask for less, or ask an administrator for a higher quota.")
	case apierrors.IsForbidden(err) && status.Status().Details != nil && strings.Contains(message, "cannot"):
		return usererror.Wrap(err, usererror.CodeRights,
			fmt.Sprintf("you may not %s in namespace %s: %s", doing, c.Namespace, message),
			"metaml setup rbac prints what an administrator can give you.")
	case apierrors.IsNotFound(err) && isNamespace(status.Status().Details):
		return usererror.Wrap(err, usererror.CodeNamespace,
			fmt.Sprintf("cluster %s has no namespace %q", c.Context, c.Namespace),
			"Name another with --namespace, or ask an administrator to make it.")
	case apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err):
		return usererror.Wrap(err, usererror.CodeUnreachable,
			fmt.Sprintf("cluster %s is busy: %s", c.Context, message), "Try again in a moment.")
	case status.Status().Code >= http.StatusInternalServerError:
		return usererror.Wrap(err, usererror.CodeUnreachable,
			fmt.Sprintf("cluster %s has a failure of its own: %s", c.Context, message),
			"Try again in a moment; if it lasts, tell whoever runs the cluster.")
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return usererror.Wrap(err, usererror.CodeRefused,
			fmt.Sprintf("cluster %s refuses to %s: %s", c.Context, doing, message), "")
	}
	return fmt.Errorf("cluster %s: %s: %w", c.Context, doing, err)
}

func isNamespace(d *metav1.StatusDetails) bool { return d != nil && d.Kind == "namespaces" }

// after is what stands behind the first mark, or all.
func after(text, mark string) string {
	if _, rest, found := strings.Cut(text, mark); found {
		return rest
	}
	return text
}

// loginFailed words an error that comes from authenticating, or gives nil.
func (c *Cluster) loginFailed(err error) error {
	var missing *exec.Error
	text := err.Error()
	switch {
	case c.login.plugin != "" && (errors.As(err, &missing) || strings.Contains(text, "exec: executable "+
		c.login.plugin+" not found")):
		hint := fmt.Sprintf("Put %s on the PATH that Jupyter or this shell was started with.", c.login.plugin)
		if c.login.hint != "" {
			hint += " " + strings.TrimSuffix(strings.Join(strings.Fields(c.login.hint), " "), ".") + "."
		}
		return usererror.Wrap(err, usererror.CodeLogin,
			fmt.Sprintf("the login to cluster %s needs the program %s, which is not on PATH", c.Context,
				c.login.plugin), hint)
	case c.login.plugin != "" && strings.Contains(text, "fork/exec "+c.login.plugin+": no such file"):
		return usererror.Wrap(err, usererror.CodeLogin,
			fmt.Sprintf("the login to cluster %s needs the program %s, which is not there", c.Context, c.login.plugin),
			"Install it again, or correct the kubeconfig: kubectl config view shows it.")
	case c.login.plugin != "" && strings.Contains(text, "getting credentials"):
		return usererror.Wrap(err, usererror.CodeLogin,
			fmt.Sprintf("the login to cluster %s does not work: %s", c.Context, after(text, "getting credentials: ")),
			c.renew())
	case apierrors.IsUnauthorized(err):
		return usererror.Wrap(err, usererror.CodeLogin,
			fmt.Sprintf("cluster %s does not accept your login; it may have expired", c.Context), c.renew())
	}
	return nil
}

// IsLogin reports whether an error of [Cluster.Explain] says that the login does not work.
func IsLogin(err error) bool {
	words, ok := errors.AsType[*usererror.Error](err)
	return ok && words.Code == usererror.CodeLogin
}

// renewals are the commands that log in again, by the plugin that the kubeconfig names.
var renewals = map[string]string{
	"aws":                    "aws sso login",
	"aws-iam-authenticator":  "aws sso login",
	"gke-gcloud-auth-plugin": "gcloud auth login",
	"gcloud":                 "gcloud auth login",
	"kubelogin":              "az login",
	"oc":                     "oc login",
	"tsh":                    "tsh login",
	"doctl":                  "doctl auth init",
	"kubectl-oidc_login":     "kubectl oidc-login get-token",
}

// renew says how to log in again.
func (c *Cluster) renew() string {
	if c.Context == InCluster {
		return "The cluster renews the token of a pod's account; if that lasts, ask whoever made this pod."
	}
	name := c.login.plugin[strings.LastIndex(c.login.plugin, "/")+1:]
	if command, ok := renewals[name]; ok {
		return fmt.Sprintf("Log in again in a terminal: %s.", command)
	}
	return fmt.Sprintf("Log in again in a terminal, as `kubectl --context %s get pods` does.", c.Context)
}

// unreachable words an error that comes from the way to the cluster.
func (c *Cluster) unreachable(err error) error {
	why := "it does not answer"
	var (
		dns    *net.DNSError
		refuse *net.OpError
	)
	text := err.Error()
	switch {
	case errors.As(err, &dns):
		why = fmt.Sprintf("the name %s is not known here", dns.Name)
	case strings.Contains(text, "connection refused"):
		why = "nobody listens there"
	case strings.Contains(text, "x509:"):
		why = "its certificate is not the one that the kubeconfig expects (" + after(text, "x509: ") + ")"
	case errors.As(err, &refuse) && refuse.Timeout(), errors.Is(err, context.DeadlineExceeded):
		why = fmt.Sprintf("it does not answer within %s", Patience)
	default:
		why += " (" + after(text, c.Server) + ")"
	}
	return usererror.Wrap(err, usererror.CodeUnreachable,
		fmt.Sprintf("cluster %s cannot be reached at %s: %s", c.Context, c.Server, why),
		"Check the network or VPN, and whether the cluster runs: kubectl get pods says the same.")
}
