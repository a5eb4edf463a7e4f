package settings

import (
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/metaml/metaml/internal/lazyregexp"
	"github.com/metaml/metaml/internal/usererror"
)

// Variable is an item of the setting env: NAME[=VALUE].
type Variable struct {
	Name, Value string
	Session     bool // the value is the session's
}

// SecretValue is an item of the setting secret: NAME[=SECRET/KEY]. Without a Secret the value is the session's, and
// gets into a Secret of the run.
type SecretValue struct {
	Name, Secret, Key string
}

// Label is an item of the setting node_selector: KEY=VALUE.
type Label struct {
	Key, Value string
}

// Toleration is an item of the setting toleration: KEY[=VALUE][:EFFECT].
type Toleration struct {
	Key, Value string
	Any        bool   // whatever the taint's value is
	Effect     string // "" is each
}

// Mount is an item of the setting mount: pvc:NAME[/SUB]:PATH.
type Mount struct {
	Claim string // a PersistentVolumeClaim of the namespace
	Sub   string // a folder in it, relative; "" is all of it
	Path  string // in the pod, absolute
}

// maxName and maxLabel are the most characters of an object's name and of a label's value.
const (
	maxName  = 253
	maxLabel = 63
)

// What names are in Kubernetes (its package apimachinery/pkg/util/validation), and what is the name of an image in the
// grammar of the package distribution/reference.
var (
	objectName   = lazyregexp.New(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	namespace    = lazyregexp.New(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	labelText    = lazyregexp.New(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	variableName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	secretKey    = lazyregexp.New(`^[-._A-Za-z0-9]+$`)
	imageName    = lazyregexp.New(strings.NewReplacer(
		"HOST", `[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?`, "PART", `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`).Replace(
		`^(?:(?:localhost|HOST(?:\.HOST)+|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?/|HOST:[0-9]+/)?PART(?:/PART)*` +
			`(?::[0-9A-Za-z_][0-9A-Za-z_.-]{0,127})?(?:@[A-Za-z][0-9A-Za-z+._-]*:[0-9A-Fa-f]{32,})?$`))
)

func isObject(text string) bool { return len(text) <= maxName && objectName.MatchString(text) }

func isLabelValue(text string) bool {
	return text == "" || len(text) <= maxLabel && labelText.MatchString(text)
}

// isLabelKey reports whether text is [PREFIX/]NAME.
func isLabelKey(text string) bool {
	prefix, name, found := strings.Cut(text, "/")
	if !found {
		prefix, name = "", text
	}
	return (!found || isObject(prefix)) && name != "" && isLabelValue(name)
}

// checkCluster is [Def.check] for the types that only a cluster's settings have.
func (d Def) checkCluster(text string) error {
	switch d.Type {
	case Cores:
		_, err := ParseCores(text)
		return err
	case Memory:
		_, err := ParseMemory(text)
		return err
	case Image:
		if !imageName.MatchString(text) {
			return fmt.Errorf("takes the name of an image, such as registry.example/team/image:tag, not %q", text)
		}
	case Repository:
		if last := path.Base(text); !imageName.MatchString(text) || strings.ContainsAny(last, ":@") {
			return fmt.Errorf(
				"takes the name of a repository, such as registry.example/team/environments, not %q",
				text,
			)
		}
	case Mirror:
		if !imageName.MatchString(text+"/python") || strings.Contains(text, "@") {
			return fmt.Errorf("takes HOST/PATH, such as registry.example/docker-hub, not %q", text)
		}
	case Addresses:
		return d.each(text, func(item string) (string, error) { return item, checkAddress(item) })
	case Namespace:
		if len(text) > maxLabel || !namespace.MatchString(text) {
			return fmt.Errorf("takes the name of a namespace, in small letters, digits and dashes, not %q", text)
		}
	case Host:
		if !isObject(text) || net.ParseIP(text) != nil {
			return fmt.Errorf("takes a name of DNS in small letters, without http:// and a path, such as "+
				"serve.example, not %q", text)
		}
	case Object:
		return checkObject(text, int(d.Max))
	case Objects:
		return d.each(text, func(item string) (string, error) { return item, checkObject(item, 0) })
	case Resource:
		if !strings.Contains(text, "/") || !isLabelKey(text) {
			return fmt.Errorf("takes the resource that counts GPUs, such as nvidia.com/gpu, not %q", text)
		}
	case ImagePath:
		if !path.IsAbs(text) || strings.ContainsFunc(text, isControl) {
			return fmt.Errorf("takes an absolute path in the image, such as /opt/venv/bin/python, not %q", text)
		}
	case Variables:
		return d.each(text, named(ParseVariable, func(v Variable) string { return v.Name }))
	case SecretValues:
		return d.each(text, named(ParseSecretValue, func(v SecretValue) string { return v.Name }))
	case Labels:
		return d.each(text, named(ParseLabel, func(l Label) string { return l.Key }))
	case Tolerations:
		return d.each(text, func(item string) (string, error) {
			_, err := ParseToleration(item)
			return item, err
		})
	case Mounts:
		return d.each(text, named(ParseMount, func(m Mount) string { return m.Path }))
	case Outputs:
		_, err := ParseOutputs(text)
		return err
	case Records:
		_, err := ParseRecord(text)
		return err
	case System:
		return d.each(text, func(item string) (string, error) {
			if !systemPackage.MatchString(item) {
				return "", fmt.Errorf("takes the name of a package, such as libyaml-dev, not %q", item)
			}
			return item, nil
		})
	case Commands:
		return d.each(text, func(item string) (string, error) {
			_, err := ParseCommand(item)
			return item, err
		})
	case Paths:
		return d.each(text, named(ParsePath, strings.Clone))
	}
	return nil
}

func checkObject(text string, most int) error {
	if !isObject(text) || most > 0 && len(text) > most {
		return fmt.Errorf("takes the name of an object: small letters, digits, dashes and dots, not %q", text)
	}
	return nil
}

// checkAddress checks the address of a package index, and never shows the login that may be in it.
func checkAddress(text string) error {
	at, err := url.Parse(text)
	if err != nil || strings.ContainsFunc(text, unicode.IsSpace) ||
		at.Scheme != "file" && (at.Host == "" || at.Scheme != "https" && at.Scheme != "http") {
		return fmt.Errorf("takes addresses such as https://HOST/simple, not %q", WithoutLogins(text))
	}
	return nil
}

// login is what stands before the host of an address. A password may hold any sign but a blank.
var login = lazyregexp.New(`://\S*@`)

// WithoutLogins takes names and passwords out of the addresses in a text.
func WithoutLogins(text string) string { return login.ReplaceAllString(text, "://") }

// named reads an item and gives what only one item of the list may have.
func named[T any](parse func(string) (T, error), name func(T) string) func(string) (string, error) {
	return func(item string) (string, error) {
		v, err := parse(item)
		return name(v), err
	}
}

// each checks the items of a list; read gives what only one of them may have.
func (d Def) each(text string, read func(item string) (string, error)) error {
	var names []string
	for _, item := range d.items(text) {
		if strings.ContainsFunc(item, isControl) {
			return fmt.Errorf("takes no control characters, as in %q", WithoutLogins(item))
		}
		name, err := read(item)
		if err != nil {
			return err
		}
		if slices.Contains(names, name) {
			return fmt.Errorf("has %s twice", WithoutLogins(name))
		}
		names = append(names, name)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// items gives what stands in the text of a list.
func (d Def) items(text string) []string {
	separator := d.Type.Separator()
	if separator == "" {
		return nil
	}
	var items []string
	for item := range strings.SplitSeq(text, separator) {
		if separator == "," || strings.TrimSpace(item) == "" {
			item = strings.TrimSpace(item)
		}
		if item != "" {
			items = append(items, item)
		}
	}
	return items
}

// ours are the beginnings of variables that a pod gets from MetaML and the Job.
var ours = []string{"METAML_", "_METAML_", "JOB_COMPLETION_INDEX"}

// checkVariable checks the name of a variable, and never shows its value.
func checkVariable(name, form string) error {
	if !variableName.MatchString(name) {
		return fmt.Errorf("takes %s with the name of a variable, not %q", form, name)
	}
	for _, prefix := range ours {
		if strings.HasPrefix(name, prefix) {
			return fmt.Errorf("cannot have %s, which a pod gets from MetaML", name)
		}
	}
	return nil
}

// ParseVariable reads NAME[=VALUE]. Its error, as those of the functions below, is the rest of a sentence that begins
// with the name of the setting.
func ParseVariable(item string) (Variable, error) {
	name, value, given := strings.Cut(item, "=")
	return Variable{Name: name, Value: value, Session: !given}, checkVariable(name, "NAME or NAME=VALUE")
}

// ParseSecretValue reads NAME[=SECRET/KEY].
func ParseSecretValue(item string) (SecretValue, error) {
	name, from, given := strings.Cut(item, "=")
	v := SecretValue{Name: name}
	if err := checkVariable(name, "NAME or NAME=SECRET/KEY"); err != nil || !given {
		return v, err
	}
	v.Secret, v.Key, _ = strings.Cut(from, "/")
	if !isObject(v.Secret) || len(v.Key) > maxName || !secretKey.MatchString(v.Key) {
		// What stands there may be the secret itself, so it is not shown.
		return v, fmt.Errorf("takes %s=SECRET/KEY, a Secret of the namespace and one of its keys, and something else "+
			"stands behind %s=", name, name)
	}
	return v, nil
}

// ParseLabel reads KEY=VALUE.
func ParseLabel(item string) (Label, error) {
	key, value, given := strings.Cut(item, "=")
	if !given || !isLabelKey(key) || !isLabelValue(value) {
		return Label{}, fmt.Errorf("takes KEY=VALUE, such as kubernetes.io/arch=arm64, not %q", item)
	}
	return Label{Key: key, Value: value}, nil
}

// effects are those that a taint can have.
var effects = []string{"NoSchedule", "PreferNoSchedule", "NoExecute"}

// ParseToleration reads KEY[=VALUE][:EFFECT], as `kubectl taint` writes it.
func ParseToleration(item string) (Toleration, error) {
	taint, effect, hasEffect := strings.Cut(item, ":")
	key, value, given := strings.Cut(taint, "=")
	switch {
	case !isLabelKey(key) || !isLabelValue(value):
		return Toleration{}, fmt.Errorf("takes KEY[=VALUE][:EFFECT], such as gpu=yes:NoSchedule, not %q", item)
	case hasEffect && !slices.Contains(effects, effect):
		return Toleration{}, fmt.Errorf("takes the effect %s, not %q", strings.Join(effects, " or "), effect)
	}
	return Toleration{Key: key, Value: value, Any: !given, Effect: effect}, nil
}

// Kept is where output says that the files of trials are kept, or record what they report; the zero value: on the disk
// of the run's monitor.
type Kept struct {
	Volume   *Mount // on a volume
	Registry bool   // in a repository
	Nowhere  bool
}

// ParseRecord reads pvc:NAME[/SUB] or registry.
func ParseRecord(text string) (Kept, error) {
	k, err := ParseOutputs(text)
	if err == nil && !k.Nowhere {
		return k, nil
	}
	if _, err = ParseClaim(text); err != nil {
		return Kept{}, fmt.Errorf("%w; or registry", err)
	}
	return k, nil
}

// ParseOutputs reads pvc:NAME[/SUB], registry or none.
func ParseOutputs(text string) (Kept, error) {
	switch text {
	case "registry":
		return Kept{Registry: true}, nil
	case "none":
		return Kept{Nowhere: true}, nil
	}
	m, err := ParseClaim(text)
	if err != nil {
		return Kept{}, fmt.Errorf("%w; or registry, or none", err)
	}
	return Kept{Volume: &m}, nil
}

// ParseClaim reads pvc:NAME[/SUB].
func ParseClaim(text string) (Mount, error) {
	source, isClaim := strings.CutPrefix(text, "pvc:")
	claim, sub, hasSub := strings.Cut(source, "/")
	switch {
	case !isClaim || !isObject(claim):
		return Mount{}, fmt.Errorf("takes pvc:NAME[/SUB], such as pvc:runs, not %q", text)
	case hasSub && (!fs.ValidPath(sub) || sub == "."):
		return Mount{}, fmt.Errorf("takes a folder of the volume without . and .., such as pvc:runs/mine, not %q", text)
	}
	return Mount{Claim: claim, Sub: sub}, nil
}

// ParseMount reads pvc:NAME[/SUB]:PATH.
func ParseMount(item string) (Mount, error) {
	rest, isClaim := strings.CutPrefix(item, "pvc:")
	source, target, found := strings.Cut(rest, ":")
	claim, sub, hasSub := strings.Cut(source, "/")
	switch {
	case !isClaim || !found || !isObject(claim):
		return Mount{}, fmt.Errorf("takes pvc:NAME[/SUB]:PATH, such as pvc:data:/data, not %q", item)
	case hasSub && (!fs.ValidPath(sub) || sub == "."):
		return Mount{}, fmt.Errorf("takes a folder of the volume without . and .., such as pvc:data/2024:/data, not %q",
			item)
	case !path.IsAbs(target) || path.Clean(target) == "/" || strings.Contains(target, ":") ||
		slices.Contains(strings.Split(target, "/"), ".."):
		return Mount{}, fmt.Errorf("takes an absolute folder for the volume, such as /data, not %q", target)
	}
	return Mount{Claim: claim, Sub: sub, Path: path.Clean(target)}, nil
}

// systemPackage is the name of a package of Debian, with an architecture and a version where somebody wants one
// (Debian Policy, 5.6.1, 5.6.12).
var systemPackage = lazyregexp.New(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[0-9A-Za-z.+:~-]+)?$`)

// ParseCommand cuts a command into words as a POSIX shell does, without any expansion.
func ParseCommand(item string) ([]string, error) {
	words, err := split(item)
	if err != nil {
		return nil, fmt.Errorf("takes a command, and in %q %w", item, err)
	}
	if len(words) == 0 || words[0] == "" {
		return nil, fmt.Errorf("takes a command, such as \"python -m spacy download en_core_web_sm\", not %q", item)
	}
	return words, nil
}

// ParsePath reads a path below the working directory, and gives it with slashes and without a . in it.
func ParsePath(item string) (string, error) {
	clean := path.Clean(item)
	if !fs.ValidPath(clean) {
		return "", fmt.Errorf("takes a path below the working directory, such as data/train.csv, not %q", item)
	}
	return clean, nil
}

// NeedsImage refuses settings that name no image, for what makes none.
func NeedsImage(r *Resolved) error {
	if r.Has("image") {
		return nil
	}
	return usererror.New(usererror.CodeImage, "an image that trials run in is needed, and --image names none").
		With("Name one that the cluster can pull: --image REGISTRY/NAME:TAG, or image = \"…\" in %s.", FileName)
}

// MakesNoImage refuses settings that name an image, where one is to be made.
func MakesNoImage(r *Resolved) error {
	if !r.Has("image") {
		return nil
	}
	return usererror.New(usererror.CodeImage, "no image is made, since image names one (%s)", r.Values["image"].Origin).
		With("Leave it out.")
}

// NeedsPlaceForImage refuses settings that neither name an image nor say where one could go that is made.
func NeedsPlaceForImage(r *Resolved) error {
	if r.Has("image") || r.Has("repository") || r.Has("load") || !r.Bool("publish") {
		return nil
	}
	target := r.Values["target"]
	return usererror.New(usererror.CodeImage, "target %s needs an image that trials run in, and --image names none",
		target.Text).
		With("Name a repository, which gets one with the packages of this session: metaml login REGISTRY, and then "+
			"--repository REGISTRY/NAME. Or take a cluster on this machine, whose nodes are loaded: kind create "+
			"cluster. Or name an image that has the packages, which are compared: --image REGISTRY/NAME:TAG. Whoever "+
			"runs the cluster knows which it can pull. All of it may stand in %s.", FileName)
}
