package settings

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Value is a setting's value and where it came from.
type Value struct {
	Text   string `json:"value"`
	Origin string `json:"origin"`
}

// The origins of values; those of the environment and of files name the variable and the line.
const (
	FromCell      = "cell"
	FromCommand   = "command line"
	FromDecorator = "decorator"
	FromDefault   = "default"
	FromSession   = "session" // it follows from what the session uses
)

// Sources is where values are looked for.
type Sources struct {
	Line  []Given // typed in the cell or on the command line
	Typed string  // FromCell or FromCommand
	Cell  []Given // the line of a saved notebook's cell, where Line is the command line
	// a decorator's settings, package={…} as "package.name": texts as in a cell, lists and tables as Python has them
	Decorator map[string]any
	Environ   []string // as os.Environ gives it
	File      File     // metaml.toml
	Dir       string   // the working directory, in which relative paths are, but for those of File
}

// Resolved is every setting of one run, with where its value came from.
type Resolved struct {
	Kind   run.Kind
	Values map[string]Value
	// sentences about what was not obeyed: a file of somebody else's, settings that this target does not honour
	Notes []string
}

// Resolve finds the value of every setting of kind: typed > cell > decorator > environment > file > default. A value
// that is wrong anywhere is refused with its place, also when something typed would hide it.
func Resolve(kind run.Kind, s Sources) (*Resolved, error) {
	r := &Resolved{Kind: kind, Values: map[string]Value{}}
	r.defaults()
	if s.File.Ignored != "" {
		r.Notes = append(r.Notes, s.File.Ignored)
	}
	if s.File.Path != "" {
		values, err := readFile(s.File.Path)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			r.set(v.Def, v.Value, fmt.Sprintf("%s:%d", s.File.Path, v.line))
		}
	}
	if err := r.environment(s.Environ); err != nil {
		return nil, err
	}
	if err := r.decorator(s.Decorator); err != nil {
		return nil, err
	}
	for _, g := range s.Cell {
		r.set(g.Def, g.Value, FromCell)
	}
	for _, g := range s.Line {
		if !slices.Contains(g.Def.Kinds, kind) {
			return nil, refuse("--%s means nothing for a function that is to %s", g.Def.Flag(), kind)
		}
		r.set(g.Def, g.Value, s.Typed)
	}
	r.locate(s.Dir)
	if err := r.honoured(s.Typed); err != nil {
		return nil, err
	}
	return r, r.fit()
}

// Recorded gives the settings that a run's record holds. A setting that MetaML did not have yet when the run was
// submitted has its default.
func Recorded(kind run.Kind, list []run.Setting) *Resolved {
	r := &Resolved{Kind: kind, Values: map[string]Value{}}
	r.defaults()
	for _, s := range list {
		if d, ok := Lookup(s.Name); ok {
			r.set(d, s.Value, s.Origin)
		}
	}
	return r
}

func (r *Resolved) defaults() {
	for _, d := range Of(r.Kind) {
		if d.Default != "" {
			r.Values[d.Name] = Value{Text: d.Default, Origin: FromDefault}
		}
	}
}

// locate makes the paths of files absolute.
func (r *Resolved) locate(dir string) {
	for _, d := range Of(r.Kind) {
		if v := r.Values[d.Name]; d.Type == LocalFile && v.Text != "" && dir != "" && !filepath.IsAbs(v.Text) {
			r.Values[d.Name] = Value{Text: filepath.Join(dir, v.Text), Origin: v.Origin}
		}
	}
}

func (r *Resolved) set(d Def, text, origin string) {
	if slices.Contains(d.Kinds, r.Kind) {
		r.Values[d.Name] = Value{Text: text, Origin: origin}
	}
}

func (r *Resolved) environment(environ []string) error {
	for _, d := range Of(r.Kind) {
		prefix := d.Variable() + "="
		for _, kv := range environ {
			text, ok := strings.CutPrefix(kv, prefix)
			if !ok || text == "" || isServiceLink(text) {
				continue
			}
			if err := d.check(text); err != nil {
				return &usererror.Error{
					Code: usererror.CodeEnvironment, Text: fmt.Sprintf("%s in the environment %s", d.Variable(), err),
				}
			}
			r.set(d, text, "environment "+d.Variable())
		}
	}
	return nil
}

// isServiceLink recognises what Kubernetes puts into the environment for a Service called "metaml":
// METAML_PORT=tcp://….
func isServiceLink(text string) bool { return strings.HasPrefix(text, "tcp://") }

func (r *Resolved) decorator(given map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		canonical := name
		if p, ok := packageKeys[name]; ok {
			canonical = p
		}
		d, ok := Lookup(canonical)
		if !ok || !slices.Contains(d.Kinds, r.Kind) {
			e := &usererror.Error{
				Code: usererror.CodeOption, Text: fmt.Sprintf("the decorator has no setting %q", name),
			}
			if n := nearest(name, Of(r.Kind)); n != "" {
				e.Hint = fmt.Sprintf("Did you mean %q?", strings.ReplaceAll(n, "-", "_"))
			}
			return e
		}
		text, ok := given[name].(string)
		var err error
		if !ok {
			text, err = d.several(given[name])
		}
		if err == nil {
			err = d.check(text)
		}
		if err != nil {
			return &usererror.Error{Code: usererror.CodeOption, Text: fmt.Sprintf("the decorator's %q %s", name, err)}
		}
		r.set(d, text, FromDecorator)
	}
	return nil
}

// honoured refuses what was typed and cannot be honoured by the target, and lists what came from elsewhere.
func (r *Resolved) honoured(typed string) error {
	target := r.Text("target")
	var unused []string
	for _, d := range Of(r.Kind) {
		v, ok := r.Values[d.Name]
		if !ok || v.Origin == FromDefault || v.Text == "" || slices.Contains(d.Targets, target) {
			continue
		}
		if d.Type == Bool && d.Default == "false" && !r.Bool(d.Name) {
			continue // it is asked not to do what it does not do
		}
		if v.Origin == typed {
			hint := fmt.Sprintf("Leave it out, or name a target that honours it: %s.", strings.Join(d.Targets, ", "))
			if len(d.Targets) == 0 {
				hint = "Leave it out: its name is kept for a later version."
			}
			return usererror.New(usererror.CodeOption, "--%s means nothing on target %s", d.Flag(), target).
				With("%s", hint)
		}
		unused = append(unused, d.Name)
	}
	if len(unused) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("unused on target %s: %s", target, strings.Join(unused, ", ")))
	}
	return nil
}

// uses reports whether the target honours a setting that has a value.
func (r *Resolved) uses(d Def) bool { return r.Has(d.Name) && r.Honours(d.Name) }

// fit refuses what is right by itself, and wrong together or on this machine.
func (r *Resolved) fit() error {
	for _, d := range Of(r.Kind) {
		if d.Type != LocalFile || !r.uses(d) {
			continue
		}
		v := r.Values[d.Name]
		if info, err := os.Stat(v.Text); err != nil || !info.Mode().IsRegular() {
			return usererror.New(usererror.CodeOption, "%s (%s) takes a file, and there is none at %s",
				d.Name, v.Origin, v.Text)
		}
	}
	if err := r.fitReplicas(); err != nil {
		return err
	}
	if r.Has("ingress") && r.Honours("expose") && r.Bool("expose") {
		return usererror.New(usererror.CodeOption, "ingress (%s) and expose (%s) exclude each other",
			r.Values["ingress"].Origin, r.Values["expose"].Origin).
			With("Leave one of them out: an Ingress needs no load balancer of the server's own.")
	}
	secrets := r.secrets()
	for _, v := range r.variables() {
		if slices.ContainsFunc(secrets, func(s SecretValue) bool { return s.Name == v.Name }) {
			return usererror.New(usererror.CodeOption, "%s is both in env (%s) and in secret (%s)", v.Name,
				r.Values["env"].Origin, r.Values["secret"].Origin).With("Leave it out of one of them.")
		}
	}
	return nil
}

// Text gives a setting's value, or "".
func (r *Resolved) Text(name string) string { return r.Values[name].Text }

// Honours reports whether the target does something with a setting.
func (r *Resolved) Honours(name string) bool {
	d, ok := Lookup(name)
	return ok && slices.Contains(d.Kinds, r.Kind) && slices.Contains(d.Targets, r.Text("target"))
}

// MakesImage reports whether an image is made of what the session has installed: where none is named.
func (r *Resolved) MakesImage() bool { return r.Honours("image") && !r.Has("image") }

// Repository is what gets the image that is made, "" where none is named.
func (r *Resolved) Repository() string {
	return strings.TrimPrefix(strings.TrimSuffix(r.Text("repository")+"/"+r.Text("image_name"), "/"), "/")
}

// Arch is the architecture that platform names, "arm64"; "" is none.
func (r *Resolved) Arch() string { return strings.TrimPrefix(r.Text("platform"), "linux/") }

// Bool gives a boolean setting's value.
func (r *Resolved) Bool(name string) bool {
	v, err := parseBool(r.Text(name))
	return err == nil && v
}

// Int gives an integer setting's value, or 0 where it has none.
func (r *Resolved) Int(name string) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(r.Text(name), "_", ""), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Has reports whether a setting has a value.
func (r *Resolved) Has(name string) bool { return r.Text(name) != "" }

// Duration gives a duration setting's value, or 0 where it has none.
func (r *Resolved) Duration(name string) time.Duration {
	if !r.Has(name) {
		return 0
	}
	d, err := parseDuration(r.Text(name))
	if err != nil {
		return 0
	}
	return d
}

// List gives the items of a setting that is a list.
func (r *Resolved) List(name string) []string {
	d, _ := Lookup(name)
	return d.items(r.Text(name))
}

// parsed reads the items of a list, which were checked when it was resolved.
func parsed[T any](r *Resolved, name string, parse func(string) (T, error)) []T {
	var all []T
	if d, _ := Lookup(name); r.uses(d) {
		for _, item := range r.List(name) {
			if v, err := parse(item); err == nil {
				all = append(all, v)
			}
		}
	}
	return all
}

func (r *Resolved) variables() []Variable { return parsed(r, "env", ParseVariable) }

func (r *Resolved) secrets() []SecretValue { return parsed(r, "secret", ParseSecretValue) }

// Selector gives the labels of node_selector.
func (r *Resolved) Selector() []Label { return parsed(r, "node_selector", ParseLabel) }

// Tolerations gives the taints that a node may have.
func (r *Resolved) Tolerations() []Toleration { return parsed(r, "toleration", ParseToleration) }

// Mounts gives the volumes.
func (r *Resolved) Mounts() []Mount { return parsed(r, "mount", ParseMount) }

// Output says where the files of trials are kept.
func (r *Resolved) Output() Kept {
	k, _ := ParseOutputs(r.Text("output")) // it was checked when it was resolved
	return k
}

// Record says where what trials report is kept: in a registry as well where their files are, unless a volume is named.
func (r *Resolved) Record() Kept {
	k, err := ParseRecord(r.Text("record")) // it was checked when it was resolved
	if err != nil {
		return Kept{Registry: r.Output().Registry}
	}
	return k
}

// Include gives the paths of include, with slashes.
func (r *Resolved) Include() []string { return parsed(r, "include", ParsePath) }

// Commands gives the commands of post_install, in words.
func (r *Resolved) Commands() [][]string { return parsed(r, "post_install", ParseCommand) }

// System gives the packages of apt.
func (r *Resolved) System() []string {
	return parsed(r, "apt", func(item string) (string, error) { return item, nil })
}

// Gives reports whether the trials have a variable by one of the settings.
func (r *Resolved) Gives(variable string) bool {
	return slices.ContainsFunc(r.variables(), func(v Variable) bool { return v.Name == variable }) ||
		slices.ContainsFunc(r.secrets(), func(v SecretValue) bool { return v.Name == variable })
}

// FromSession names the variables whose values are the session's.
func (r *Resolved) FromSession() []string {
	var names []string
	for _, v := range r.variables() {
		if v.Session {
			names = append(names, v.Name)
		}
	}
	for _, s := range r.secrets() {
		if s.Secret == "" {
			names = append(names, s.Name)
		}
	}
	return names
}

// Variables gives the variables of env with their values, which environ has where the setting has none. One that is not
// there is a [usererror.Error].
func (r *Resolved) Variables(environ []string) ([]Variable, error) {
	all := r.variables()
	for i, v := range all {
		if !v.Session {
			continue
		}
		value, err := r.session(environ, "env", v.Name)
		if err != nil {
			return nil, err
		}
		all[i].Value = value
	}
	return all, nil
}

// Secrets gives the variables of secret: those whose values are in Secrets of the namespace, and the values of those
// that get into one of the run, which environ has. One that is not there is a [usererror.Error].
func (r *Resolved) Secrets(environ []string) (named []SecretValue, values map[string]string, err error) {
	values = map[string]string{}
	for _, s := range r.secrets() {
		if s.Secret != "" {
			named = append(named, s)
			continue
		}
		if values[s.Name], err = r.session(environ, "secret", s.Name); err != nil {
			return nil, nil, err
		}
	}
	return named, values, nil
}

// session gives the value that a variable has in the session.
func (r *Resolved) session(environ []string, setting, name string) (string, error) {
	for _, v := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value, nil
		}
	}
	return "", usererror.New(usererror.CodeEnvironment, "%s (%s) sends %s along, which is not set here", setting,
		r.Values[setting].Origin, name).
		With("Set it before, in a notebook with %%env %s=VALUE, or leave it out.", name)
}

// maxTemplate bounds a file that is part of the key, in bytes.
const maxTemplate = 1 << 20

// Key gives what of a target's own settings makes another run (docs/reference/rules.md §5), as NAME=TEXT: variables
// with the values that environ has for them, files by their digest. How much a trial gets and where it is executed is
// not in it.
func (r *Resolved) Key(environ []string) ([]string, error) {
	var key []string
	for _, d := range Of(r.Kind) {
		pods := r.Kind == run.Serve && slices.Contains(ofPods, d.Name)
		if !d.Key && !pods || !r.uses(d) {
			continue
		}
		text := r.Text(d.Name)
		if d.Type == Bool && !r.Bool(d.Name) {
			continue // it is as if it were not there
		}
		if pods && (text == "" || r.Values[d.Name].Origin == FromSession) {
			continue // what a session has in use is another number each time
		}
		switch d.Type {
		case Variables:
			all, err := r.Variables(environ)
			if err != nil {
				return nil, err
			}
			items := make([]string, len(all))
			for i, v := range all {
				items[i] = v.Name + "=" + v.Value
			}
			text = sorted(items)
		case SecretValues:
			if _, _, err := r.Secrets(environ); err != nil { // their values are no part of it
				return nil, err
			}
			text = sorted(r.List(d.Name))
		case Mounts:
			text = sorted(r.List(d.Name))
		case LocalFile:
			digest, err := digestOf(text)
			if err != nil {
				return nil, usererror.Wrap(err, usererror.CodeOption,
					fmt.Sprintf("%s (%s) cannot be read: %s", d.Name, r.Values[d.Name].Origin, reason(err)), "")
			}
			text = digest
		case Addresses:
			text = WithoutLogins(text)
		}
		key = append(key, d.Name+"="+text)
	}
	return key, nil
}

// ofPods are settings that say what pods are like. To change one of a sweep that goes on is not to start it again; a
// server gets other pods, which are another revision.
var ofPods = []string{
	"cpu", "memory", "gpu", "gpu_type", "node_selector", "toleration", "service_account", "image_pull_secret",
	"agent_image",
}

// sorted joins items whose order means nothing.
func sorted(items []string) string { return strings.Join(slices.Sorted(slices.Values(items)), "\n") }

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(f, maxTemplate+1))
	if err == nil && n > maxTemplate {
		err = errors.New("it is larger than 1 MiB")
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

// All gives every setting that has a value, in the order of [All]; those that mean nothing on the target are left out,
// and so are the logins of addresses.
func (r *Resolved) All() []run.Setting {
	var all []run.Setting
	for _, d := range Of(r.Kind) {
		if v := r.Values[d.Name]; r.uses(d) {
			if d.Type == Addresses {
				v.Text = WithoutLogins(v.Text)
			}
			all = append(all, run.Setting{Name: d.Name, Value: v.Text, Origin: v.Origin})
		}
	}
	return all
}
