package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/internal/usererror"
)

// Loader brings an archive of an image, as `docker save` writes it, onto all nodes of a cluster.
type Loader interface {
	Load(ctx context.Context, archive string) error
	// String names it and its cluster, for people: "kind cluster dev".
	String() string
}

// Nodes are the nodes of a cluster that pulls from no registry of ours: images are loaded onto them.
type Nodes struct {
	Loader Loader
	// Have reports whether all nodes have an image.
	Have func(ctx context.Context, reference string) bool
}

var _ Publisher = (*Nodes)(nil)

// onNodes is the repository of images that are loaded. No registry has the name: what is not on a node is not found
// elsewhere.
const onNodes = "metaml.local/environments"

// Has implements [Publisher].
func (n *Nodes) Has(ctx context.Context, digest v1.Hash) bool {
	return n.Have(ctx, n.Reference(digest))
}

// Publish implements [Publisher]. The image has its name by its digest alone.
func (n *Nodes) Publish(ctx context.Context, image v1.Image, _ string, progress func(sent, all int64)) (err error) {
	digest, err := image.Digest()
	if err != nil {
		return fmt.Errorf("load the image onto the nodes: %w", err)
	}
	named, err := name.NewTag(n.Reference(digest))
	if err != nil {
		return fmt.Errorf("load the image onto the nodes: %w", err)
	}
	archive, err := os.CreateTemp("", "metaml-image-*.tar")
	if err != nil {
		return fmt.Errorf("make room for the image: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(archive.Name())) }()
	updates, ended := make(chan v1.Update), make(chan struct{})
	go func() { // ends when the archive is written
		defer close(ended)
		for u := range updates {
			if u.Error == nil && progress != nil {
				progress(u.Complete, u.Total)
			}
		}
	}()
	err = tarball.Write(named, image, archive, tarball.WithProgress(updates))
	close(updates)
	<-ended
	if err := errors.Join(err, archive.Close()); err != nil {
		if failed, is := errors.AsType[*fs.PathError](err); is {
			return usererror.Wrap(err, usererror.CodeUnwritable, fmt.Sprintf("cannot pack the image in %s: %v",
				os.TempDir(), failed.Err), "TMPDIR names another folder, with room for it.")
		}
		return registry.Explain(err, "pack the image for the nodes", "of its base")
	}
	return n.Loader.Load(ctx, archive.Name())
}

// Tag implements [Publisher]: nothing cleans nodes by names.
func (n *Nodes) Tag(context.Context, v1.Image, string) error { return nil }

// Reference implements [Publisher].
func (n *Nodes) Reference(digest v1.Hash) string {
	return onNodes + ":" + digest.Hex[:min(len(digest.Hex), 24)]
}

func (n *Nodes) String() string { return "the nodes of " + n.Loader.String() }

// Node is what tells of a node which local cluster it belongs to.
type Node struct {
	Name, ProviderID string
	Labels           map[string]string
	Runtime          string // "containerd://2.1.4", "docker://28.0.1"
}

// Tools are the words for the programs that load images.
var Tools = []string{"kind", "k3d", "minikube", "docker", "nerdctl", "ctr"}

// Tool loads images by a program of a local cluster.
type Tool struct {
	Name    string   // one of [Tools]
	Cluster string   // as the tool calls it; of some it has one alone
	Environ []string // in which it runs
}

var _ Loader = (*Tool)(nil)

// Recognize says by which tool images get onto the nodes of a local cluster, or nil. Nodes may be none where they
// cannot be read: then the name of the context is all there is.
func Recognize(context string, nodes []Node, environ []string) *Tool {
	all := func(is func(Node) bool) bool {
		return len(nodes) == 0 || !slices.ContainsFunc(nodes, func(n Node) bool { return !is(n) })
	}
	tool := func(named, cluster string) *Tool { return &Tool{Name: named, Cluster: cluster, Environ: environ} }
	if len(nodes) > 0 {
		// kind://PROVIDER/CLUSTER/NODE, whatever the context is called.
		if parts := strings.Split(nodes[0].ProviderID, "/"); strings.HasPrefix(nodes[0].ProviderID, "kind://") &&
			len(parts) >= 5 {
			return tool("kind", parts[3])
		}
		if profile := nodes[0].Labels["minikube.k8s.io/name"]; profile != "" {
			return tool("minikube", profile)
		}
	}
	if cluster, is := strings.CutPrefix(context, "k3d-"); is &&
		all(func(n Node) bool { return strings.HasPrefix(n.Name, context+"-") }) {
		return tool("k3d", cluster)
	}
	if cluster, is := strings.CutPrefix(context, "kind-"); is && len(nodes) == 0 {
		return tool("kind", cluster)
	}
	switch context {
	case "minikube":
		if len(nodes) == 0 {
			return tool("minikube", context)
		}
	case "docker-desktop":
		if all(func(n Node) bool { return n.Name == "docker-desktop" }) {
			return tool("docker", "Docker Desktop")
		}
	case "rancher-desktop":
		if !all(func(n Node) bool { return n.Name == "lima-rancher-desktop" || n.Name == "rancher-desktop" }) {
			return nil
		}
		if len(nodes) > 0 && strings.HasPrefix(nodes[0].Runtime, "docker://") {
			return tool("docker", "Rancher Desktop")
		}
		return tool("nerdctl", "Rancher Desktop")
	}
	return nil
}

func (t *Tool) String() string {
	switch t.Name {
	case "docker", "nerdctl", "ctr":
		if t.Cluster == "" {
			return "the cluster, by " + t.Name
		}
		return t.Cluster
	}
	return t.Name + " cluster " + t.Cluster
}

// command is how the tool loads an archive.
func (t *Tool) command(archive string) []string {
	switch t.Name {
	case "kind":
		return []string{"kind", "load", "image-archive", archive, "--name", t.Cluster}
	case "k3d":
		return []string{"k3d", "image", "import", archive, "--cluster", t.Cluster}
	case "minikube":
		return []string{"minikube", "image", "load", archive, "--profile", t.Cluster}
	case "nerdctl":
		return []string{"nerdctl", "--namespace", "k8s.io", "load", "--input", archive}
	case "ctr":
		return []string{"ctr", "--namespace", "k8s.io", "images", "import", archive}
	}
	return []string{"docker", "load", "--input", archive}
}

// Load implements [Loader].
func (t *Tool) Load(ctx context.Context, archive string) error {
	argv := t.command(archive)
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Env = t.Environ
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	err := c.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return usererror.Wrap(err, usererror.CodeImage,
			fmt.Sprintf("%s, which loads images onto the nodes of %s, is not on the PATH", t.Name, t),
			"Install it, or name a repository that the nodes can pull from: --repository REGISTRY/NAME.")
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	return usererror.Wrap(err, usererror.CodeImage,
		fmt.Sprintf("%s cannot load the image onto the nodes of %s: %s", t.Name, t, lines[len(lines)-1]),
		"Try it with an image of your own: "+strings.Join(t.command("ARCHIVE"), " ")+".")
}
