package kube

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// exportedServer stands above the objects of a server. Nobody follows it, so nobody does what a follower does.
const exportedServer = `# Server %[1]s on Kubernetes.
# kubectl apply -f FILE starts it, and kubectl delete -f FILE removes all of it.
# Programs in the cluster ask it on its Service; kubectl port-forward service/%[1]s 8080:%[2]d gives it an address here.
#
# MetaML does not follow it: metaml runs does not list it, its logs are kubectl's, and when its pods never get ready
# nobody deletes them. Another version of it is applied after this one was deleted, or has another --name.
`

// lockedServer follows that of a server which asks for a token: what is printed is no place for one.
const lockedServer = `#
# Requests must have a token, and its pods start once there is one:
# kubectl create secret generic %s --namespace %s --from-literal=token="$(openssl rand -hex 32)"
`

// exportServer writes the objects of a server, which is called as its series: so no server that is submitted has its
// name. What belongs to the owner of such a server stands by itself here, and there is no owner: whoever applied it
// deletes it.
func exportServer(load shipment, monitored bool) ([]byte, error) {
	r := load.run
	r.Spec.Name = r.Spec.Series
	server := *r.Spec.Server
	server.Revision = 1
	server.Hosts = withNames(server.Hosts, manifest.Names(r.Spec.Name, r.Namespace), manifest.ReachHosts(&server))
	r.Spec.Server = &server
	program, model, agent := split(load.program), split(load.model), split(load.agent)
	r.Programs, r.Models, r.Agent.Parts = len(program), len(model), len(agent)
	revision, err := r.Revision(nil)
	if err != nil {
		return nil, err
	}
	objects := []any{revision}
	for i, part := range program {
		objects = append(objects, r.Program(nil, i, part))
	}
	for i, part := range model {
		objects = append(objects, r.Model(nil, i, part))
	}
	for i, part := range agent {
		objects = append(objects, r.AgentPart(nil, r.Agent, i, part))
	}
	service, replicas := r.Service(nil), server.Wanted()
	objects = append(objects, service, r.Budget(nil))
	owner, err := r.Owner() // it is not printed: others have its name and its labels
	if err != nil {
		return nil, err
	}
	objects = append(objects, outside(owner, &server, service)...)
	deployment, err := r.Deployment(nil, replicas)
	if err != nil {
		return nil, err
	}
	if replicas.Ranged() {
		objects = append(objects, manifest.Autoscaler(owner, replicas))
		deployment.Spec.Replicas = nil // else kubectl apply would take back what the autoscaler has chosen
	}
	if deployment.Spec.Template.Annotations == nil {
		deployment.Spec.Template.Annotations = map[string]string{}
	}
	for name, value := range scraped {
		if _, is := deployment.Spec.Template.Annotations[name]; !is { // --pod-template goes before it
			deployment.Spec.Template.Annotations[name] = value
		}
	}
	objects = append(objects, deployment)
	if monitored {
		objects = append(objects, serviceMonitor(service))
	}
	comment := fmt.Sprintf(exportedServer, r.Spec.Name, service.Spec.Ports[0].Port)
	if server.Locked() {
		comment += fmt.Sprintf(lockedServer, manifest.ServerTokenName(r.Spec.Name), r.Namespace)
	}
	return documents(comment, objects)
}

// outside gives what leads callers outside of the cluster to the Service of a server.
func outside(owner *corev1.ConfigMap, s *run.ServerSpec, service *corev1.Service) []any {
	switch manifest.WayOf(s) {
	case manifest.ByLoadBalancer:
		service.Spec.Type = corev1.ServiceTypeLoadBalancer
	case manifest.ByIngress:
		return []any{manifest.Ingress(owner, s)}
	case manifest.ByRoute:
		return []any{manifest.Route(owner, s)}
	}
	return nil
}

// serviceMonitor says to the Prometheus Operator where the metrics of a server's pods are. Its kind is no part of
// Kubernetes, so it is written as what its YAML is.
func serviceMonitor(of *corev1.Service) map[string]any {
	return map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor",
		"metadata": map[string]any{"name": of.Name, "namespace": of.Namespace, "labels": of.Labels},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": of.Spec.Selector}, // the Service has these labels, too
			"endpoints": []any{map[string]any{
				"port": of.Spec.Ports[0].Name, "path": scraped["prometheus.io/path"],
			}},
		},
	}
}

// scraped are the annotations by which a Prometheus that looks for them finds the metrics of pods.
var scraped = map[string]string{
	"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics",
	"prometheus.io/port": strconv.Itoa(pod.ServerPort),
}
