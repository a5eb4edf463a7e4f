package slicer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/prose"
)

// maxExports bounds how many names an import * binds.
const maxExports = 20000

// exported are names that an import * of a module binds, where neither the session nor the source can be asked: all of
// small modules of Python's own, and of others those that hide a builtin, since nobody misses these.
var exported = map[string][]string{
	"math": {
		"acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "comb", "copysign", "cos", "cosh",
		"degrees",
		"dist", "e", "erf", "erfc", "exp", "expm1", "fabs", "factorial", "floor", "fmod", "frexp", "fsum",
		"gamma", "gcd",
		"hypot", "inf", "isclose", "isfinite", "isinf", "isnan", "isqrt", "lcm", "ldexp", "lgamma", "log", "log10",
		"log1p", "log2", "modf", "nan", "nextafter", "perm", "pi", "pow", "prod", "radians", "remainder", "sin", "sinh",
		"sqrt", "tan", "tanh", "tau", "trunc", "ulp",
	},
	"cmath": {
		"acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "e", "exp", "inf", "infj", "isclose",
		"isfinite",
		"isinf", "isnan", "log", "log10", "nan", "nanj", "phase", "pi", "polar", "rect", "sin", "sinh", "sqrt", "tan",
		"tanh", "tau",
	},
	"os.path": {
		"abspath", "basename", "commonpath", "commonprefix", "dirname", "exists", "expanduser", "expandvars",
		"getatime",
		"getctime", "getmtime", "getsize", "isabs", "isdir", "isfile", "islink", "ismount", "join", "lexists",
		"normcase",
		"normpath", "realpath", "relpath", "samefile", "sameopenfile", "samestat", "split", "splitdrive", "splitext",
	},
	"os":    {"open"},
	"numpy": {"abs", "all", "any", "max", "min", "pow", "round", "sum"},
	"pylab": {"abs", "all", "any", "max", "min", "pow", "round", "sum"},
	"torch": {"abs", "all", "any", "max", "min", "pow", "round", "sum"},
}

// exports finds what each import * binds: the session knows it of a living one, else the source of a local module says
// it, else it is known or not.
func (w *work) exports() error {
	w.stared = map[string][]string{}
	var modules []string
	for _, c := range w.cells {
		for _, s := range c.stmts {
			for _, m := range s.e.stars {
				if !slices.Contains(modules, m) && !strings.HasPrefix(m, ".") {
					modules = append(modules, m)
				}
			}
		}
	}
	if len(modules) == 0 {
		return nil
	}
	if w.o.Exports != nil && w.doc.Kind == session.Live {
		ctx, cancel := context.WithCancelCause(w.ctx)
		defer cancel(nil)
		answered, err := w.o.Exports(ctx, modules)
		if err != nil {
			return fmt.Errorf("ask the session what %s have: %w", prose.List(modules), err)
		}
		for m, names := range answered {
			w.stared[m] = names[:min(len(names), maxExports)]
		}
	}
	for _, m := range modules {
		if _, ok := w.stared[m]; ok {
			continue
		}
		if code := w.localCode(m); code != nil {
			w.stared[m] = w.public(code, map[*moduleCode]bool{})
		} else {
			w.stared[m] = exported[m]
		}
	}
	return nil
}

// public gives the names that an import * of a local module binds.
func (w *work) public(m *moduleCode, seen map[*moduleCode]bool) []string {
	if m == nil || seen[m] {
		return nil
	}
	seen[m] = true
	names := map[string]bool{}
	var all []string
	for _, c := range m.root.Children {
		targets(c, names)
		if c.Kind == "import_from_statement" && c.Of("wildcard_import") != nil && c.Child("module_name") != nil {
			of := strings.Join(strings.Fields(c.Child("module_name").Text()), "")
			if strings.HasPrefix(of, ".") {
				of = w.finder().absolute(of, m.name)
			}
			more := exported[of]
			if code := w.localCode(of); code != nil {
				more = w.public(code, seen)
			}
			for _, name := range more {
				names[name] = true
			}
		}
		for _, kind := range []string{"assignment", "augmented_assignment"} {
			if n := c.Of(kind); n != nil && n.Child("left") != nil && n.Child("left").Text() == "__all__" {
				all = append(all, literals(n.Child("right"))...)
			}
		}
	}
	if len(all) > 0 {
		return all
	}
	for name := range names {
		if strings.HasPrefix(name, "_") {
			delete(names, name)
		}
	}
	return sorted(names)
}

// literals are the texts in a list or tuple.
func literals(n *syntax.Node) []string {
	var out []string
	if n == nil {
		return nil
	}
	n.Walk(func(c *syntax.Node) bool {
		if c.Kind == "string" {
			if text, ok := literal(c.Text()); ok {
				out = append(out, text)
			}
		}
		return true
	})
	return out
}

// bindStars binds what an import * brings.
func (in *interpreter) bindStars() {
	must := in.s.node != nil && in.s.node.Kind == "import_from_statement"
	for _, m := range in.s.e.stars {
		for _, name := range in.stared[m] {
			b := &bind{name: name, must: must, imp: &imported{module: m, name: name}, line: in.s.line}
			v := &value{name: name, stmt: in.s, bind: b}
			in.importValue(v, b.imp)
			in.bindValue(in.s, v, must)
		}
	}
}
