package settings

import (
	"fmt"
	"slices"
	"sort"
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
)

// Sources is where values are looked for.
type Sources struct {
	Line      []Given           // typed in the cell or on the command line
	Typed     string            // FromCell or FromCommand
	Cell      []Given           // the line of a saved notebook's cell, where Line is the command line
	Decorator map[string]string // a decorator's settings, package={…} as "package.name"
	Environ   []string          // as os.Environ gives it
	File      File              // metaml.toml
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
	for _, d := range Of(kind) {
		if d.Default != "" {
			r.Values[d.Name] = Value{Text: d.Default, Origin: FromDefault}
		}
	}
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
	return r, r.honoured(s.Typed)
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

func (r *Resolved) decorator(given map[string]string) error {
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
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
		if err := d.check(given[name]); err != nil {
			return &usererror.Error{Code: usererror.CodeOption, Text: fmt.Sprintf("the decorator's %q %s", name, err)}
		}
		r.set(d, given[name], FromDecorator)
	}
	return nil
}

// honoured refuses what was typed and cannot be honoured by the target, and lists what came from elsewhere.
func (r *Resolved) honoured(typed string) error {
	target := r.Text("target")
	if target == run.Kubernetes {
		return nil // which the deployer refuses as a whole, whatever else was set
	}
	var unused []string
	for _, d := range Of(r.Kind) {
		v, ok := r.Values[d.Name]
		if !ok || v.Origin == FromDefault || slices.Contains(d.Targets, target) {
			continue
		}
		if v.Origin == typed {
			return &usererror.Error{
				Code: usererror.CodeOption, Text: fmt.Sprintf("--%s means nothing on target %s", d.Flag(), target),
				Hint: fmt.Sprintf("Leave it out, or name a target that honours it: %s.", strings.Join(d.Targets, ", ")),
			}
		}
		unused = append(unused, d.Name)
	}
	if len(unused) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("unused on target %s: %s", target, strings.Join(unused, ", ")))
	}
	return nil
}

// Text gives a setting's value, or "".
func (r *Resolved) Text(name string) string { return r.Values[name].Text }

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

// List gives the values in a setting that is a list.
func (r *Resolved) List(name string) []string {
	var names []string
	for n := range strings.SplitSeq(r.Text(name), ",") {
		if n = strings.TrimSpace(n); n != "" {
			names = append(names, n)
		}
	}
	return names
}

// All gives every setting that has a value, in the order of [All]; defaults that mean nothing on the target are left
// out.
func (r *Resolved) All() []run.Setting {
	var all []run.Setting
	for _, d := range Of(r.Kind) {
		v, ok := r.Values[d.Name]
		if ok && (v.Origin != FromDefault || slices.Contains(d.Targets, r.Text("target"))) {
			all = append(all, run.Setting{Name: d.Name, Value: v.Text, Origin: v.Origin})
		}
	}
	return all
}
