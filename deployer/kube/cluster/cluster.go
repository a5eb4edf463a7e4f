// Package cluster is a namespace of a Kubernetes cluster as MetaML uses it: how a kubeconfig leads to it, who we are
// there, which rights we have, what its answers mean in words, and connections to ports of its pods.
//
// Read [Connect] and [Pin] first. It imports client-go with the protocols of its port-forward, deployer/run and
// internal/usererror.
package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"

	"github.com/metaml/metaml"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Pin says which namespace of which cluster is meant. What was pinned stays the same, whatever context is the current
// one later, and whatever a kubeconfig calls it.
type Pin struct {
	Context   string `json:"context"` // of the kubeconfig when it was pinned; [InCluster] within a pod
	Namespace string `json:"namespace"`
	Server    string `json:"server"` // address of the API server
	CA        string `json:"ca"`     // hex sha256 of its certificate authority, "" where the system's are trusted
}

// InCluster is the name of the context of a pod that has no kubeconfig.
const InCluster = "in-cluster"

// Place is how people write it: CONTEXT/NAMESPACE.
func (p Pin) Place() string { return p.Context + "/" + p.Namespace }

// ID distinguishes the namespace from all others.
func (p Pin) ID() string {
	sum := sha256.Sum256([]byte(p.Server + "\x00" + p.CA + "\x00" + p.Namespace))
	return hex.EncodeToString(sum[:8])
}

// Same reports whether both are one namespace of one cluster, whatever their contexts are called.
func (p Pin) Same(q Pin) bool { return p.ID() == q.ID() }

// Cluster is a connection to a namespace.
type Cluster struct {
	Pin
	Core        *Core
	Batch       *Batch
	Apps        *Apps
	Policy      *Policy
	Autoscaling *Autoscaling
	// of reviews of who we are, and of what we may do
	authentication, authorization rest.Interface
	login                         login
	gate                          *gate
	upgrader                      *upgrader
	anonymous                     func() (http.RoundTripper, error) // sends requests without a login
}

// login is how we authenticate.
type login struct {
	plugin string   // command of an exec plugin, "" for another way
	hint   string   // the kubeconfig's own words on how to install it
	files  []string // that say how: where they change, the login may work again
}

// Patience is how long a cluster may take to answer before people hear that it does not.
const Patience = 5 * time.Second

// quiet keeps client-go's own log out of the user's terminal; what it would say there is in our errors.
var quiet = sync.OnceFunc(func() {
	klog.SetLogger(klog.Logger{}) // without it errors go to standard error, whatever its other settings are
})

// Connect finds the namespace that a context ("": the current one) and a namespace ("": the context's) name. Nothing is
// sent yet.
func Connect(context, namespace string) (*Cluster, error) {
	quiet()
	config, rules, err := kubeconfig()
	if err != nil {
		return nil, err
	}
	if context == InCluster ||
		len(config.Contexts) == 0 && context == "" && os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return inCluster(namespace)
	}
	if context == "" {
		context = config.CurrentContext
	}
	if err := checkContext(config, rules, context); err != nil {
		return nil, err
	}
	overrides := &clientcmd.ConfigOverrides{}
	overrides.Context.Namespace = namespace
	client := clientcmd.NewNonInteractiveClientConfig(*config, context, overrides, rules)
	to, err := client.ClientConfig()
	if err != nil {
		return nil, unusable(context, err)
	}
	if namespace, _, err = client.Namespace(); err != nil {
		return nil, unusable(context, err)
	}
	return open(to, context, namespace)
}

// Find connects to what was pinned: by the address and certificate of the API server, in whichever context it is now.
func Find(pin Pin) (*Cluster, error) {
	quiet()
	if pin.Context == InCluster {
		return Connect(InCluster, pin.Namespace)
	}
	config, _, err := kubeconfig()
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(config.Contexts))
	for name := range config.Contexts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { // the context that it had first
		switch {
		case a == pin.Context:
			return -1
		case b == pin.Context:
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		c, err := Connect(name, pin.Namespace)
		if err == nil && c.Same(pin) {
			c.Context = pin.Context
			return c, nil
		}
	}
	return nil, goneFromKubeconfig(pin)
}

func kubeconfig() (*clientcmdapi.Config, *clientcmd.ClientConfigLoadingRules, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.WarnIfAllMissing = false
	config, err := rules.Load()
	if err != nil {
		return nil, nil, unreadable(rules, err)
	}
	return config, rules, nil
}

func inCluster(namespace string) (*Cluster, error) {
	to, err := rest.InClusterConfig()
	if err != nil {
		return nil, noAccount(err)
	}
	if namespace == "" {
		data, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
		if err != nil {
			return nil, noAccount(err)
		}
		namespace = strings.TrimSpace(string(data))
	}
	return open(to, InCluster, namespace)
}

func open(to *rest.Config, context, namespace string) (*Cluster, error) {
	files := append(clientcmd.NewDefaultClientConfigLoadingRules().GetLoadingPrecedence(), to.BearerTokenFile,
		to.CAFile, to.CertFile, to.KeyFile)
	to.QPS = -1 // the server says how much is too much
	to.UserAgent = "metaml/" + metaml.Version()
	to.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	to.ContentType = "application/vnd.kubernetes.protobuf"
	to.Dial = (&net.Dialer{Timeout: Patience - time.Second, KeepAlive: 15 * time.Second}).DialContext
	if err := rest.LoadTLSFiles(to); err != nil {
		return nil, unusable(context, err)
	}
	c := &Cluster{Pin: Pin{Context: context, Namespace: namespace, Server: to.Host}}
	c.login.files = slices.DeleteFunc(files, func(path string) bool { return path == "" })
	if len(to.CAData) > 0 {
		sum := sha256.Sum256(to.CAData)
		c.CA = hex.EncodeToString(sum[:])
	}
	if plugin := to.ExecProvider; plugin != nil {
		c.login.plugin, c.login.hint = plugin.Command, plugin.InstallHint
		c.login.files = append(c.login.files, keptBy(plugin.Command)...)
		plugin.StdinUnavailable = true
		plugin.StdinUnavailableMessage = "nobody can answer it here"
	}
	var err error
	if c.gate, err = newGate(to); err != nil {
		return nil, unusable(context, err)
	}
	if c.upgrader, err = newUpgrader(to, c.gate); err != nil {
		return nil, unusable(context, err)
	}
	c.anonymous = sync.OnceValues(func() (http.RoundTripper, error) {
		return rest.TransportFor(rest.AnonymousClientConfig(to))
	})
	if err := c.clients(to, &http.Client{Transport: c.gate}); err != nil {
		return nil, unusable(context, err)
	}
	return c, nil
}

func (c *Cluster) clients(to *rest.Config, client *http.Client) (err error) {
	if c.Core, err = NewCore(to, client); err != nil {
		return err
	}
	batch, err := group(to, client, "/apis", batchv1.SchemeGroupVersion)
	if err != nil {
		return err
	}
	c.Batch = &Batch{batch}
	apps, err := group(to, client, "/apis", appsv1.SchemeGroupVersion)
	if err != nil {
		return err
	}
	c.Apps = &Apps{apps}
	policy, err := group(to, client, "/apis", policyv1.SchemeGroupVersion)
	if err != nil {
		return err
	}
	c.Policy = &Policy{policy}
	autoscaling, err := group(to, client, "/apis", autoscalingv2.SchemeGroupVersion)
	if err != nil {
		return err
	}
	c.Autoscaling = &Autoscaling{autoscaling}
	if c.authentication, err = group(to, client, "/apis", authenticationv1.SchemeGroupVersion); err != nil {
		return err
	}
	c.authorization, err = group(to, client, "/apis", authorizationv1.SchemeGroupVersion)
	return err
}

// User is who the API server says that we are.
func (c *Cluster) User(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	review, err := into[authenticationv1.SelfSubjectReview](ctx,
		c.authentication.Post().Resource("selfsubjectreviews").Body(&authenticationv1.SelfSubjectReview{}))
	if err != nil {
		return "", c.Explain(err, "ask who you are")
	}
	return review.Status.UserInfo.Username, nil
}

// oldest is the first minor version of Kubernetes 1 whose Jobs count failures by index without a feature gate
// (kubernetes.io, "Feature Gates": JobBackoffLimitPerIndex).
const oldest = 29

// Version checks that the API server is new enough.
func (c *Cluster) Version(ctx context.Context) (run.Check, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	data, err := c.Core.RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return run.Check{}, c.Explain(err, "ask for its version")
	}
	var is version.Info
	if err := json.Unmarshal(data, &is); err != nil {
		return run.Check{}, fmt.Errorf("read the version of cluster %s: %w", c.Context, err)
	}
	check := run.Check{Name: "cluster", OK: true, Text: "Kubernetes " + is.GitVersion}
	minor, err := strconv.Atoi(strings.TrimRight(is.Minor, "+"))
	if err == nil && is.Major == "1" && minor < oldest {
		check.OK, check.Remedy = false, fmt.Sprintf("MetaML needs Kubernetes 1.%d or newer.", oldest)
	}
	return check, nil
}

// CheckVersion refuses an API server that is too old. One that does not say its version is taken for new enough.
func (c *Cluster) CheckVersion(ctx context.Context) error {
	is, err := c.Version(ctx)
	if err != nil || is.OK {
		return nil //nolint:nilerr // the other requests say what is wrong
	}
	return usererror.New(usererror.CodeTarget, "cluster %s runs %s, which is too old", c.Context, is.Text).
		With("%s", is.Remedy)
}
