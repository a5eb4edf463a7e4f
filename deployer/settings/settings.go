// Package settings defines every setting of a run once: its name, type, default and help, and how its value is found.
// The same name is used in four places: `--hyper-parameters` in the cell or on the command line, 'hyper_parameters' in
// a decorator, METAML_HYPER_PARAMETERS in the environment and hyper_parameters in metaml.toml. The first of them that
// has a value wins.
//
// Read [All] first, then [Resolve]. What the items of a cluster's settings mean is in cluster.go, as plain data. The
// package imports deployer/run, a TOML reader and the standard library.
package settings

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// Type says what a setting's text may be.
type Type string

// The types of settings.
const (
	Int       Type = "integer"   // decimal, within Min and Max
	Replicas  Type = "replicas"  // 2, or 2..10 for an autoscaler, within Min and Max
	Bool      Type = "boolean"   // true, false, 1, 0, yes, no; as a flag it needs no value
	Text      Type = "text"      // anything
	Path      Type = "path"      // of a URL, with a slash in front
	Name      Type = "name"      // a Python identifier
	Names     Type = "names"     // Python identifiers, separated by commas; a flag may be repeated
	Hosts     Type = "hosts"     // names or addresses of hosts, separated by commas, or *; a flag may be repeated
	Origins   Type = "origins"   // https://app.example:8443, separated by commas, or *; a flag may be repeated
	Duration  Type = "duration"  // 90, 90s, 5m, 1.5h: a number without a unit is seconds
	Objective Type = "objective" // [max:|min:]METRIC
	Choice    Type = "choice"    // one of Choices
	LocalFile Type = "file"      // a path, of metaml.toml from its folder, else from the working directory

	// What a cluster's settings take. The items of a list stand each on a line of its own, since they may hold commas.
	Cores        Type = "cores"         // 2, 0.5, 500m
	Memory       Type = "memory"        // 4Gi, 500M
	Image        Type = "image"         // [REGISTRY/]NAME[:TAG][@DIGEST]
	Repository   Type = "repository"    // [REGISTRY/]NAME
	Mirror       Type = "mirror"        // HOST[:PORT][/PATH], below which images of a registry are
	Addresses    Type = "addresses"     // a list of URLs, whose logins nobody gets to see
	Namespace    Type = "namespace"     // a label of DNS
	Host         Type = "host name"     // a name of DNS, in small letters; no address
	Object       Type = "object name"   // of Kubernetes, at most Max characters
	Objects      Type = "object names"  // separated by commas; a flag may be repeated
	Resource     Type = "resource"      // such as nvidia.com/gpu
	ImagePath    Type = "image path"    // absolute, in an image
	Variables    Type = "variables"     // a list of NAME[=VALUE]
	SecretValues Type = "secret values" // a list of NAME[=SECRET/KEY]
	Labels       Type = "labels"        // a list of KEY=VALUE
	Tolerations  Type = "tolerations"   // a list of KEY[=VALUE][:EFFECT]
	Mounts       Type = "mounts"        // a list of pvc:NAME[/SUB]:PATH
	Records      Type = "records"       // pvc:NAME[/SUB], or registry
	Outputs      Type = "outputs"       // pvc:NAME[/SUB], registry, or none
	Paths        Type = "paths"         // a list of files and folders below the working directory
	System       Type = "packages"      // of Debian or Ubuntu, separated by commas; a flag may be repeated
	Commands     Type = "commands"      // a list of commands, in words as a shell cuts them
)

// Separator is what stands between the items of a list; of other types it is "".
func (t Type) Separator() string {
	switch t {
	case Names, Hosts, Origins, Objects, System:
		return ","
	case Variables, SecretValues, Labels, Tolerations, Mounts, Paths, Commands, Addresses:
		return "\n"
	default:
		return ""
	}
}

// Table reports whether a list may be written as a table too: a dict of a decorator, a table of metaml.toml.
func (t Type) Table() bool { return t == Variables || t == SecretValues || t == Labels }

// Add gives a setting's text with one more value of it, as a repeated flag does: a list gets longer, of anything else
// the last value counts.
func (d Def) Add(text, more string) string {
	if separator := d.Type.Separator(); separator != "" && text != "" {
		return text + separator + more
	}
	return more
}

// Def defines one setting.
type Def struct {
	Name    string     `json:"name"` // as in a decorator and in metaml.toml
	Type    Type       `json:"type"`
	Default string     `json:"default"`
	Value   string     `json:"value,omitempty"` // what stands for the value in help: N, NAME, SECONDS
	Min     int64      `json:"min,omitempty"`   // Int, Replicas: smallest value
	Max     int64      `json:"max,omitempty"`   // Int, Replicas: largest value; Object: most characters; 0 is none
	Choices []string   `json:"choices,omitempty"`
	Kinds   []run.Kind `json:"kinds"`
	Targets []string   `json:"targets"` // the targets that honour it; none is a name that is kept for later
	NoFile  bool       `json:"-"`       // metaml.toml may not have it
	Key     bool       `json:"-"`       // part of [Resolved.Key]
	Help    string     `json:"help"`    // one sentence
}

// Flag is the setting's name in a cell or on the command line, without the dashes.
func (d Def) Flag() string { return strings.ReplaceAll(d.Name, "_", "-") }

// Variable is the setting's name in the environment.
func (d Def) Variable() string { return "METAML_" + strings.ToUpper(d.Name) }

var (
	train      = []run.Kind{run.Train}
	serve      = []run.Kind{run.Serve}
	both       = []run.Kind{run.Train, run.Serve}
	everywhere = []string{run.Local, run.Kubernetes}
	here       = []string{run.Local}
	cluster    = []string{run.Kubernetes}
	later      = []string{}
)

// MaxCompletions bounds the number of trials of one run.
const MaxCompletions = 100_000

// All is every setting, in the order in which help shows them.
var All = []Def{
	{
		Name: "parallelism", Type: Int, Default: "1", Value: "N", Min: 1, Max: 10_000, Kinds: train,
		Targets: everywhere, Help: "Trials that run at the same time.",
	},
	{
		Name: "completions", Type: Int, Value: "N", Min: 1, Max: MaxCompletions, Kinds: train, Targets: everywhere,
		Help: "Trials in all; without it, as many as the hyperparameters give, else as many as run at a time.",
	},
	{
		Name: "hyper_parameters", Type: Name, Value: "NAME", Kinds: train, Targets: everywhere,
		Help: "The generator, function, list, dict of lists or DataFrame that gives each trial its arguments.",
	},
	{
		Name: "objective", Type: Objective, Value: "[max:|min:]METRIC", Kinds: train, Targets: everywhere,
		Help: "The metric that decides which trial is best; max: or min: where its name does not say which.",
	},
	{
		Name: "url", Type: Path, Default: "/predict", Value: "PATH", Kinds: serve, Targets: everywhere,
		Help: "The path at which the function answers. Braces hold parameters: /items/{id}.",
	},
	{
		Name: "port", Type: Int, Value: "N", Min: 1, Max: 65535, Kinds: serve, Targets: everywhere,
		Help: "The port; without it, on local a free one that stays the same for the same function of the same " +
			"notebook, and 80 in a cluster.",
	},
	{
		Name: "host", Type: Text, Default: "127.0.0.1", Value: "ADDRESS", Kinds: serve, Targets: here,
		Help: "The address to listen on; 0.0.0.0 lets everybody in who can reach this machine.",
	},
	{
		Name: "allow_host", Type: Hosts, Value: "NAME", Kinds: serve, Targets: everywhere,
		Help: "A further name by which requests may call the server, such as a proxy's; `*` is any.",
	},
	{
		Name: "cors", Type: Origins, Value: "ORIGIN", Kinds: serve, Targets: everywhere,
		Help: "An origin whose pages may call the server and read its answers, such as https://app.example; `*` is " +
			"any.",
	},
	{
		Name: "auth", Type: Choice, Default: "none", Value: "WHAT", Choices: []string{"none", run.AuthToken},
		Kinds: serve, Targets: everywhere,
		Help: "What requests must have: `token` is the server's token, as Authorization: Bearer TOKEN; `none` lets " +
			"in whoever can reach it.",
	},
	{
		Name: "ingress", Type: Host, Value: "HOST", Kinds: serve, Targets: cluster, Key: true,
		Help: "The name by which callers outside of the cluster reach the server, such as serve.example: by an " +
			"HTTPRoute where a Gateway takes it, else by an Ingress.",
	},
	{
		Name: "expose", Type: Bool, Default: "false", Kinds: serve, Targets: cluster, Key: true,
		Help: "Give the server an address of its own outside of the cluster: its Service is a load balancer.",
	},
	{
		Name: "replicas", Type: Replicas, Default: "1", Value: "N", Min: 1, Max: maxReplicas, Kinds: serve,
		Targets: everywhere,
		Help: "Copies of the server, until somebody scales it; on local all are behind one front, with " +
			"replicas × workers processes. In a cluster MIN..MAX, such as 2..10, has their use of processors decide.",
	},
	{
		Name: "workers", Type: Int, Default: "1", Value: "N", Min: 1, Max: 256, Kinds: serve, Targets: everywhere,
		Help: "Python processes of each replica that call the function.",
	},
	{
		Name: "batch", Type: Int, Value: "N", Min: 1, Max: 4096, Kinds: serve, Targets: everywhere,
		Help: "Call the function with a list of up to N inputs that wait at the same time; it returns as many results.",
	},
	{
		Name: "model", Type: Text, Value: "RUN[:TRIAL|:best]", Kinds: serve, Targets: everywhere,
		Help: "The run, as a variable or by name, whose outputs metaml.model() gives; without a trial the best one.",
	},
	{
		Name: "example", Type: Text, Value: "JSON|NAME", Kinds: serve, Targets: everywhere,
		Help: "An input, as JSON or as a variable, which must be answered before the server is ready.",
	},
	{
		Name: "function", Type: Name, Value: "NAME", Kinds: both, Targets: everywhere,
		Help: "The function to run, where the cell defines several; without it the last.",
	},
	{
		Name: "tensorboard", Type: Bool, Default: "false", Kinds: train, Targets: everywhere,
		Help: "Show a TensorBoard of the run, on this machine, while it lasts.",
	},
	{
		Name: "notify", Type: Text, Value: "COMMAND", Kinds: train, Targets: here, NoFile: true,
		Help: "A command that is started when the run is done, with METAML_RUN, METAML_STATE and METAML_SUMMARY in " +
			"its environment and as JSON on its standard input; never taken from metaml.toml.",
	},
	{
		Name: "name", Type: Text, Value: "NAME", Kinds: both, Targets: everywhere,
		Help: "The name of the series of runs; without it the function's.",
	},
	{
		Name: "into", Type: Name, Value: "NAME", Kinds: both, Targets: everywhere,
		Help: "The variable that gets the Run or the Server; without it `run` or `server`, when that is free or " +
			"already ours.",
	},
	{
		Name: "with", Type: Names, Value: "NAME[,NAME…]", Kinds: both, Targets: everywhere,
		Help: "Names whose values are shipped (pickled) because no cell can make them again.",
	},
	{
		Name: "target", Type: Choice, Default: run.Local, Value: "TARGET", Choices: []string{run.Local, run.Kubernetes},
		Kinds: both, Targets: everywhere,
		Help: "Where it runs: `local` is processes on this machine, `kubernetes` a cluster.",
	},
	{
		Name: "detach", Type: Bool, Default: "false", Kinds: train, Targets: everywhere,
		Help: "Return at once with the Run; its table goes on updating.",
	},
	{
		Name: "again", Type: Bool, Default: "false", Kinds: both, Targets: everywhere,
		Help: "Start another run, or another revision of a server, although the same one is still active.",
	},
	{
		Name: "reuse", Type: Bool, Default: "false", Kinds: train, Targets: everywhere,
		Help: "Show the last succeeded run of the same code and settings again, if there is one, and run nothing.",
	},
	{
		Name: "seed", Type: Int, Value: "N", Min: 0, Max: 1<<53 - 1, Kinds: train, Targets: everywhere,
		Help: "Base of the trials' random seeds, and of the draw of their hyperparameters; without it the run's name " +
			"is. It goes before the seeds that the program has at top level.",
	},
	{
		Name: "retries", Type: Int, Default: "1", Value: "N", Min: 0, Max: 100, Kinds: train, Targets: everywhere,
		Help: "Further attempts of a trial that was killed or lost; never after an exception of its own.",
	},
	{
		Name: "timeout", Type: Duration, Value: "DURATION", Kinds: both, Targets: everywhere,
		Help: "The longest that one attempt of a trial, or one request to a server (30s without it), may take: 90s, " +
			"5m, 1.5h.",
	},
	{
		Name: "cwd", Type: Choice, Default: "session", Value: "WHERE", Choices: []string{"session", "trial"},
		Kinds: train, Targets: here,
		Help: "The trials' working directory: `session` is the notebook's, `trial` gives each a folder of its own.",
	},
	{
		Name: "fresh_process", Type: Bool, Default: "false", Kinds: both, Targets: everywhere,
		Help: "Start a new Python for each trial or worker instead of forking one that has loaded the program.",
	},
	{
		Name: "interrupt", Type: Choice, Value: "WHAT", Choices: []string{"stop", "detach"}, Kinds: train,
		Targets: everywhere,
		Help: "What ■ and Ctrl-C do to a run: `stop` it or `detach` from it; without it, stop on local and detach on " +
			"a cluster.",
	},
	{
		Name: "explain", Type: Bool, Default: "false", Kinds: both, Targets: everywhere,
		Help: "Say for each statement of the program why it is in.",
	},
	{
		Name: "image", Type: Image, Value: "IMAGE", Kinds: both, Targets: cluster, Key: true,
		Help: "The image of the pods, which the cluster can pull: a Python with what the program imports. " +
			"Without it one is made of the packages that the session has, for a repository.",
	},
	{
		Name: "repository", Type: Repository, Value: "REPOSITORY", Kinds: both, Targets: cluster,
		Help: "Where images of the session's packages go, and the cluster can pull them from, such as " +
			"registry.example/team/environments.",
	},
	{
		Name: "image_name", Type: Repository, Value: "NAME", Kinds: both, Targets: cluster,
		Help: "The image's name below repository: REPOSITORY/NAME gets it. Without it, REPOSITORY itself.",
	},
	{
		Name: "pull_repository", Type: Repository, Value: "REPOSITORY", Kinds: both, Targets: cluster,
		Help: "What the nodes call the repository, where they reach it by another name than this machine.",
	},
	{
		Name: "load", Type: Choice, Value: "TOOL", Kinds: both, Targets: cluster,
		Choices: []string{"kind", "k3d", "minikube", "docker", "nerdctl", "ctr"},
		Help: "The tool that loads images onto the nodes of a cluster on this machine, in place of a repository; " +
			"without it, that of a cluster which is recognised.",
	},
	{
		Name: "base", Type: Image, Value: "IMAGE", Kinds: both, Targets: cluster, Key: true,
		Help: "The image that the session's packages are put on, which has a Python of the same minor version; " +
			"without it python:X.Y-slim.",
	},
	{
		Name: "builder", Type: Text, Value: "ADDRESS", Kinds: both, Targets: cluster,
		Help: "A BuildKit that makes the image, such as docker:// or unix:///run/buildkit/buildkitd.sock; without it " +
			"BUILDKIT_HOST's, else none: then all packages need wheels.",
	},
	{
		Name: "apt", Type: System, Value: "PACKAGE", Kinds: both, Targets: cluster, Key: true,
		Help: "A package of Debian or Ubuntu that the image gets, by the builder.",
	},
	{
		Name: "post_install", Type: Commands, Value: "COMMAND", Kinds: both, Targets: cluster, Key: true,
		Help: "A command that the builder executes in the image when all packages are installed; no shell reads it.",
	},
	{
		Name: "base_mirror", Type: Mirror, Value: "HOST/PATH", Kinds: both, Targets: cluster,
		Help: "Where python:X.Y-slim is taken from in place of the public registry: HOST/PATH/python:X.Y-slim.",
	},
	{
		Name: "requirements", Type: LocalFile, Value: "FILE", Kinds: both, Targets: cluster,
		Help: "A requirements.txt, pylock.toml or uv.lock that says which packages the image gets; without it those " +
			"that the session has.",
	},
	{
		Name: "index", Type: Addresses, Value: "URL", Kinds: both, Targets: cluster, Key: true,
		Help: "A package index that is asked before those that pip and uv use here. A login in it is never shown or " +
			"recorded.",
	},
	{
		Name: "platform", Type: Choice, Value: "PLATFORM", Choices: []string{"linux/amd64", "linux/arm64"},
		Kinds: both, Targets: cluster, Key: true,
		Help: "What the image is made for and nodes must be; without it what the nodes are, else linux/amd64.",
	},
	{
		Name: "compression", Type: Choice, Value: "METHOD", Choices: []string{"gzip", "zstd"},
		Kinds: both, Targets: cluster,
		Help: "How the image's layers are compressed, without it gzip; nodes unpack `zstd` faster, with containerd " +
			"1.5 or later.",
	},
	{
		Name: "uv", Type: LocalFile, Value: "PATH", Kinds: both, Targets: cluster, NoFile: true,
		Help: "The program uv, which finds the packages of an image; without it the one on the PATH, in the " +
			"session's environment, or from its package index. Never taken from metaml.toml.",
	},
	{
		Name: "cpu", Type: Cores, Default: "1", Value: "CORES", Kinds: both, Targets: cluster,
		Help: "Cores that a trial, or a replica of a server, gets at least, and threads of its numerical libraries.",
	},
	{
		Name: "memory", Type: Memory, Default: "2Gi", Value: "SIZE", Kinds: both, Targets: cluster,
		Help: "Memory that a pod gets, and the most that it may use; without it 1.5 times what the session has in " +
			"use, where that is more.",
	},
	{
		Name: "gpu", Type: Int, Value: "N", Min: 0, Max: 1024, Kinds: both, Targets: cluster,
		Help: "GPUs that a pod gets.",
	},
	{
		Name: "gpu_type", Type: Resource, Default: "nvidia.com/gpu", Value: "RESOURCE", Kinds: both, Targets: cluster,
		Help: "The resource that counts the cluster's GPUs, such as amd.com/gpu or nvidia.com/mig-1g.5gb; a model " +
			"is chosen by node_selector.",
	},
	{
		Name: "env", Type: Variables, Value: "NAME[=VALUE]", Kinds: both, Targets: cluster, Key: true,
		Help: "A variable in the environment of the pods; without a value it has the session's. No other variable " +
			"of the session travels.",
	},
	{
		Name: "secret", Type: SecretValues, Value: "NAME[=SECRET/KEY]", Kinds: both, Targets: cluster, Key: true,
		Help: "A variable whose value is a key of a Secret that is in the namespace; without one, the session's " +
			"value in a Secret of the run.",
	},
	{
		Name: "mount", Type: Mounts, Value: "pvc:NAME[/SUB]:PATH", Kinds: both, Targets: cluster, Key: true,
		Help: "A PersistentVolumeClaim, or a folder in it, as folder PATH of the pods.",
	},
	{
		Name: "output", Type: Outputs, Value: "pvc:NAME[/SUB]", Kinds: train, Targets: cluster, Key: true,
		Help: "Where files in metaml.output() are kept: a PersistentVolumeClaim, or a folder in it, which all nodes " +
			"of the trials can mount; registry, the repository of output_repository; or none: they go with the pods. " +
			"Without it the run's monitor keeps 256 MiB of them.",
	},
	{
		Name: "output_repository", Type: Repository, Value: "REPOSITORY", Kinds: train, Targets: cluster,
		Help: "The repository of output registry, as pods call it; without it that of the images.",
	},
	{
		Name: "registry_secret", Type: Object, Value: "NAME", Kinds: train, Targets: cluster,
		Help: "A Secret of the namespace (kubernetes.io/dockerconfigjson) with a login that may push to " +
			"output_repository. The run's monitor has it, and no trial.",
	},
	{
		Name: "record", Type: Records, Value: "pvc:NAME[/SUB]", Kinds: train, Targets: cluster,
		Help: "Where the run's monitor keeps what trials report and print: a PersistentVolumeClaim, or a folder in " +
			"it; or registry, the repository of output_repository, once a minute. Without it in a registry as well " +
			"where output is, else on the disk of the monitor's node, and goes with it.",
	},
	{
		Name: "keep", Type: Duration, Value: "DURATION", Default: "72h", Kinds: train, Targets: cluster,
		Help: "How long the run's monitor waits for somebody to fetch what trials reported and printed.",
	},
	{
		Name: "include", Type: Paths, Value: "PATH", Kinds: both, Targets: cluster,
		Help: "A file or folder below the working directory that goes with the program, to the same place in the " +
			"pod's; 8 MiB compressed, in all.",
	},
	{
		Name: "context", Type: Text, Value: "NAME", Kinds: both, Targets: cluster,
		Help: "The context of the kubeconfig that names cluster and user; without it the current one.",
	},
	{
		Name: "namespace", Type: Namespace, Value: "NAME", Kinds: both, Targets: cluster,
		Help: "The namespace; without it the context's.",
	},
	{
		Name: "service_account", Type: Object, Value: "NAME", Kinds: both, Targets: cluster,
		Help: "The service account of the pods; without it the namespace's default. Its token is not mounted.",
	},
	{
		Name: "image_pull_secret", Type: Objects, Value: "NAME", Kinds: both, Targets: cluster,
		Help: "A Secret of the namespace that holds the login for the image's registry; `login` is one of the run's " +
			"own, with the login that this machine has.",
	},
	{
		Name: "node_selector", Type: Labels, Value: "KEY=VALUE", Kinds: both, Targets: cluster,
		Help: "A label that a node must have.",
	},
	{
		Name: "toleration", Type: Tolerations, Value: "KEY[=VALUE][:EFFECT]", Kinds: both, Targets: cluster,
		Help: "A taint that a node may have.",
	},
	{
		Name: "queue", Type: Object, Value: "NAME", Max: maxLabel, Kinds: train, Targets: cluster,
		Help: "The local queue of Kueue that admits the run.",
	},
	{
		Name: "start_timeout", Type: Duration, Value: "DURATION", Kinds: train, Targets: cluster,
		Help: "The longest that a run waits for a trial to start while none runs; then it is stopped. Without it, as " +
			"long as it takes.",
	},
	{
		Name: "image_python", Type: ImagePath, Value: "PATH", Kinds: both, Targets: cluster, Key: true,
		Help: "The Python of the image; without it python3, else python, of its PATH.",
	},
	{
		Name: "strict", Type: Bool, Default: "false", Kinds: both, Targets: everywhere,
		Help: "Start nothing where a value of the program is another one than in the notebook, or an image has other " +
			"versions of packages than the session; else either is one line above the table.",
	},
	{
		Name: "agent_image", Type: Image, Value: "IMAGE", Kinds: both, Targets: cluster,
		Help: "An image that holds the programs metaml-pod, metaml-server and metaml-monitor, which the pods start; " +
			"without it they come with the run.",
	},
	{
		Name: "pod_template", Type: LocalFile, Value: "FILE", Kinds: both, Targets: cluster, Key: true,
		Help: "A PodTemplateSpec, as YAML, with what no other setting names.",
	},
	{
		Name: "publish", Type: Bool, Default: "true", Kinds: both, Targets: cluster,
		Help: "Push the image to its repository; --no-publish loads it onto the nodes, where a tool can.",
	},
	{
		Name: "distributed_settings", Type: Text, Kinds: train, Targets: later,
		Help: "Processes of one distributed trial: {ps: N, workers: N}.",
	},
}

// Of gives the settings that a kind of run has.
func Of(kind run.Kind) []Def {
	var defs []Def
	for _, d := range All {
		if slices.Contains(d.Kinds, kind) {
			defs = append(defs, d)
		}
	}
	return defs
}

// Lookup finds a setting by its name, in any of its spellings (dashes or underscores).
func Lookup(name string) (Def, bool) {
	name = strings.ReplaceAll(name, "-", "_")
	for _, d := range All {
		if d.Name == name {
			return d, true
		}
	}
	return Def{}, false
}
