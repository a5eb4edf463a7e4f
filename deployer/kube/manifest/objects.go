package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// Run is a run as its objects need it.
type Run struct {
	Spec      run.Spec // its name is without the place
	Namespace string
	User      string // as the API server calls them
	Requires  pod.Requires
	Options   Options
	Agent     Agent    // metaml-pod, or metaml-server
	Address   string   // "IP:PORT" of a server's Service; known once that is made
	Monitor   *Monitor // nil: nothing is collected
	Programs  int      // parts of the program
	Lock      string   // the packages of the image, as a requirements file; "": none was made
	Models    int      // parts of a server's model that come with it
	ModelAt   string   // folder in which its image has the model; ""
	ModelOn   *Volume  // where it is on a volume; nil
	InImage   bool     // the image has the program; the parts have what else there is

	// Exported is a run that somebody else makes, by kubectl apply. It shares no object with other runs, and has no
	// Secret. What only the cluster can say of it is left to the cluster: its identity, when it was made, and what
	// belongs to its owner, which its labels say instead.
	Exported bool
}

// Volume is a folder of a PersistentVolumeClaim, which is read.
type Volume struct {
	Claim string
	Path  string // of the folder on the volume
}

// Agent says which build of a program of ours pods are started with.
type Agent struct {
	Program pod.Program
	Arch    string // GOARCH of the nodes
	Digest  string // hex sha256 of the program, compressed
	Parts   int    // ConfigMaps that hold it
}

// The names of a run's objects follow from the run's.

// TableName is the name of the ConfigMap with the hyperparameters.
func TableName(run string) string { return run + "-table" }

// ProgramName is the name of the ConfigMap with part i of the program.
func ProgramName(run string, i int) string { return fmt.Sprintf("%s-program-%d", run, i) }

// ModelName is the name of the ConfigMap with part i of the model of a revision.
func ModelName(revision string, i int) string { return fmt.Sprintf("%s-model-%d", revision, i) }

// KeyName is the name of the Secret with the key of expected.json.
func KeyName(run string) string { return run + "-key" }

// PullName is the name of the Secret with the login for the registry of the image.
func PullName(run string) string { return run + "-pull" }

// ServerTokenName is the name of the Secret with what callers of a server must have. It is the server's, not a
// revision's.
func ServerTokenName(server string) string { return server + "-token" }

// JobName is the name of the Job of a run that was resumed so often.
func JobName(run string, resumed int) string {
	if resumed == 0 {
		return run
	}
	return fmt.Sprintf("%s-r%d", run, resumed)
}

// RevisionName is the name of the ConfigMap with a revision of a server.
func RevisionName(run string, revision int) string { return fmt.Sprintf("%s-v%d", run, revision) }

// holder is the name of the ConfigMap with run.json, from which the names of what else pods need follow: the owner, or
// a server's revision.
func (r *Run) holder() string {
	if r.Spec.Kind == run.Serve {
		return RevisionName(r.Spec.Name, r.Spec.Server.Revision)
	}
	return r.Spec.Name
}

// RecordName is the name of the ConfigMap with the record of a run.
func RecordName(run string) string { return run + "-record" }

// RowsName is the name of the ConfigMap with the rows of a resumed run's Job.
func RowsName(job string) string { return job + "-rows" }

// OwnerName is the name of the ConfigMap that the parts of the agent belong to: the same for all runs of a namespace
// with this build.
func (a Agent) OwnerName() string { return fmt.Sprintf("%s-%s-%s", a.Program, a.Arch, a.Digest[:16]) }

// Name is the name of the ConfigMap with part i of the agent.
func (a Agent) Name(i int) string { return fmt.Sprintf("%s-%d", a.OwnerName(), i) }

// AgentName is the name of the ConfigMap with part i of a program that the run's pods use.
func (r *Run) AgentName(a Agent, i int) string {
	if r.Exported {
		return fmt.Sprintf("%s-agent-%d", r.Spec.Name, i)
	}
	return a.Name(i)
}

func labels(spec *run.Spec, user, component string) map[string]string {
	return map[string]string{
		LabelManagedBy: ManagedBy, LabelComponent: component, LabelRun: spec.Name, LabelSeries: spec.Series,
		LabelKind: string(spec.Kind), LabelKey: KeyLabel(spec.Key), LabelUser: UserLabel(user),
	}
}

func (r *Run) meta(name, component string, owner *corev1.ConfigMap) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, Namespace: r.Namespace, Labels: labels(&r.Spec, r.User, component)}
	if owner != nil {
		m.OwnerReferences = []metav1.OwnerReference{OwnedBy(owner)}
	}
	return m
}

// Public is what leaves this machine of a run's spec: not where it was submitted, nor what is there.
func Public(spec run.Spec) run.Spec {
	spec.Python, spec.Cwd, spec.Path, spec.BootID, spec.Notify, spec.Env = "", "", nil, "", "", nil
	spec.Source = path.Base(spec.Source)
	if spec.Server != nil {
		spec.Server = new(*spec.Server)
		spec.Server.ModelFolder = ""
	}
	public := make([]run.Setting, len(spec.Settings))
	for i, s := range spec.Settings {
		if d, ok := settings.Lookup(s.Name); ok && d.Type == settings.LocalFile {
			s.Value = path.Base(s.Value)
		}
		if s.Origin != "" {
			s.Origin = path.Base(s.Origin) // of a file: its name, and the line
		}
		public[i] = s
	}
	spec.Settings = public
	return spec
}

// Owner is the object that all others of the run belong to. Who makes it has the run's name. Of a server its run.json
// is that of the revision that was submitted last.
func (r *Run) Owner() (*corev1.ConfigMap, error) {
	m := r.meta(r.Spec.Name, ComponentRun, nil)
	if r.Spec.Kind == run.Serve {
		m.Labels[LabelServer] = ServerLabel(&r.Spec)
	}
	return r.described(m)
}

// described is an object with what is run.
func (r *Run) described(m metav1.ObjectMeta) (*corev1.ConfigMap, error) {
	public := Public(r.Spec)
	if r.Exported {
		public.ID, public.Created = "", time.Time{}
	}
	spec, err := json.Marshal(public)
	if err != nil {
		return nil, fmt.Errorf("write the run's description: %w", err)
	}
	requires, err := json.Marshal(r.Requires)
	if err != nil {
		return nil, fmt.Errorf("write what the run requires: %w", err)
	}
	m.Annotations = map[string]string{AnnotationUser: r.User}
	data := map[string]string{pod.SpecName: string(spec), pod.RequiresName: string(requires)}
	if r.Lock != "" && len(r.Lock) <= maxLock {
		data[pod.LockName] = r.Lock
	}
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: m, Data: data,
	}, nil
}

// maxLock bounds the list of packages, in bytes: what stops and resumes a run has to be in the same object.
const maxLock = 256 << 10

// ReadOwner reads the spec of a run from its owner.
func ReadOwner(owner *corev1.ConfigMap) (run.Spec, error) { return ReadOwnerOf(owner, owner.Name) }

// ReadOwnerOf reads the spec of a run, or of a revision of a server, from an object that belongs to it.
func ReadOwnerOf(owner *corev1.ConfigMap, name string) (run.Spec, error) {
	var spec run.Spec
	if err := json.Unmarshal([]byte(owner.Data[pod.SpecName]), &spec); err != nil {
		return spec, fmt.Errorf("read the description of run %s: %w", owner.Name, err)
	}
	if spec.Name != name || spec.Completions < 0 || spec.Kind != run.Serve && spec.Completions > MaxCompletions ||
		spec.Kind == run.Serve && spec.Server == nil {
		return spec, fmt.Errorf("the description of run %s is damaged", name)
	}
	spec = Public(spec) // whoever may write there is not to name what is executed here
	if spec.ID == "" {  // it was exported, and may be made and deleted again and again
		spec.ID, spec.Created = string(owner.UID), owner.CreationTimestamp.UTC()
	}
	return spec, nil
}

// MaxCompletions bounds the trials of one run on Kubernetes.
const MaxCompletions = 1000

// MaxTable bounds the hyperparameters of one run, in bytes as JSON: a ConfigMap has at most 1 MiB.
const MaxTable = 900 << 10

// Table is the run's hyperparameters as JSON lines.
func Table(rows []run.Row) ([]byte, error) {
	var b bytes.Buffer
	for i, row := range rows {
		line, err := folder.FormatRow(row)
		if err != nil {
			return nil, fmt.Errorf("write row %d of the hyperparameters: %w", i, err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// TableObject holds the hyperparameters, which never change.
func (r *Run) TableObject(owner *corev1.ConfigMap, table []byte) *corev1.ConfigMap {
	return r.file(TableName(r.Spec.Name), ComponentTable, owner, pod.TableName, table)
}

// Program holds a part of the program.
func (r *Run) Program(owner *corev1.ConfigMap, i int, part []byte) *corev1.ConfigMap {
	return r.file(ProgramName(r.holder(), i), ComponentProgram, owner, pod.ProgramPart(i), part)
}

// Model holds a part of a server's model.
func (r *Run) Model(owner *corev1.ConfigMap, i int, part []byte) *corev1.ConfigMap {
	return r.file(ModelName(r.holder(), i), ComponentModel, owner, pod.ModelPart(i), part)
}

// OutputOn is the folder in which a trial's files are kept on a volume, of the run of a spec.
func OutputOn(m *settings.Mount, namespace string, spec run.Spec, trial int) *Volume {
	r := &Run{Spec: spec, Namespace: namespace}
	return &Volume{Claim: m.Claim, Path: folder.Run(r.folderOn(m, "/")).Output(trial)[1:]}
}

// RecordKey is the file of the record in its ConfigMap.
const RecordKey = "record.tar.gz"

// Record holds what is known of the run's trials, for when their pods, and whoever followed them, are gone.
func Record(owner *corev1.ConfigMap, data []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name: RecordName(owner.Name), Namespace: owner.Namespace,
			Labels:          merged(owner.Labels, map[string]string{LabelComponent: ComponentRecord}),
			OwnerReferences: []metav1.OwnerReference{OwnedBy(owner)},
		},
		BinaryData: map[string][]byte{RecordKey: data},
	}
}

// Key holds the key under which the values of expected.json are compared, the token of the run's monitor, and the
// variables of the session that are secret.
func (r *Run) Key(owner *corev1.ConfigMap, key string) *corev1.Secret {
	yes := true
	data := map[string][]byte{keyName: []byte(key)}
	if r.Monitor != nil {
		data[TokenName] = []byte(r.Monitor.Token)
	}
	for name, value := range r.Options.SessionSecrets {
		data[sessionPrefix+name] = []byte(value)
	}
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: r.meta(KeyName(r.holder()), ComponentKey, owner), Immutable: &yes,
		Data: data,
	}
}

// Pull holds the login by which nodes pull the image.
func (r *Run) Pull(owner *corev1.ConfigMap) *corev1.Secret {
	yes := true
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: r.meta(PullName(r.holder()), ComponentPull, owner), Immutable: &yes,
		Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: r.Options.PullLogin},
	}
}

// ServerToken holds what callers of a server must have. All its revisions have the same one.
func (r *Run) ServerToken(owner *corev1.ConfigMap, token string) *corev1.Secret {
	yes := true
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: r.meta(ServerTokenName(r.Spec.Name), ComponentToken, owner), Immutable: &yes,
		Data: map[string][]byte{pod.TokenName: []byte(token)},
	}
}

// The keys of the run's Secret.
const (
	keyName       = "key"
	TokenName     = "monitor-token"
	sessionPrefix = "env." // of a variable's name
)

// AgentOwner is what the parts of a program belong to. It belongs to every run that uses them: a run is added to what
// is small, since the API server reads and writes all of an object whose owners change.
func (r *Run) AgentOwner(owner *corev1.ConfigMap, a Agent) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name: a.OwnerName(), Namespace: r.Namespace,
			Labels:          map[string]string{LabelManagedBy: ManagedBy, LabelComponent: ComponentAgent},
			OwnerReferences: []metav1.OwnerReference{OwnedBy(owner)},
		},
	}
}

// AgentPart holds a part of a program. It is made once for each namespace and build, and belongs to [Run.AgentOwner];
// an exported run has its own.
func (r *Run) AgentPart(owner *corev1.ConfigMap, a Agent, i int, part []byte) *corev1.ConfigMap {
	c := r.file(r.AgentName(a, i), ComponentAgent, owner, pod.BinaryPart(a.Program, a.Arch, i), part)
	if !r.Exported {
		c.Labels = map[string]string{LabelManagedBy: ManagedBy, LabelComponent: ComponentAgent}
	}
	return c
}

// file is an immutable ConfigMap with one file.
func (r *Run) file(name, component string, owner *corev1.ConfigMap, file string, data []byte) *corev1.ConfigMap {
	yes := true
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: r.meta(name, component, owner), Immutable: &yes, BinaryData: map[string][]byte{file: data},
	}
}

func merged(sets ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}
