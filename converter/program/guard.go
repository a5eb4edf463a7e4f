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
	used := token.Words(code)
	name := func(want string) string {
		for used[want] {
			want = "_" + want
		}
		used[want] = true
		return want
	}
	if kind == Serve {
		return serveGuard(s.Entry, name)
	}
	imported := func(module string) string {
		n := name(module)
		if n == module {
			return "    import " + module + "\n"
		}
		return "    import " + module + " as " + n + "\n"
	}
	g := guardWriter{argparse: "argparse", json: "json"}
	var b strings.Builder
	b.WriteString(Guard + "\n")
	e := s.Entry
	params := options(e.Parameters)
	lines := ""
	add := func(module string) string {
		text := imported(module)
		lines += text
		text = strings.TrimSpace(text)
		return text[strings.LastIndexByte(text, ' ')+1:]
	}
	g.argparse = add("argparse")
	needValue := false
	for _, p := range params {
		needValue = needValue || argType(p) == "value"
	}
	ast := ""
	if needValue {
		ast = add("ast")
	}
	asyncio := ""
	if e.IsAsync {
		asyncio = add("asyncio")
	}
	itertools := ""
	if e.IsGenerator && !e.IsAsync {
		itertools = add("itertools")
	}
	g.json = add("json")
	b.WriteString(lines + "\n")
	if needValue {
		g.value = name("value")
		fmt.Fprintf(&b,
			"    def %s(text):\n        try:\n            return %s.literal_eval(text)\n        except (ValueError, "+
				"SyntaxError):\n            return text\n\n", g.value, ast)
	}
	parser := name("parser")
	fmt.Fprintf(&b, "    %s = %s.ArgumentParser(description=%s)\n", parser, g.argparse,
		strconv.Quote(describe(e, kind)))
	for _, p := range params {
		b.WriteString("    " + parser + ".add_argument(" + g.option(p) + ")\n")
	}
	opts := name("options")
	fmt.Fprintf(&b, "    %s = vars(%s.parse_args())\n", opts, parser)
	call := e.Name
	if !e.IsValue {
		n := ""
		if slices.ContainsFunc(e.Parameters, func(p slicer.Parameter) bool { return p.Kind == slicer.Positional }) {
			n = name("name")
		}
		call = e.Name + "(" + spread(e.Parameters, opts, n) + ")"
	}
	switch {
	case e.IsAsync && e.IsGenerator:
		row := name("row")
		rows := name("rows")
		fmt.Fprintf(&b,
			"\n    async def %s():\n        async for %s in %s:\n            print(%s.dumps(%s, default=str))\n\n    "+
				"%s.run(%s())", rows, row, call, g.json, row, asyncio, rows)
	case e.IsGenerator:
		row := name("row")
		fmt.Fprintf(&b, "    for %s in %s.islice(%s, 256):\n        print(%s.dumps(%s, default=str))", row, itertools,
			call, g.json, row)
	case e.IsAsync:
		fmt.Fprintf(&b, "    print(%s.dumps(%s.run(%s), default=str))", g.json, asyncio, call)
	default:
		fmt.Fprintf(&b, "    print(%s.dumps(%s, default=str))", g.json, call)
	}
	return b.String()
}

type guardWriter struct{ argparse, json, value string }

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
func (g guardWriter) option(p slicer.Parameter) string {
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
