package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// seeding are functions that seed a library.
var seeding = map[string][]string{
	"random.seed": {"random"}, "numpy.random.seed": {"numpy"}, "torch.manual_seed": {"torch"},
	"torch.random.manual_seed": {"torch"},
	"torch.cuda.manual_seed":   {"torch"}, "torch.cuda.manual_seed_all": {"torch"},
	"tensorflow.random.set_seed": {"tensorflow"},
	"tensorflow.set_random_seed": {"tensorflow"}, "tensorflow.compat.v1.set_random_seed": {"tensorflow"},
	"tensorflow.keras.utils.set_random_seed": {"random", "numpy", "tensorflow"},
	"keras.utils.set_random_seed":            {"random", "numpy", "tensorflow"},
	"pytorch_lightning.seed_everything":      {"random", "numpy", "torch"},
	"lightning.seed_everything":              {"random", "numpy", "torch"},
	"lightning.pytorch.seed_everything":      {"random", "numpy", "torch"},
	"lightning.fabric.seed_everything":       {"random", "numpy", "torch"},
	"transformers.set_seed":                  {"random", "numpy", "torch", "tensorflow"},
	"transformers.trainer_utils.set_seed":    {"random", "numpy", "torch", "tensorflow"},
	"accelerate.utils.set_seed":              {"random", "numpy", "torch"},
	"fastai.torch_core.set_seed":             {"random", "numpy", "torch"},
	"fastai.basics.set_seed":                 {"random", "numpy", "torch"},
	"fastai.vision.all.set_seed":             {"random", "numpy", "torch"},
	"fastai.text.all.set_seed":               {"random", "numpy", "torch"},
	"fastai.tabular.all.set_seed":            {"random", "numpy", "torch"},
	"random.setstate":                        {"random"}, "numpy.random.set_state": {"numpy"},
	"torch.set_rng_state": {"torch"},
}

// generator is a top-level name of a random generator that was made with a seed.
type generator struct {
	name string
	stmt *stmt
}

// generators are classes and functions that make a random generator, seeded by the system if they are called without an
// argument.
var generators = map[string]bool{
	"random.Random": true, "numpy.random.default_rng": true, "numpy.random.RandomState": true, "torch.Generator": true,
	"numpy.random.PCG64": true, "numpy.random.MT19937": true, "numpy.random.Philox": true, "numpy.random.SFC64": true,
	"numpy.random.PCG64DXSM":          true,
	"numpy.random.mtrand.RandomState": true,
}

// random finds generators without a seed, and libraries that the program seeds itself.
func (w *work) random() error {
	seeded := map[string]bool{}
	for _, s := range w.stmts {
		if _, ok := w.kept[s]; !ok || s.node == nil {
			continue
		}
		time := len(w.stmts) // a function may use an import of a later cell
		imports, _ := localsOf(s.node)
		s.node.Walk(func(n *syntax.Node) bool {
			if n.Kind == "call" {
				for _, lib := range w.seeded(n, imports) {
					seeded[lib] = true
				}
			}
			return true
		})
		for _, c := range s.node.Children {
			if c.Kind != "assignment" || c.Child("right") == nil {
				continue
			}
			fresh := w.unseeded(c.Child("right"), time)
			if !fresh && !w.seededGenerator(c.Child("right"), time) {
				continue
			}
			names := map[string]bool{}
			targets(c, names)
			for n := range names {
				switch vs, _ := w.at(n, len(w.stmts)); {
				case len(vs) == 0 || vs[len(vs)-1].stmt != s:
				case fresh && !w.seededLater(vs[len(vs)-1]):
					w.out.Reseed = append(w.out.Reseed, n)
				default:
					w.generators = append(w.generators, generator{n, s})
				}
			}
		}
	}
	for l := range seeded {
		w.out.SelfSeeded = append(w.out.SelfSeeded, l)
	}
	w.seedings()
	slices.Sort(w.out.SelfSeeded)
	w.out.SelfSeeded = slices.Compact(w.out.SelfSeeded)
	slices.Sort(w.out.Reseed)
	w.out.Reseed = slices.Compact(w.out.Reseed)
	sortSeedings(w.out.Seedings)
	return nil
}

// unseeded says that an expression makes a random generator without a seed.
func (w *work) unseeded(n *syntax.Node, time int) bool {
	if n.Kind == "assignment" {
		return n.Child("right") != nil && w.unseeded(n.Child("right"), time)
	}
	if n.Kind != "call" {
		return false
	}
	name := w.dotted(n.Child("function"), time)
	args := n.Child("arguments")
	if args == nil {
		return false
	}
	if name == "numpy.random.Generator" {
		return len(args.Children) == 1 && w.unseeded(args.Children[0], time)
	}
	if !generators[name] {
		return false
	}
	for _, a := range args.Children {
		switch {
		case a.Kind == "none", a.Kind == "keyword_argument" && a.Child("value") != nil &&
			a.Child("value").Kind == "none":
		case name == "torch.Generator": // its argument is a device
		default:
			return false
		}
	}
	return true
}

// seededLater says that a kept statement seeds the generator: g.manual_seed(0).
func (w *work) seededLater(v *value) bool {
	for _, e := range v.mutations {
		if _, ok := w.kept[e.stmt]; ok && (strings.Contains(e.stmt.text, "seed(") ||
			strings.Contains(e.stmt.text, "set_state(")) {
			return true
		}
	}
	return false
}
