package flask

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
)

const reexported = "# A pickle that was made in a notebook looks for its classes in __main__, which is\n# another " +
	"module under gunicorn."

// add appends parts as blocks of their own.
func (w *writer) add(to []block, hold conditions, names ...string) ([]block, error) {
	for _, name := range names {
		text, err := w.part(name, hold)
		if err != nil {
			return nil, err
		}
		to = append(to, block{text: text, apart: true})
	}
	return to, nil
}

// model gives the functions that stand for ours; the notebook's code may need them at once.
func (w *writer) model() ([]block, error) {
	var names []string
	for _, n := range standIns {
		switch {
		case !w.ours.used[n]:
		case w.ours.given[n]:
			names = append(names, "metaml_"+n+"_of_run")
		default:
			names = append(names, "metaml_"+n)
		}
	}
	return w.add(nil, nil, names...)
}

// view is the code that a request runs.
type view struct {
	lines  []string
	value  string // the expression of the result
	fields bool   // a query or a form may be the input
	other  bool   // bytes may be
	reads  bool   // the body is JSON
	uses   map[string]bool
}

// readers are the parts that a view may use, in the order in which they are written.
var readers = []string{
	"by_name", "read_bytes", "check_arguments", "check", "as_array", "make", "check_keys", "validate",
}

// parts writes what stands below the notebook's code.
func (w *writer) parts() ([]block, error) {
	v := w.view()
	var helpers []string
	if v.reads {
		helpers = append(helpers, "read_input")
	}
	if v.fields {
		helpers = append(helpers, "fields_of")
	}
	for _, name := range readers {
		if v.uses[name] {
			helpers = append(helpers, name)
		}
	}
	hold := conditions{"fields": v.fields, "other": v.other}
	app, err := w.part("app", nil)
	if err != nil {
		return nil, err
	}
	out := []block{{text: app, cell: -2}}
	if out, err = w.add(out, hold, helpers...); err != nil {
		return nil, err
	}
	answer, hold, helpers := w.answer(v)
	if out, err = w.add(out, hold, helpers...); err != nil {
		return nil, err
	}
	out = append(out, block{text: w.route(v.fields) + "\ndef " + w.ref("answer") + "():\n    " +
		strings.Join(append(v.lines, answer), "\n    "), apart: true})
	last := []string{"refused", "failed"}
	if w.o.Path != "/healthz" {
		last = append([]string{"healthz"}, last...)
	}
	from := len(out)
	if out, err = w.add(out, nil, last...); err != nil {
		return nil, err
	}
	for i := range out[from:] {
		out[from+i].text = strings.ReplaceAll(out[from+i].text, "FUNCTION", w.s.Entry.Name)
	}
	run := fmt.Sprintf("if __name__ == \"__main__\":\n    %s.run(host=%s, port=%d, threaded=False)", w.ref("app"),
		strconv.Quote(w.o.Host), w.o.Port)
	return append(out, block{text: run, apart: true}), nil
}

// route is the decorator of the function that answers.
func (w *writer) route(fields bool) string {
	path := w.o.Path
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded // as Flask has it
	}
	if fields {
		return "@" + w.ref("app") + ".route(" + strconv.Quote(path) + `, methods=["GET", "POST"])`
	}
	return "@" + w.ref("app") + ".post(" + strconv.Quote(path) + ")"
}

// view decides how a request becomes the call.
func (w *writer) view() *view {
	v := &view{uses: map[string]bool{}, reads: true}
	e := w.s.Entry
	params := w.parameters()
	v.fields = true
	for _, p := range params {
		v.fields = v.fields && w.kinds[p.Name].fields()
	}
	if !w.single() {
		v.lines = append(v.lines, "fields = "+w.ref("read_input")+"()", w.call(v, "check_arguments", e.Name+", fields"))
		for _, p := range params {
			k := w.kinds[p.Name]
			if k.how == asItIs {
				continue
			}
			place, indent := "fields["+strconv.Quote(p.Name)+"]", ""
			switch {
			case k.how == optional:
				v.lines = append(v.lines, "if fields.get("+strconv.Quote(p.Name)+") is not None:")
				k, indent = k.of, "    "
			case p.HasDefault:
				v.lines = append(v.lines, "if "+strconv.Quote(p.Name)+" in fields:")
				indent = "    "
			}
			w.convert(v, indent, k, place, place, p.Name)
		}
		v.value = e.Name + "(**fields)"
		return v
	}
	p := params[0]
	k := w.kinds[p.Name]
	v.fields = k.how == asItIs || k.how == pydantic
	v.other = k.how == asItIs
	local := p.Name
	if _, ours := read().library[local]; ours || w.taken[local] || slices.Contains(read().localNames, local) {
		local = "value"
	}
	value := w.ref("read_input") + "()"
	if k.takesName(p.Annotation) {
		value = w.call(v, "by_name", value+", "+strconv.Quote(p.Name))
	}
	switch {
	case k.how == rawBytes:
		v.reads, value = false, w.call(v, "read_bytes", strconv.Quote(p.Name))
	case k.how == array && w.o.Batch:
		w.convert(v, "", k, local, "["+value+"]", p.Name)
		value = local
	case k.how == optional:
		v.lines = append(v.lines, local+" = "+value, "if "+local+" is not None:")
		w.convert(v, "    ", k.of, local, local, p.Name)
		value = local
	case k.how != asItIs:
		w.convert(v, "", k, local, value, p.Name)
		value = local
	}
	if w.o.Batch && k.how != array {
		value = "[" + value + "]"
	}
	if p.Kind == slicer.KeywordOnly {
		value = p.Name + "=" + value
	}
	v.value = e.Name + "(" + value + ")"
	return v
}

// convert writes the lines that make a value of a kind, or refuse it.
func (w *writer) convert(v *view, indent string, k *kind, target, value, name string) {
	line := func(expression string) { v.lines = append(v.lines, indent+target+" = "+expression) }
	if k.how != container || k.of == nil {
		line(w.converted(v, k, value, name))
		return
	}
	outer := *k
	outer.of = nil
	line(w.converted(v, &outer, value, name))
	if item := w.converted(v, k.of, "one", name); k.name == "dict" {
		line("{key: " + item + " for key, one in " + target + ".items()}")
	} else {
		line("[" + item + " for one in " + target + "]")
	}
}

// call writes a call of a part, and notes that the part is used.
func (w *writer) call(v *view, part, arguments string) string {
	v.uses[part] = true
	return w.ref(part) + "(" + arguments + ")"
}

// converted writes the expression for a kind that takes one.
func (w *writer) converted(v *view, k *kind, value, name string) string {
	quoted := strconv.Quote(name)
	switch k.how {
	case scalar, container:
		checked := w.call(v, "check", value+", "+k.name+", "+quoted)
		switch {
		case k.of == nil:
			return checked
		case k.name == "dict":
			return "{key: " + w.converted(v, k.of, "one", name) + " for key, one in " + checked + ".items()}"
		}
		return "[" + w.converted(v, k.of, "one", name) + " for one in " + checked + "]"
	case array:
		if k.dtype == "float" {
			return w.call(v, "as_array", value+", "+quoted)
		}
		return w.call(v, "as_array", value+", "+quoted+", "+k.dtype)
	case dataclass:
		return w.call(v, "make", k.name+", "+value+", "+quoted)
	case typedDict:
		return w.call(v, "check_keys", value+", "+k.name+", "+quoted)
	case pydantic:
		return w.call(v, "validate", k.name+".model_validate, "+value)
	case adapted:
		return w.call(v, "validate", w.ref("TypeAdapter")+"("+k.name+").validate_python, "+value)
	case optional:
		return "None if " + value + " is None else " + w.converted(v, k.of, value, name)
	}
	return value
}

// answer writes the last lines of the view, and names the parts that they need with the conditions of these.
func (w *writer) answer(v *view) (string, conditions, []string) {
	e := w.s.Entry
	r := w.results()
	own := w.ours.used["Response"] && !e.IsGenerator
	if own {
		r = anything
	}
	hold := conditions{"response": own, "json": r.json, "text": r.text, "bytes": r.bytes}
	var helpers []string
	if r.json && w.plain(hold) {
		helpers = append(helpers, "to_json")
	}
	if e.IsGenerator {
		call := v.value
		if e.IsAsync {
			call = w.ref("step_by_step") + "(" + call + ")"
			helpers = append(helpers, "step_by_step")
		}
		hold["json"] = r != results{text: true} && r != results{bytes: true}
		return "return " + w.ref("stream") + "(" + call + ")", hold, append(helpers, "stream")
	}
	if e.IsAsync {
		v.value = w.ref("asyncio") + ".run(" + v.value + ")"
	}
	if w.o.Batch {
		v.value += "[0]"
	}
	response := func(value, mimetype string) string {
		return "return " + w.ref("Response") + "(" + value + `, mimetype="` + mimetype + `")`
	}
	switch r {
	case results{json: true}:
		if hold["plain"] {
			v.value += ", default=" + w.ref("to_json")
		}
		return "text = " + w.ref("json") + ".dumps(" + v.value + ", allow_nan=False)\n    " +
			response("text", "application/json"), hold, helpers
	case results{text: true}:
		return response(v.value, "text/plain"), hold, helpers
	case results{bytes: true}:
		return response(v.value, "application/octet-stream"), hold, helpers
	}
	return "return " + w.ref("respond") + "(" + v.value + ")", hold, append(helpers, "respond")
}

// plain says whether results need a function that makes JSON of what json does not know. They do if the notebook's
// libraries have such values: the conditions say of which sort.
func (w *writer) plain(hold conditions) bool {
	for _, m := range w.s.Imports {
		switch m {
		case "pydantic":
			hold["models"] = true
		case "dataclasses":
			hold["classes"] = true
		case "flask", "requests", "httpx", "yaml", "IPython":
		default:
			hold["arrays"] = hold["arrays"] || !slicer.IsStandard(m)
		}
	}
	hold["plain"] = hold["models"] || hold["classes"] || hold["arrays"]
	return hold["plain"]
}
