package flask

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
)

// library is what a part may mention of others, by the name that stands behind a $ there.
var library = map[string]imported{
	"asyncio": {module: "asyncio"}, "contextlib": {module: "contextlib"}, "dataclasses": {module: "dataclasses"},
	"inspect": {module: "inspect"}, "itertools": {module: "itertools"}, "json": {module: "json"},
	"os": {module: "os"}, "sys": {module: "sys"}, "uuid": {module: "uuid"}, "Path": {module: "pathlib", name: "Path"},
	"np":    {module: "numpy", as: "np"},
	"Flask": {module: "flask", name: "Flask"}, "Response": {module: "flask", name: "Response"},
	"abort": {module: "flask", name: "abort"}, "request": {module: "flask", name: "request"},
	"HTTPException": {module: "werkzeug.exceptions", name: "HTTPException"},
	"BaseModel":     {module: "pydantic", name: "BaseModel"}, "TypeAdapter": {module: "pydantic", name: "TypeAdapter"},
	"ValidationError": {module: "pydantic", name: "ValidationError"},
}

var mark = regexp.MustCompile(`\$\w+`)

// fill writes the names of a part as they are in this file, and sees that they are there.
func (w *writer) fill(text string) string {
	return mark.ReplaceAllStringFunc(text, func(m string) string {
		if imp, ok := library[m[1:]]; ok {
			return w.importing(imp)
		}
		return w.name(m[1:])
	})
}

const reexported = "# A pickle that was made in a notebook looks for its classes in __main__, which is\n# another " +
	"module under gunicorn."

// standInParts stand for what the notebook takes from metaml. NAME is what the file calls them.
var standInParts = map[string]string{
	"model": `def NAME():
    """The folder with the files of the model: $MODEL, else ./model."""
    return $Path($os.environ.get("MODEL", "model"))`,
	"output": `def NAME():
    """The folder for files that are written: $OUTPUT, else ./output."""
    folder = $Path($os.environ.get("OUTPUT", "output"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder`,
	"report": `def NAME(step=None, **metrics):
    values = ", ".join(f"{name} {value}" for name, value in metrics.items())
    print(values if step is None else f"step {step}: {values}")`,
	"checkpoint": `def NAME():
    """What is written stays where it is."""`,
	"trial": `def NAME():
    """None: there are no trials here."""`,
	"attempt": `def NAME():
    """None: there are no trials here."""`,
	"seed": `def NAME():
    """The same number until the process ends."""
    return $os.getpid()`,
	"HTTPError": `class NAME($HTTPException):
    """An error with a status of the function's own."""

    def __init__(self, status, text="", *, headers=None):
        super().__init__(text)
        self.code = self.status = status
        self.description = self.text = text or self.name
        self.headers = headers or {}

    def get_headers(self, *arguments):
        return [*super().get_headers(*arguments), *dict(self.headers).items()]`,
	"Response": `def NAME(body=b"", *, type="", status=200, headers=None):
    """An answer with a content type, a status or headers of its own."""
    if isinstance(body, str):
        type = type or "text/plain"
    elif isinstance(body, bytes) or hasattr(body, "__next__"):
        type = type or "application/octet-stream"
    else:
        body, type = $json.dumps(body), type or "application/json"
    return $Response(body, status, headers, mimetype=type)`,
}

// model gives the functions that stand for ours; the notebook's code may need them at once.
func (w *writer) model() []block {
	var out []block
	for _, n := range standIns {
		if !w.ours.used[n] {
			continue
		}
		text := strings.Replace(standInParts[n], "NAME()", w.ours.called[n]+"()", 1)
		if w.ours.given[n] {
			text = strings.Replace(text, w.ours.called[n]+"()", w.ours.called[n]+"(run=None)", 1)
		}
		text = strings.Replace(text, "NAME(", w.ours.called[n]+"(", 1)
		// $MODEL and $OUTPUT are meant as they are.
		text = strings.NewReplacer("$MODEL", "\x00MODEL", "$OUTPUT", "\x00OUTPUT").Replace(text)
		out = append(out, block{text: strings.ReplaceAll(w.fill(text), "\x00", "$"), apart: true})
	}
	return out
}

const inputPart = `def $read_input():
    """DOC"""
    if $request.method == "GET":
        return $fields_of($request.args)
    if $request.mimetype == "multipart/form-data":
        FORM
    curl = $request.mimetype in ("", "application/x-www-form-urlencoded")
    if not ($request.is_json or curl):  # curl -d sends JSON as a form
        OTHERWISE
    try:
        return $json.loads($request.get_data())
    except (ValueError, RecursionError) as error:
        if $request.form and $request.get_data().lstrip()[:1] not in (b"{", b"[", b'"'):
            return $fields_of($request.form)
        $abort(400, f"the body is not JSON: {error}")`

const fieldsPart = `def $fields_of(form):
    """The fields of a query or a form; a list where one was given several times."""
    fields = form.to_dict(flat=False)
    return {name: one[0] if len(one) == 1 else one for name, one in fields.items()}`

const namedPart = `def $by_name(value, name):
    """The value, or that of an object's only key, if it is the parameter's name."""
    return value[name] if isinstance(value, dict) and list(value) == [name] else value`

const bytesPart = `def $read_bytes(name):
    """The body, or of a form the file with the parameter's name."""
    if $request.mimetype != "multipart/form-data":
        return $request.get_data()
    if name not in $request.files:
        $abort(422, f"{name} is missing: the form has no file of that name")
    return $request.files[name].read()`

const argumentsPart = `def $check_arguments(function, fields):
    """The fields must be an object with the arguments of the function."""
    if not isinstance(fields, dict):
        $abort(422, f"the body must be an object, not {type(fields).__name__}")
    try:
        $inspect.signature(function).bind(**fields)
    except TypeError as error:
        $abort(422, str(error))`

const checkPart = `def $check(value, kind, name):
    """The value, if it is of the kind."""
    form = $request.method == "GET" or $request.form  # of which all values are text
    if form and kind is not str and isinstance(value, str):
        with $contextlib.suppress(ValueError):
            value = $json.loads(value)
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        $abort(422, f"{name} must be {kind.__name__}, not {type(value).__name__}")
    return value`

const arrayPart = `def $as_array(value, name, dtype=float):
    try:
        return $np.asarray(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        $abort(422, f"{name} must be an array of {dtype.__name__}: {error}")`

const makePart = `def $make(kind, fields, name):
    """An object of a dataclass, from its fields."""
    if not isinstance(fields, dict):
        $abort(422, f"{name} must be an object, not {type(fields).__name__}")
    try:
        $inspect.signature(kind).bind(**fields)
        return kind(**fields)
    except (TypeError, ValueError) as error:
        $abort(422, f"{name}: {error}")`

const keysPart = `def $check_keys(value, kind, name):
    """The value, if it is an object with the keys of a TypedDict."""
    if not isinstance(value, dict):
        $abort(422, f"{name} must be an object, not {type(value).__name__}")
    if missing := kind.__required_keys__ - value.keys():
        $abort(422, f"{name} has no {', '.join(sorted(missing))}")
    if extra := value.keys() - kind.__required_keys__ - kind.__optional_keys__:
        $abort(422, f"{name} has {', '.join(sorted(extra))}, which is not expected")
    return value`

const validatePart = `def $validate(validator, value):
    """What pydantic makes of the value."""
    try:
        return validator(value)
    except $ValidationError as error:
        problems = []
        for one in error.errors():
            place = ".".join(map(str, one["loc"])) or "the body"
            problems.append(f"{place}: {one['msg']}")
        $abort(422, "; ".join(problems))`

const stepsPart = `def $step_by_step(parts):
    """What an asynchronous generator yields, in a plain one."""
    loop = $asyncio.new_event_loop()
    try:
        while True:
            yield loop.run_until_complete(anext(parts))
    except StopAsyncIteration:
        pass
    finally:
        loop.run_until_complete(parts.aclose())
        loop.close()`

const errorsPart = `@$app.errorhandler($HTTPException)
def $refused(error):
    response = error.get_response()
    response.data = $json.dumps({"error": error.description})
    response.content_type = "application/json"
    return response


@$app.errorhandler(Exception)
def $failed(error):
    """The log has the reason; the caller gets the id under which it is there."""
    number = $uuid.uuid4().hex[:12]
    $app.logger.exception("%s FUNCTION failed", number)
    message = "FUNCTION failed; the log has the reason under this id"
    return {"error": message, "id": number}, 500`

// view is the code that a request runs.
type view struct {
	lines  []string
	value  string // the expression of the result
	fields bool   // a query or a form may be the input
	other  bool   // bytes may be
	reads  bool   // the body is JSON
	uses   map[string]bool
}

// parts writes what stands below the notebook's code.
func (w *writer) parts() []block {
	var out []block
	add := func(texts ...string) {
		for _, t := range texts {
			if t != "" {
				out = append(out, block{text: w.fill(t), apart: true})
			}
		}
	}
	v := w.view()
	var helpers []string
	if v.reads {
		helpers = append(helpers, w.input(v))
	}
	if v.fields {
		helpers = append(helpers, fieldsPart)
	}
	check := checkPart
	if !v.fields {
		check = cut(check, `    form = $request.method`, `    if kind is float`)
	}
	for _, p := range []struct{ name, text string }{
		{"$by_name", namedPart},
		{"$read_bytes", bytesPart},
		{"$check_arguments", argumentsPart},
		{"$check", check},
		{"$as_array", arrayPart},
		{"$make", makePart},
		{"$check_keys", keysPart},
		{"$validate", validatePart},
	} {
		if v.uses[p.name] {
			helpers = append(helpers, p.text)
		}
	}
	answer, answers := w.answer(v)
	helpers = append(helpers, answers...)
	out = append(out, block{text: w.fill("$app = $Flask(__name__)"), cell: -2})
	path := w.o.Path
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded // as Flask has it
	}
	methods := `@$app.post(` + strconv.Quote(path) + `)`
	if v.fields {
		methods = `@$app.route(` + strconv.Quote(path) + `, methods=["GET", "POST"])`
	}
	add(helpers...)
	add(methods + "\ndef $answer():\n    " + strings.Join(append(v.lines, answer), "\n    "))
	if w.o.Path != "/healthz" {
		add("@$app.get(\"/healthz\")\ndef $healthz():\n    return \"ok\\n\"")
	}
	add(strings.ReplaceAll(errorsPart, "FUNCTION", w.s.Entry.Name))
	add(fmt.Sprintf("if __name__ == \"__main__\":\n    $app.run(host=%s, port=%d, threaded=False)",
		strconv.Quote(w.o.Host), w.o.Port))
	return out
}

// cut leaves out what stands between two texts, the first included.
func cut(text, from, to string) string {
	i, j := strings.Index(text, from), strings.Index(text, to)
	return text[:i] + text[j:]
}

func (w *writer) input(v *view) string {
	text, doc := inputPart, "The body, which is JSON"
	if v.fields {
		doc = "The body, which is JSON or a form; of a GET the query"
	} else {
		text = cut(text, "    if $request.method", "    if $request.mimetype")
		text = cut(text, "        if $request.form and", "        $abort(400")
	}
	if v.other {
		text = strings.Replace(text, "FORM",
			"files = {name: file.read() for name, file in $request.files.items()}\n        return "+
				"{**$fields_of($request.form), **files}", 1)
		return strings.NewReplacer("OTHERWISE", "return $request.get_data()", "DOC",
			doc+"; else its bytes.").Replace(text)
	}
	text = cut(text, "    if $request.mimetype", "    curl = ")
	return strings.NewReplacer("OTHERWISE", `$abort(415, "the content type must be application/json")`, "DOC",
		doc+".").Replace(text)
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
		v.uses["$check_arguments"] = true
		v.lines = append(v.lines, "fields = $read_input()", "$check_arguments("+e.Name+", fields)")
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
	if _, ours := library[local]; ours || w.taken[local] || slices.Contains(localNames, local) {
		local = "value"
	}
	value := "$read_input()"
	if k.takesName(p.Annotation) {
		v.uses["$by_name"] = true
		value = "$by_name($read_input(), " + strconv.Quote(p.Name) + ")"
	}
	switch {
	case k.how == rawBytes:
		v.uses["$read_bytes"] = true
		v.reads, value = false, "$read_bytes("+strconv.Quote(p.Name)+")"
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

// localNames are the names of parts that a view mentions.
var localNames = []string{
	"answer", "as_array", "app", "by_name", "check", "read_bytes", "check_arguments", "check_keys", "fields_of", "make",
	"read_input", "respond", "step_by_step", "stream", "to_json", "validate",
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
	if one := w.converted(v, k.of, "one", name); k.name == "dict" {
		line("{key: " + one + " for key, one in " + target + ".items()}")
	} else {
		line("[" + one + " for one in " + target + "]")
	}
}

// converted writes the expression for a kind that takes one.
func (w *writer) converted(v *view, k *kind, value, name string) string {
	use := func(part, arguments string) string {
		v.uses[part] = true
		return part + "(" + arguments + ")"
	}
	quoted := strconv.Quote(name)
	switch k.how {
	case scalar, container:
		checked := use("$check", value+", "+k.name+", "+quoted)
		switch {
		case k.of == nil:
			return checked
		case k.name == "dict":
			return "{key: " + w.converted(v, k.of, "one", name) + " for key, one in " + checked + ".items()}"
		}
		return "[" + w.converted(v, k.of, "one", name) + " for one in " + checked + "]"
	case array:
		if k.dtype == "float" {
			return use("$as_array", value+", "+quoted)
		}
		return use("$as_array", value+", "+quoted+", "+k.dtype)
	case dataclass:
		return use("$make", k.name+", "+value+", "+quoted)
	case typedDict:
		return use("$check_keys", value+", "+k.name+", "+quoted)
	case pydantic:
		return use("$validate", k.name+".model_validate, "+value)
	case adapted:
		return use("$validate", "$TypeAdapter("+k.name+").validate_python, "+value)
	case optional:
		return "None if " + value + " is None else " + w.converted(v, k.of, value, name)
	}
	return value
}

// answer writes the last line of the view, and the functions that it needs.
func (w *writer) answer(v *view) (string, []string) {
	e := w.s.Entry
	r := w.results()
	var helpers []string
	own := w.ours.used["Response"] && !e.IsGenerator
	if own {
		r = anything
	}
	dumps := "$json.dumps(VALUE, allow_nan=False)"
	if r.json {
		if plain := w.plain(); plain != "" {
			helpers = append(helpers, plain)
			dumps = "$json.dumps(VALUE, default=$to_json, allow_nan=False)"
		}
	}
	if e.IsGenerator {
		call := v.value
		if e.IsAsync {
			call = "$step_by_step(" + call + ")"
			helpers = append(helpers, stepsPart)
		}
		return "return $stream(" + call + ")", append(helpers, streamPart(r, dumps))
	}
	if e.IsAsync {
		v.value = "$asyncio.run(" + v.value + ")"
	}
	if w.o.Batch {
		v.value += "[0]"
	}
	switch r {
	case results{json: true}:
		return "text = " + strings.Replace(dumps, "VALUE", v.value, 1) + "\n    " +
			`return $Response(text, mimetype="application/json")`, helpers
	case results{text: true}:
		return "return $Response(" + v.value + `, mimetype="text/plain")`, helpers
	case results{bytes: true}:
		return "return $Response(" + v.value + `, mimetype="application/octet-stream")`, helpers
	}
	text := "def $respond(result):\n"
	if own {
		text += "    if isinstance(result, $Response):\n        return result\n"
	}
	if r.bytes {
		text += "    if isinstance(result, bytes):\n        return $Response(result, " +
			"mimetype=\"application/octet-stream\")\n"
	}
	if r.text && r.json {
		text += "    if isinstance(result, str):\n        return $Response(result, mimetype=\"text/plain\")\n"
	}
	if r.json {
		text += "    text = " + strings.Replace(dumps, "VALUE", "result", 1) +
			"\n    return $Response(text, mimetype=\"application/json\")"
	} else {
		text += "    return $Response(result, mimetype=\"text/plain\")"
	}
	return "return $respond(" + v.value + ")", append(helpers, text)
}

func streamPart(r results, dumps string) string {
	text := `def $stream(parts):
    """The parts, as they come. The first is waited for, so that an early error can be told."""
    first = list($itertools.islice(parts, 1))
    parts = $itertools.chain(first, parts)
`
	switch r {
	case results{text: true}:
		return text + "    return $Response(parts, mimetype=\"text/plain\")"
	case results{bytes: true}:
		return text + "    return $Response(parts, mimetype=\"application/octet-stream\")"
	}
	if r.bytes {
		text += "    if first and isinstance(first[0], bytes):\n        return $Response(parts, " +
			"mimetype=\"application/octet-stream\")\n"
	}
	if r.text {
		text += "    if first and isinstance(first[0], str):\n        return $Response(parts, " +
			"mimetype=\"text/plain\")\n"
	}
	text += "    encoded = (" + strings.Replace(dumps, "VALUE", "part", 1) +
		" for part in parts)\n    lines = (text + \"\\n\" for text in encoded)\n"
	return text + "    return $Response(lines, mimetype=\"application/x-ndjson\")"
}

// plain writes the function that makes JSON of what json does not know, as far as the notebook's libraries have such
// values.
func (w *writer) plain() string {
	arrays, models, classes := false, false, false
	for _, m := range w.s.Imports {
		switch m {
		case "pydantic":
			models = true
		case "dataclasses":
			classes = true
		case "flask", "requests", "httpx", "yaml", "IPython":
		default:
			arrays = arrays || !slicer.IsStandard(m)
		}
	}
	if !arrays && !models && !classes {
		return ""
	}
	text := "def $to_json(value):\n    \"\"\"What JSON has for values that it does not know.\"\"\"\n"
	if arrays {
		text += "    if hasattr(value, \"tolist\"):  # numpy and the like\n        return value.tolist()\n"
	}
	if models {
		text += "    if isinstance(value, $BaseModel):\n        return value.model_dump(mode=\"json\")\n"
	}
	if classes {
		text += "    if $dataclasses.is_dataclass(value):\n        return $dataclasses.asdict(value)\n"
	}
	return text + "    raise TypeError(f\"a {type(value).__name__} cannot be JSON\")"
}
