// Package manifest makes the objects of a run on Kubernetes: the owner that everything belongs to, the table, the
// program, the agent, the Indexed Job and the monitor. It is pure: the same input gives the same objects, and nothing
// is sent.
//
// Read [Run] and [Job] first. It imports deployer/run, deployer/pod, deployer/settings and the Kubernetes API types.
package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/run"
)

// The labels of our objects.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by" // "metaml" on every object
	LabelComponent = "app.kubernetes.io/component"  // what the object is: see the components
	LabelRun       = "metaml/run"                   // name of the run
	LabelSeries    = "metaml/series"                // name of its series
	LabelKind      = "metaml/kind"                  // train or serve
	LabelKey       = "metaml/key"                   // the first 40 digits of the run key
	LabelUser      = "metaml/user"                  // the first 40 hex digits of the user's sha256
	LabelServer    = "metaml/server"                // of a server's owner: whose, of which notebook and function
	LabelRevision  = "metaml/revision"              // of a server, from 1
	LabelQueue     = "kueue.x-k8s.io/queue-name"    // of a Job that Kueue is to start
)

// ManagedBy is the value of [LabelManagedBy].
const ManagedBy = "metaml"

// The components, values of [LabelComponent].
const (
	ComponentRun     = "run"     // the owner: ConfigMap with run.json
	ComponentTable   = "table"   // ConfigMap with the hyperparameters
	ComponentProgram = "program" // ConfigMap with a part of the program
	ComponentModel   = "model"   // ConfigMap with a part of a server's model
	ComponentKey     = "key"     // Secret with the key of expected.json
	ComponentPull    = "pull"    // Secret with the login for the image's registry
	ComponentToken   = "token"   // Secret with what callers of a server must have
	ComponentRows    = "rows"    // ConfigMap that maps the indexes of a resumed run's Job
	ComponentAgent   = "agent"   // ConfigMap with a part of metaml-pod or metaml-monitor, shared by runs
	ComponentTrial   = "trial"   // Job and pods
	ComponentRecord  = "record"  // ConfigMap with the record of the run, as far as somebody followed it
	ComponentServer  = "server"  // Deployment, Service, PodDisruptionBudget and pods of a server
	// ConfigMap with run.json of a revision of a server, to which what else it needs belongs
	ComponentRevision = "revision"
	ComponentMonitor  = "monitor" // Service, Job and pod of what collects the trials' files while they run
)

// The annotations of the owner.
const (
	AnnotationUser    = "metaml/user-name" // who submitted the run, as the API server calls them
	AnnotationResumed = "metaml/resumed"   // the run was resumed, at least once
)

// AnnotationAnswered is on a revision of a server that has answered.
const AnnotationAnswered = "metaml/answered"

// AnnotationComplete is on what the parts of the agent belong to, once all of them are there.
const AnnotationComplete = "metaml/complete"

// AnnotationPlacement is on a Job that a queue is to start: where the run itself asks its pods to be placed, as JSON of
// [placement].
const AnnotationPlacement = "metaml/placement"

// TrialsOf selects the Jobs and pods of a run's trials.
func TrialsOf(run string) string {
	return LabelRun + "=" + run + "," + LabelComponent + "=" + ComponentTrial
}

// ServerOf selects the pods of a server.
func ServerOf(run string) string {
	return LabelRun + "=" + run + "," + LabelComponent + "=" + ComponentServer
}

// ProgramOf selects the parts of the program of a run.
func ProgramOf(run string) string {
	return LabelRun + "=" + run + "," + LabelComponent + "=" + ComponentProgram
}

// RevisionsOf selects the revisions of a server.
func RevisionsOf(run string) string {
	return LabelRun + "=" + run + "," + LabelComponent + "=" + ComponentRevision
}

// ServerLabel is the value of [LabelServer]: the same for all revisions of a server (docs/reference/rules.md §5). What
// leaves this machine of a notebook is its name alone, and the digest of where it is.
func ServerLabel(spec *run.Spec) string {
	return digest40(spec.Owner + "\x00" + spec.Source + "\x00" + spec.Series)
}

// UserLabel is the value of [LabelUser]: a label cannot hold every user name.
func UserLabel(user string) string { return digest40(user) }

// KeyLabel is the value of [LabelKey].
func KeyLabel(key string) string { return key[:min(len(key), 40)] }

func digest40(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:40]
}

// OwnedBy is the reference by which the owner's deletion deletes an object.
func OwnedBy(owner *corev1.ConfigMap) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}
}

// BelongsTo reports whether an object has that reference.
func BelongsTo(o *metav1.ObjectMeta, owner *corev1.ConfigMap) bool {
	return slices.ContainsFunc(o.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == owner.UID })
}

// serverMeta is that of an object beside the Deployment of a server, which is called as its owner. An owner that was
// never made owns nothing.
func serverMeta(owner *corev1.ConfigMap) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Name: owner.Name, Namespace: owner.Namespace,
		Labels: merged(owner.Labels, map[string]string{LabelComponent: ComponentServer}),
	}
	delete(m.Labels, LabelServer)
	if owner.UID != "" {
		m.OwnerReferences = []metav1.OwnerReference{OwnedBy(owner)}
	}
	return m
}
