package program

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/converter/token"
)

// Guard is the line that begins the last statement of main.py. Whoever executes the program itself leaves out what
// begins there.
const Guard = `if __name__ == "__main__":`

// guard writes the command line: one option for each parameter, and the call of the entry. Its names are those of the
// module, so they avoid every word of the program.
func guard(s *slicer.Slice, kind, code string) string {
	g := guardWriter{entry: s.Entry, used: token.Words(code)}
	if kind == Serve {
		return serveGuard(s.Entry, g.name)
	}
	params := options(s.Entry.Parameters)
	needValue := slices.ContainsFunc(params, func(p slicer.Parameter) bool { return argType(p) == "value" })
	g.imports(needValue)
	if needValue {
		g.value = g.name("value")
		g.write("    def %s(text):\n        try:\n            return %s.literal_eval(text)\n        "+
			"except (ValueError, SyntaxError):\n            return text\n\n", g.value, g.ast)
	}
	parser := g.name("parser")
	g.write("    %s = %s.ArgumentParser(description=%s)\n", parser, g.argparse, strconv.Quote(describe(s.Entry, kind)))
	for _, p := range params {
		g.write("    %s.add_argument(%s)\n", parser, g.option(p))
	}
	opts := g.name("options")
	g.write("    %s = vars(%s.parse_args())\n", opts, parser)
	g.print(g.call(opts))
	return g.text.String()
}

// guardWriter is a command line that is being written.
type guardWriter struct {
	entry slicer.Function
	used  map[string]bool // words that are no free names
	text  strings.Builder

	argparse, ast, asyncio, itertools, json string // the modules, as they are called here; "" is not imported
	value                                   string // the function that reads literals
}

// name gives a free name.
func (g *guardWriter) name(want string) string {
	for g.used[want] {
		want = "_" + want
	}
	g.used[want] = true
	return want
}

func (g *guardWriter) write(format string, args ...any) { fmt.Fprintf(&g.text, format, args...) }

// imports writes the first line, and the imports that the command line needs.
func (g *guardWriter) imports(needValue bool) {
	g.write("%s\n", Guard)
	g.argparse = g.imported("argparse")
	if needValue {
		g.ast = g.imported("ast")
	}
	if g.entry.IsAsync {
		g.asyncio = g.imported("asyncio")
	}
	if g.entry.IsGenerator && !g.entry.IsAsync {
		g.itertools = g.imported("itertools")
	}
	g.json = g.imported("json")
	g.write("\n")
}

// imported writes an import, and gives what the module is called.
func (g *guardWriter) imported(module string) string {
	n := g.name(module)
	if n == module {
		g.write("    import %s\n", module)
	} else {
		g.write("    import %s as %s\n", module, n)
	}
	return n
}

// call is the expression of what the entry gives.
func (g *guardWriter) call(opts string) string {
	if g.entry.IsValue {
		return g.entry.Name
	}
	params, n := g.entry.Parameters, ""
	if slices.ContainsFunc(params, func(p slicer.Parameter) bool { return p.Kind == slicer.Positional }) {
		n = g.name("name")
	}
	return g.entry.Name + "(" + spread(params, opts, n) + ")"
}

// print writes the lines that print the result of the call as JSON, a generator's row by row.
func (g *guardWriter) print(call string) {
	switch e := g.entry; {
	case e.IsAsync && e.IsGenerator:
		row := g.name("row")
		rows := g.name("rows")
		g.write("\n    async def %s():\n        async for %s in %s:\n            print(%s.dumps(%s, default=str))\n\n"+
			"    %s.run(%s())", rows, row, call, g.json, row, g.asyncio, rows)
	case e.IsGenerator:
		row := g.name("row")
		g.write("    for %s in %s.islice(%s, 256):\n        print(%s.dumps(%s, default=str))", row, g.itertools, call,
			g.json, row)
	case e.IsAsync:
		g.write("    print(%s.dumps(%s.run(%s), default=str))", g.json, g.asyncio, call)
	default:
		g.write("    print(%s.dumps(%s, default=str))", g.json, call)
	}
}

func describe(e slicer.Function, kind string) string {
	if kind == Draw {
		return "Print the hyperparameters of " + e.Name + "."
	}
	return "Run " + e.Name + " once and print what it returns."
}

// options are the parameters that the command line can set.
func options(params []slicer.Parameter) []slicer.Parameter {
	var out []slicer.Parameter
	for _, p := range params {
		if p.Kind != slicer.VarPosition && p.Kind != slicer.VarKeyword {
			out = append(out, p)
		}
	}
	return out
}

// argType says how an option's text becomes a value: by "int", "float", "str", "bool", or "value": a literal, else
// text.
func argType(p slicer.Parameter) string {
	switch t := strings.Trim(p.Annotation, `"'`); t {
	case "int", "float", "str", "bool":
		return t
	}
	switch {
	case p.Annotation == "" && (p.Default == "True" || p.Default == "False"):
		return "bool"
	case p.Annotation == "" && len(p.Default) > 0 && (p.Default[0] == '"' || p.Default[0] == '\''):
		return "str"
	}
	return "value"
}

// option writes the arguments of add_argument.
func (g *guardWriter) option(p slicer.Parameter) string {
	dashed := "--" + strings.ReplaceAll(p.Name, "_", "-")
	if strings.HasPrefix(p.Name, "_") {
		dashed = "--" + p.Name
	}
	if dashed == "--help" {
		dashed = "--help-"
	}
	flags := strconv.Quote(dashed)
	if alias := "--" + p.Name; alias != dashed && p.Name != "help" {
		flags += ", " + strconv.Quote(alias)
	}
	flags += ", dest=" + strconv.Quote(p.Name)
	switch t := argType(p); t {
	case "bool":
		flags += ", action=" + g.argparse + ".BooleanOptionalAction"
	case "value":
		flags += ", type=" + g.value
	default:
		flags += ", type=" + t
	}
	if !p.HasDefault {
		return flags + ", required=True"
	}
	return flags + ", default=" + g.argparse + ".SUPPRESS, help=" +
		pyQuote("default: "+strings.ReplaceAll(p.Default, "%", "%%"))
}

// pyQuote writes a Python string literal. Go's syntax is Python's but for a few escapes, which quoting to ASCII avoids.
func pyQuote(s string) string { return strconv.QuoteToASCII(strings.ToValidUTF8(s, "?")) }
