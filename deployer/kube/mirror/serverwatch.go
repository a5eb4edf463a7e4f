package mirror

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/metaml/metaml/deployer/kube/manifest"
)

// serverWatching is what informers hold of a server's objects.
type serverWatching struct {
	informers
	owners, deployments, pod cache.SharedIndexInformer
}

// watchServer starts the informers of a server, until ctx ends.
func (v *server) watchServer(ctx context.Context) *serverWatching {
	ns, c, pick := v.cluster.Namespace, v.cluster, manifest.ServerOf(v.name)
	w := &serverWatching{}
	w.owners = v.informOwners(&w.informers)
	w.deployments = inform(&w.informers, v.wake, c.Apps.Deployments(ns), pick, unmanaged, nil)
	w.pod = inform(&w.informers, v.wake, c.Core.Pods(ns), pick, unmanaged, nil)
	w.start(ctx)
	return w
}

// seen is what the informers hold now.
func (w *serverWatching) seen(v *server) serverSeen {
	s := serverSeen{now: time.Now(), owner: v.ownerIn(w.owners)}
	if s.owner == nil {
		return s
	}
	for _, d := range stored[appsv1.Deployment](w.deployments) {
		if d.Name == v.name {
			s.deployment = d
		}
	}
	s.pods = stored[corev1.Pod](w.pod)
	return s
}
