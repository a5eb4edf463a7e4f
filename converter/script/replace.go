package script

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// memory are the names under which IPython keeps what cells had and gave.
var memory = lazyregexp.New(`^(In|Out|_{1,3}|_i{0,3}|_i?\d+|_ih|_oh|_dh|_exit_code)$`)

// fromIPython are the modules whose names a script gets in other ways.
var fromIPython = map[string]bool{
	"IPython": true, "IPython.display": true, "IPython.core.display": true, "IPython.core.interactiveshell": true,
	"IPython.lib.display": true, "IPython.core.display_functions": true, "IPython.core.getipython": true,
	"IPython.utils.capture": true, "IPython.utils.io": true,
}

// absent are names that other services give to their notebooks, with what to do instead.
var absent = map[string]string{
	"dbutils":     "Read arguments by argparse, secrets from the environment, and files by their paths.",
	"displayHTML": "Write the text into a file.",
	"spark":       "Make it by pyspark.sql.SparkSession.builder.getOrCreate().",
}

// asked is a condition that asks where the code runs.
var asked = lazyregexp.New(`(?i)get_ipython|ipython|jupyter|notebook|colab|kaggle|databricks|dbutils|__file__`)

// replacing are the edits for what only a kernel, IPython or Colab gives.
type replacing struct {
	*scripting
	a         analysed
	at        place
	edits     []edit
	raised    []*syntax.Node
	statement *syntax.Node // the innermost one
	guarded   int          // how many statements are open that expect not to be in a notebook
}

// replaced gives these edits, and the statements that are refused as a whole.
func (s *scripting) replaced(a analysed, at place) ([]edit, []*syntax.Node) {
	r := &replacing{scripting: s, a: a, at: at}
	r.walk(a.tree.Root, nil)
	return r.edits, r.raised
}

func (r *replacing) walk(n, parent *syntax.Node) {
	if parent != nil && (parent.Kind == "module" || parent.Kind == "block") && n.Kind != "comment" {
		before := r.statement
		r.statement = n
		defer func() { r.statement = before }()
	}
	switch n.Kind {
	case "import_from_statement", "import_statement":
		r.imports(n)
		return
	case "assignment":
		left, right := n.Child("left"), n.Child("right")
		if left != nil && right != nil && left.Kind == "identifier" && right.Text() == "get_ipython()" {
			r.shells[left.Text()] = true
		}
		if left != nil && left.Kind == "attribute" && interactivity.MatchString(n.Text()) {
			r.gone(n)
			return
		}
	case "attribute":
		if r.attribute(n) {
			return
		}
	case "identifier":
		r.identifier(n, parent)
	case "string":
		r.file(n)
	case "try_statement":
		r.guarded++
		defer func() { r.guarded-- }()
	case "if_statement", "conditional_expression":
		condition := n.Child("condition")
		if condition == nil && len(n.Children) > 1 {
			condition = n.Children[1]
		}
		if condition != nil && r.asks(condition) {
			r.guarded++
			defer func() { r.guarded-- }()
		}
	}
	for _, c := range n.Children {
		r.walk(c, n)
	}
}

// asks says that a condition asks where the code runs.
func (r *replacing) asks(condition *syntax.Node) bool {
	found := asked.MatchString(condition.Text())
	visit(condition, nil, func(n, _ *syntax.Node) bool {
		found = found || n.Kind == "identifier" && r.shells[n.Text()]
		return true
	})
	return found
}

// refuse puts a raise in place of the statement.
func (r *replacing) refuse(n *syntax.Node, said, instead string) {
	r.out.Refused = append(r.out.Refused, r.note(r.at, n.Row+1, said, instead))
	st := r.statement
	if st == nil {
		st = n
	}
	if slices.Contains(r.raised, st) {
		return
	}
	r.raised = append(r.raised, st)
	text := raising(said, instead)
	if !r.followed(r.a.Code, st) {
		first, _, _ := strings.Cut(st.Text(), "\n")
		text += "  # " + first
	}
	r.edits = slices.DeleteFunc(r.edits, func(e edit) bool { return e.from >= st.Start && e.to <= st.End })
	r.edits = append(r.edits, over(st, text))
}

// gone leaves a statement as a comment.
func (r *replacing) gone(n *syntax.Node) {
	first, more, _ := strings.Cut(n.Text(), "\n")
	lineStart := strings.LastIndexByte(r.a.Code[:n.Start], '\n') + 1
	text := "# " + first
	if lineStart != n.Start {
		text = "pass  # " + first
	}
	if r.followed(r.a.Code, n) {
		text = "pass"
	}
	_ = more
	r.edits = append(r.edits, over(n, text))
}

// identifier looks at the use of a name that a kernel gives.
func (r *replacing) identifier(n, parent *syntax.Node) {
	if n.Field == "attribute" || parent != nil && parent.Kind == "keyword_argument" && n.Field == "name" {
		return
	}
	name := n.Text()
	if r.stored[name] {
		return
	}
	switch instead, is := absent[name]; {
	case name == "get_ipython" && r.guarded == 0:
		r.used["get_ipython"] = true
	case name == "display":
		if !r.imported[name] {
			r.used["display"] = true
			r.heads[name] = "_metaml_display"
		}
	case name == "display_id":
		r.used["handle"] = true
	case memory.MatchString(name):
		r.refuse(n, name+" is what the notebook remembers of another cell, which a script does not",
			"Give the value a name.")
	case is && r.guarded == 0:
		r.refuse(n, name+" is there in Databricks only", instead)
	}
	if name == "display" && r.mentioned("display_id") {
		r.used["handle"] = true
	}
}

// services are folders of other services, in which they have the files of a notebook.
var (
	services  = []string{"../input", "/kaggle/input", "/content/drive"}
	serviceOf = map[string]string{"../input": "Kaggle", "/kaggle/input": "Kaggle", "/content/drive": "Colab"}
)

// file says where files of other services are expected.
func (r *replacing) file(n *syntax.Node) {
	text := strings.Trim(n.Text(), `rRfFbB"'`)
	for _, prefix := range services {
		of := serviceOf[prefix]
		if (text == prefix || strings.HasPrefix(text, prefix+"/")) && !r.said[prefix] {
			r.said[prefix] = true
			r.out.Notes = append(r.out.Notes, r.note(r.at, n.Row+1, "files are expected in "+prefix+", as in "+of,
				"Put them there, or change the path."))
		}
	}
}

// attribute replaces what is done by IPython's object, and old names of progress bars. It is true where nothing below
// the node is to be looked at.
func (r *replacing) attribute(n *syntax.Node) bool {
	object, name := n.Child("object"), n.Child("attribute")
	if object == nil || name == nil {
		return false
	}
	switch of := object.Text(); {
	case of == "get_ipython()" || r.shells[of]:
		with := func(text string) bool {
			r.edits = append(r.edits, edit{n.Start, n.End, text})
			return true
		}
		switch name.Text() {
		case "system":
			r.used[ipython.Run] = true
			return with(ipython.Run)
		case "getoutput":
			r.used[ipython.Lines] = true
			return with(ipython.Lines)
		case "user_ns", "user_global_ns":
			return with("globals()")
		case "__class__", "__doc__":
			return false
		}
		if r.guarded > 0 {
			return false // whoever asks there is ready for another answer
		}
		r.refuse(n, "get_ipython()."+name.Text()+only, "Write it in Python.")
		return true
	case of == "tqdm" && (name.Text() == "notebook" || name.Text() == "tqdm_notebook" || name.Text() == "tnrange"):
		to := map[string]string{"notebook": "tqdm", "tqdm_notebook": "tqdm.tqdm", "tnrange": "tqdm.trange"}
		r.edits = append(r.edits, edit{n.Start, n.End, to[name.Text()]})
		return true
	case of == "google.colab" && r.guarded == 0 && r.mentioned("google"):
		if _, ok := colab[name.Text()]; ok {
			r.used["colab_"+name.Text()] = true
			r.edits = append(r.edits, edit{n.Start, n.End, "_metaml_" + name.Text()})
			return true
		}
	}
	return false
}

const only = " runs in a notebook only"
