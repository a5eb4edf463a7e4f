package slicer

import "github.com/metaml/metaml/converter/syntax"

// ref is a name in an effect: of the top level, or a parameter of the function that is described.
type ref struct {
	name    string
	param   bool
	loose   bool    // it was given to a call, whose result may hold it or not
	flat    bool    // what is changed is the object itself, and nothing that it holds: x[k] = v
	derived bool    // it is what a method of the name gave: a part of an object, but nothing of a module
	maker   string  // what was called with it, where the result may hold it: "RandomForestClassifier"
	copied  bool    // … of which this is a copy, which shares what is inside
	part    bool    // … a part of the object: x.a, x[k]
	moved   bool    // what is changed is how far it was read
	result  *result // it is what the call of the name gives
	attr    string  // of a parameter, the attribute of it that is spoken of, or that holds it
	sliced  bool    // … x[1:], which is a copy if it is a list
	class   bool    // the class of the object is spoken of
	called  string  // it is what the method of this name gives: something new, unless the code of the method says else
}

// result is a call whose result is spoken of.
type result struct {
	args []arg
}

// use is a name that is read.
type use struct {
	name string
	line int    // from 1, in the cell
	by   string // the function or class whose body reads it; "" at the top level
	soft bool   // an annotation, or a word of a shell command: it may go without
	word bool   // a word of a shell command, which is the shell's where Python does not know it
}

// bind is a name of the top level that a statement binds.
type bind struct {
	name    string
	must    bool  // surely, if the statement ends at all
	aliases []ref // names whose object, or a part of it, the value may be
	parts   []ref // names whose object the value may hold inside
	fn      *function
	def     *syntax.Node // of a function or class
	class   *class
	imp     *imported
	line    int
	value   *syntax.Node // the expression whose value the name gets, where it is one
	each    *syntax.Node // the expression of whose parts the name gets one after the other
	// what the name is annotated with
	annotation *syntax.Node
	added      bool     // by an augmented assignment, parts are what is added
	wrappers   []string // names of the decorators of a function
}

// imported is what an import binds a name to.
type imported struct {
	module string // "numpy.random"; with dots in front where it is relative
	name   string // of `from module import name`; "" binds the module
	whole  bool   // `import a.b` without an alias binds a
}

// call is a call of something.
type call struct {
	callee    string   // the leftmost name of the callee, where it is one
	root      []ref    // what that name may be
	plain     bool     // it is a name of the top level
	path      []string // the attributes behind it
	obj       []ref    // what the object of a method call may be
	args      []arg
	discarded bool      // its value is thrown away
	shown     bool      // … but shown by the notebook
	inplace   bool      // inplace=True
	imp       *imported // what the callee begins with, where the code imports it itself
	module    string    // of __import__("module")
	line      int
	node      *syntax.Node
	recv      *syntax.Node // the object of a method call, as an expression
	sc        *scope       // around it, within the statement
	above     *class       // of super().method(): the class whose bases have the method
	load      bool         // nothing is called by name: an item or attribute is read, or it is gone over
}

// arg is an argument of a call.
type arg struct {
	key  string // of a keyword argument; "*" and "**" are splats
	refs []ref
	none bool // the literal None
	node *syntax.Node
	of   *class // the object's class, where that is no matter of its expression
}

// effects are what a piece of code does when it is executed.
type effects struct {
	uses      []use
	late      []use // read by the bodies of functions
	binds     []bind
	deleted   []string
	changes   []ref         // stores into attributes and items, augmented assignments
	contained []containment // what such a store puts in
	calls     []call
	stars     []string       // modules of `from module import *`
	imports   []imported     // also those inside of functions
	guards    []*syntax.Node // calls that look whether there is a notebook
	loaded    []string       // modules that sys.modules["module"] names
	strings   []*syntax.Node
	await     bool // outside of a function
	yields    bool
	globals   []string // bound by the function with `global`
	names     map[string]bool
}

// add adds what another piece of code changes.
func (e *effects) add(o *effects) {
	e.changes = append(e.changes, o.changes...)
	e.contained = append(e.contained, o.contained...)
	e.calls = append(e.calls, o.calls...)
}

// containment says that target holds what refs are.
type containment struct {
	target ref
	refs   []ref
}

// function is what is known of a function of the top level, or of a method.
type function struct {
	name   string
	params []string
	vararg string
	kwarg  string
	e      effects
	busy   bool

	returned []returned
	inner    effects // what the functions inside of it do
	global   bool    // of the top level
	kept     []standing
	property bool      // it is called when it is read
	stateful bool      // a function inside of it changes what is local to it
	busyKind bool      // its kind is being found
	innerFn  *function // what it makes, as a function
}

// standing is a parameter whose default is an object that stays: to=[], to=results.
type standing struct {
	name string
	refs []ref
}

// returned is what a function returns at one place.
type returned struct {
	node *syntax.Node
	sc   *scope
	refs []ref
}

// class is what is known of a class of the top level.
type class struct {
	name    string
	bases   []string
	methods map[string]*function

	baseNodes  []*syntax.Node        // all bases, as expressions
	mutates    map[string]bool       // attributes of which its methods change the objects
	shares     bool                  // its objects have something in common that may change
	attributes map[string][]returned // what its methods give to attributes of its objects
	metaclass  string                // a name, where it is one

	filled        []string // attributes of which __init__ changes the objects
	sharesChanged bool     // one of these is the class's own
}
