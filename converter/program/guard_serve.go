package program

import (
	"slices"
	"strconv"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// request is the beginning of a server's command line. A $ marks the names that it binds.
const request = Guard + `
    import argparse as $argparse
    import json as $json
    import sys as $sys

    def $show(answer):
        if isinstance(answer, bytes):
            $sys.stdout.buffer.write(answer)
        elif isinstance(answer, str):
            print(answer)
        else:
            print($json.dumps(answer, default=lambda value: value.tolist() if hasattr(value, "tolist") else str(value)))
        $sys.stdout.flush()

    $parser = $argparse.ArgumentParser(description=DESCRIPTION)
    $parser.add_argument("input", nargs="?", help="the input, as JSON; without it, standard input is read")
    $given = $parser.parse_args().input
`

// serveGuard writes the command line of a server: one request, by hand. Of annotations only those of bytes and arrays
// are heeded.
func serveGuard(e slicer.Function, name func(string) string) string {
	var b strings.Builder
	line := func(text string) { b.WriteString("    " + text + "\n") }
	b.WriteString(strings.Replace(request, "DESCRIPTION", strconv.Quote("Answer one request by "+e.Name+"."), 1))
	params := options(e.Parameters)
	single := len(params) == 1 && !slices.ContainsFunc(e.Parameters, func(p slicer.Parameter) bool {
		return p.Kind == slicer.VarKeyword
	})
	if single && strings.Trim(params[0].Annotation, `"'`) == "bytes" {
		line("$body = $sys.stdin.buffer.read() if $given is None else $given.encode()")
	} else {
		line("$body = $json.loads($sys.stdin.read() if $given is None else $given)")
	}
	if slices.ContainsFunc(params, isArray) {
		line("import numpy as $numpy\n")
	}
	for _, p := range params {
		switch key := strconv.Quote(p.Name); {
		case !isArray(p):
		case single:
			line("$body = $numpy.asarray($body)")
		default:
			line("if " + key + " in $body:")
			line("    $body[" + key + "] = $numpy.asarray($body[" + key + "])")
		}
	}
	call := e.Name + "(" + spread(e.Parameters, "$body", "$name") + ")"
	switch {
	case single && params[0].Kind == slicer.KeywordOnly:
		call = e.Name + "(" + params[0].Name + "=$body)"
	case single:
		call = e.Name + "($body)"
	}
	if e.IsAsync {
		line("import asyncio as $asyncio\n")
	}
	switch {
	case e.IsAsync && e.IsGenerator:
		line("async def $parts():")
		line("    async for $part in " + call + ":")
		line("        $show($part)\n")
		line("$asyncio.run($parts())")
	case e.IsGenerator:
		line("for $part in " + call + ":")
		line("    $show($part)")
	case e.IsAsync:
		line("$show($asyncio.run(" + call + "))")
	default:
		line("$show(" + call + ")")
	}
	names := map[string]string{}
	code := lazyregexp.New(`\$[a-z]+`).ReplaceAllStringFunc(b.String(), func(mark string) string {
		if names[mark] == "" {
			names[mark] = name(mark[1:])
		}
		return names[mark]
	})
	return lazyregexp.New(`import (\w+) as (\w+)\n`).ReplaceAllStringFunc(strings.TrimSuffix(code, "\n"),
		func(text string) string {
			if f := strings.Fields(text); f[1] == f[3] {
				return "import " + f[1] + "\n"
			}
			return text
		})
}

func isArray(p slicer.Parameter) bool {
	text, _, _ := strings.Cut(strings.Trim(p.Annotation, `"' `), "[")
	return text == "NDArray" || strings.HasSuffix(text, ".NDArray") || text == "ndarray" ||
		strings.HasSuffix(text, ".ndarray")
}

// spread writes the arguments of a call whose keywords are in a dictionary, from which those that have no name are
// taken out.
func spread(params []slicer.Parameter, dict, variable string) string {
	var only []string
	for _, p := range params {
		if p.Kind == slicer.Positional {
			only = append(only, strconv.Quote(p.Name))
		}
	}
	if len(only) == 0 {
		return "**" + dict
	}
	return "*[" + dict + ".pop(" + variable + ") for " + variable + " in (" + strings.Join(only, ", ") + ",) if " +
		variable + " in " + dict + "], **" + dict
}
