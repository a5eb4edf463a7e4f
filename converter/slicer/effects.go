package slicer

import "github.com/metaml/metaml/converter/syntax"

// ref is a name in an effect: of the top level, or a parameter of the function that is described.
type ref struct {
	name    string
	param   bool
	loose   bool // it was given to a call, whose result may hold it or not
	flat    bool // what is changed is the object itself, and nothing that it holds: x[k] = v
	derived bool // it is what a method of the name gave: a part of an object, but nothing of a module
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
	lambda  bool
	def     *syntax.Node // of a function or class
	class   *class
	imp     *imported
	line    int
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
	discarded bool // its value is thrown away
	shown     bool // … but shown by the notebook
	inplace   bool // inplace=True
	line      int
}

// arg is an argument of a call.
type arg struct {
	key  string // of a keyword argument; "*" and "**" are splats
	refs []ref
	none bool // the literal None
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
	stars     []string   // modules of `from module import *`
	imports   []imported // also those inside of functions
	strings   []*syntax.Node
	await     bool // outside of a function
	yields    bool
	globals   []string // bound by the function with `global`
	names     map[string]bool
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
}

// class is what is known of a class of the top level.
type class struct {
	name    string
	bases   []string
	methods map[string]*function
}
