package kube

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// destination is where an image goes that is made for this place.
type destination struct {
	to     publish.Publisher
	loaded bool // onto the nodes: the program is not in it, since each edit would be loaded whole
	folder string
	client *registry.Client
}

func newDestination() (*destination, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find a folder for what images are made of: %w", err)
	}
	folder := filepath.Join(caches, "metaml", "images")
	return &destination{folder: folder, client: &registry.Client{Folder: filepath.Join(folder, "registries")}}, nil
}

// inRegistry is what images are called in a registry that a cluster names, unless image_name says it.
const inRegistry = "metaml/environments"

// destination finds where images go: the nodes, if a tool is named that loads them; the repository that is named; else
// the registry that the cluster names, or the nodes of a local cluster.
func (p *Place) destination(ctx context.Context) (*destination, error) {
	d, err := newDestination()
	if err != nil {
		return nil, err
	}
	s := p.settings
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	pushed, pulled := s.Repository(), s.Text("pull_repository")
	loads := s.Has("load") || !s.Bool("publish")
	if !s.Has("repository") && !loads {
		if p.cluster == nil {
			return nil, settings.NeedsPlaceForImage(s)
		}
		hosted := p.hosting(ctx)
		var named string
		inPod := p.cluster.Context == cluster.InCluster
		pushed, named = hosted.Repository(cmp.Or(s.Text("image_name"), inRegistry), inPod)
		pulled = cmp.Or(pulled, named)
	}
	if pushed != "" && !loads {
		to, err := publish.NewRegistry(d.client, pushed)
		if err == nil && pulled != "" {
			to, err = to.PulledAs("--pull-repository", pulled)
		}
		d.to = to
		return d, err
	}
	if err := d.load(ctx, p); err != nil {
		return nil, err
	}
	return d, nil
}

// warning says, before the first image goes into a repository, that everybody may read it there; else it is "".
func (d *destination) warning() string {
	to, is := d.to.(*publish.Registry)
	if !is || !registry.Public(to.Repository().Registry) {
		return ""
	}
	sum := sha256.Sum256([]byte(to.String()))
	said := filepath.Join(d.folder, "made", "public-"+hex.EncodeToString(sum[:8]))
	if os.MkdirAll(filepath.Dir(said), 0o700) != nil {
		return ""
	}
	f, err := os.OpenFile(said, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil { // it was said
		return ""
	}
	_ = f.Close() // that it is there is all
	host := registry.Called(to.Repository().Registry)
	return fmt.Sprintf("%s makes new repositories public, and the image has the notebook's code: make %s private "+
		"there first, unless everybody may read it", host, to)
}

// load finds the tool that loads images onto the nodes.
func (d *destination) load(ctx context.Context, p *Place) error {
	s := p.settings
	if p.cluster == nil {
		return usererror.New(usererror.CodeImage, "no cluster is known whose nodes an image could be loaded onto").
			With("Name a repository: --repository REGISTRY/NAME.")
	}
	nodes, _ := p.cluster.Core.Nodes().List(ctx, metav1.ListOptions{Limit: 500}) // they may not be read
	tool := publish.Recognize(p.cluster.Context, about(nodes), p.environ)
	if s.Has("load") {
		if tool == nil || tool.Name != s.Text("load") {
			_, named, _ := strings.Cut(p.cluster.Context, "-")
			tool = &publish.Tool{Environ: p.environ, Cluster: cmp.Or(named, p.cluster.Context)}
		}
		tool.Name = s.Text("load")
	}
	if tool == nil {
		if !s.Bool("publish") {
			return usererror.New(usererror.CodeImage, "the nodes of context %s can have an image from a registry "+
				"alone, and --no-publish sends it to none", p.cluster.Context).
				With("Leave --no-publish out, or name the tool that loads images onto them: --load TOOL.")
		}
		return settings.NeedsPlaceForImage(s)
	}
	d.to, d.loaded = &publish.Nodes{Loader: tool, Have: p.have}, true
	return nil
}

// hosting is what the cluster says of a registry of its own; nothing where it may not be read.
func (p *Place) hosting(ctx context.Context) *publish.Hosting {
	maps := p.cluster.Core.ConfigMaps(publish.HostingNamespace)
	object, err := maps.Get(ctx, publish.HostingName, metav1.GetOptions{})
	if err == nil {
		if h, err := publish.ParseHosting(object.Data[publish.HostingKey]); err == nil {
			return h
		}
	}
	return &publish.Hosting{}
}

// examineImage says where an image goes that is made. Where the settings say it no cluster is needed, which may be nil.
func examineImage(ctx context.Context, c *cluster.Cluster, s *settings.Resolved) run.Check {
	const made = "made of the packages that the session has, for "
	err := settings.NeedsPlaceForImage(s)
	if c == nil && err != nil {
		return failed("image", err)
	}
	if c == nil && s.Has("repository") {
		return run.Check{Name: "image", OK: true, Text: made + s.Repository()}
	}
	d, err := (&Place{cluster: c, settings: s, environ: os.Environ()}).destination(ctx)
	if err != nil {
		return failed("image", err)
	}
	return run.Check{Name: "image", OK: true, Text: made + d.to.String()}
}

func about(nodes *corev1.NodeList) []publish.Node {
	if nodes == nil {
		return nil
	}
	all := make([]publish.Node, len(nodes.Items))
	for i := range nodes.Items {
		n := &nodes.Items[i]
		all[i] = publish.Node{
			Name: n.Name, ProviderID: n.Spec.ProviderID, Labels: n.Labels,
			Runtime: n.Status.NodeInfo.ContainerRuntimeVersion,
		}
	}
	return all
}

// have reports whether all nodes have an image, as their kubelets say: of each the 50 largest.
func (p *Place) have(ctx context.Context, reference string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	nodes, err := p.cluster.Core.Nodes().List(ctx, metav1.ListOptions{Limit: 500})
	if err != nil || len(nodes.Items) == 0 {
		return false
	}
	return !slices.ContainsFunc(nodes.Items, func(n corev1.Node) bool {
		return !slices.ContainsFunc(n.Status.Images, func(i corev1.ContainerImage) bool {
			return slices.Contains(i.Names, reference)
		})
	})
}
