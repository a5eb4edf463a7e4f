package slicer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// asking are functions that ask a person, or the page that shows the notebook; where nobody answers, they fail.
var asking = words(`
	getpass.getpass click.prompt click.confirm typer.prompt typer.confirm prompt_toolkit.prompt rich.prompt.Prompt.ask
	rich.prompt.IntPrompt.ask rich.prompt.Confirm.ask inquirer.prompt pwinput.pwinput maskpass.askpass maskpass.advpass
	stdiomask.getpass google.colab.userdata.get google.colab.files.upload
`)

// logins are functions that keep on the machine what a person has typed, so that it is there the next time.
var logins = map[string]bool{
	"login": true, "notebook_login": true, "interpreter_login": true, "authenticate_user": true, "authenticate": true,
}

// question is where a person is asked.
type question struct {
	call string // as it is written: "getpass.getpass"
	cell *cell
	line int
}

// asks finds the question that a statement asks when it is executed: itself, by a function of the session, or for a
// value that it uses; nil if it asks none.
func (w *work) asks(s *stmt) *question { return w.asksAt(s, map[any]bool{}) }

func (w *work) asksAt(s *stmt, seen map[any]bool) *question {
	if seen[s] || s.node == nil || len(seen) > 10000 {
		return nil
	}
	seen[s] = true
	if isDefinition(s.node) {
		return nil
	}
	if q := w.asksIn(s.e.calls, s, seen); q != nil {
		return q
	}
	for _, u := range s.e.uses {
		for _, v := range s.uses[u.name] {
			if v.stmt == nil {
				continue
			}
			if q := w.asksAt(v.stmt, seen); q != nil {
				return q
			}
		}
	}
	return nil
}

// asksIn looks for a question in calls of a statement, or of a function that is defined there.
func (w *work) asksIn(calls []call, s *stmt, seen map[any]bool) *question {
	for i := range calls {
		c := &calls[i]
		if w.isQuestion(c, s.time) {
			return &question{strings.Join(append([]string{c.callee}, c.path...), "."), s.cell, c.line}
		}
		if !c.plain || len(c.path) > 0 {
			continue
		}
		vs, _ := w.at(c.callee, s.time)
		for _, v := range vs {
			if v.bind == nil || v.bind.fn == nil || v.stmt == nil || seen[v.bind.fn] {
				continue
			}
			seen[v.bind.fn] = true
			if q := w.asksIn(v.bind.fn.e.calls, v.stmt, seen); q != nil {
				return q
			}
		}
	}
	return nil
}

// isQuestion says that a call asks a person.
func (w *work) isQuestion(c *call, time int) bool {
	imp := c.imp
	if c.plain {
		if imp = w.importOf(c.callee, time); imp == nil && time < len(w.stmts) {
			imp = w.importOf(c.callee, len(w.stmts)) // of a function that is called later
		}
	}
	if imp != nil {
		return asking.has(imp.fullName(c.path))
	}
	vs, _ := w.at(c.callee, time)
	return c.plain && c.callee == "input" && len(c.path) == 0 && len(vs) == 0
}

// logsIn says that a statement logs in to a service by a question of the service's own, or with an answer.
func (w *work) logsIn(s *stmt) bool {
	return slices.ContainsFunc(s.e.calls, func(c call) bool {
		name := c.callee
		if len(c.path) > 0 {
			name = c.path[len(c.path)-1]
		}
		return c.plain && c.discarded && logins[name] && w.importOf(c.callee, s.time) != nil &&
			(len(c.args) == 0 || w.asks(s) != nil)
	})
}

// answered says that a statement sets up a module by asking a person, and that a program has the answer without it: in
// the environment, or where a login keeps it.
func (w *work) answered(s *stmt) bool {
	if w.o.Variables == nil || s.node == nil {
		return false
	}
	if w.logsIn(s) {
		return true
	}
	if !slices.Equal(s.modules, []string{"os"}) || w.asks(s) == nil {
		return false
	}
	if !slices.Contains(w.asked, s) {
		w.asked = append(w.asked, s)
	}
	return true
}

// answers refuses what reads a variable that a person is asked for, where it is not set. What reads one is known of
// those that are named literally.
func (w *work) answers() error {
	names := map[*stmt][]string{}
	var all []string
	for _, s := range w.asked {
		if _, ok := w.kept[s]; !ok { // else it is needed by name
			names[s], _ = w.variablesOf(s)
			all = append(all, names[s]...)
		}
	}
	if len(all) == 0 {
		return nil
	}
	set, err := w.variablesSet(all)
	if err != nil {
		return err
	}
	for _, s := range w.asked {
		missing := slices.DeleteFunc(names[s], func(name string) bool { return set[name] })
		if len(missing) == 0 {
			continue
		}
		q := w.asks(s)
		for _, name := range missing {
			if slices.Contains(w.out.Environment, name) {
				return usererror.At(usererror.CodeInteractive, q.cell.Seq, q.line,
					"%s reads the variable %s of the environment, which is not set and which %s() asks for (%s)",
					w.out.Entry.Name, name, q.call, w.position(q.cell, q.line)).
					With("Set %s in the environment before, or run that cell in the notebook.", name)
			}
		}
		w.note(NoteAsked, q.cell.Seq, q.line, "", "%s is not set and %s() cannot ask for it (%s), so that was left out",
			prose.List(missing), q.call, w.position(q.cell, q.line))
	}
	return nil
}

// refuseToAsk refuses a kept statement that asks a person. Where a condition or an exception decides, the program may
// never ask: it is kept if what the condition is likely to be about is set.
func (w *work) refuseToAsk(s *stmt) error {
	q := w.asksIn(s.e.calls, s, map[any]bool{})
	if q == nil || isDefinition(s.node) || w.o.Variables == nil && len(s.e.binds) == 0 {
		return nil
	}
	if names, conditional := w.variablesOf(s); conditional {
		if q.cell != s.cell || q.line < s.line || q.line > s.endLine || len(s.e.binds) == 0 {
			return nil
		}
		if w.o.Variables != nil && len(names) > 0 {
			set, err := w.variablesSet(names)
			if err != nil || len(set) == len(names) {
				return err
			}
		}
	}
	at := w.position(q.cell, q.line)
	if len(s.e.binds) > 0 {
		return usererror.At(usererror.CodeInteractive, q.cell.Seq, q.line,
			"%s uses `%s`, which was made by %s() in %s", w.user(s), s.name(), q.call, at).
			With("Define it in a cell, or ship its value with --with %s.", s.name())
	}
	return usererror.At(usererror.CodeInteractive, q.cell.Seq, q.line,
		"%s needs what %s() asks for in %s, and nobody answers in a program", w.user(s), q.call, at).
		With("Put the answer into a variable of the environment, or into a name that --with ships.")
}

// variablesSet asks which variables are set.
func (w *work) variablesSet(names []string) (map[string]bool, error) {
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	all, err := w.o.Variables(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("ask the session about %s: %w", prose.List(names), err)
	}
	set := map[string]bool{}
	for _, name := range names {
		if all[name] {
			set[name] = true
		}
	}
	return set, nil
}

// variablesOf gives the variables that a statement may set: literal keys of os.environ in it and in functions that it
// calls, and literal arguments that look like the name of one; and whether it is a condition that decides.
func (w *work) variablesOf(s *stmt) (names []string, conditional bool) {
	found := map[string]bool{}
	seen := map[*syntax.Node]bool{}
	var visit func(n *syntax.Node)
	visit = func(n *syntax.Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		n.Walk(func(c *syntax.Node) bool {
			switch c.Kind {
			case "if_statement", "try_statement", "while_statement", "match_statement", "boolean_operator",
				"conditional_expression":
				conditional = true
			case "string":
				if name, ok := literal(c.Text()); ok && isVariable(name) {
					found[name] = true
				}
			case "keyword_argument": // os.environ.update(KEY=getpass())
				if name := c.Child("name"); name != nil && isVariable(name.Text()) {
					found[name.Text()] = true
				}
			case "call":
				if f := c.Child("function"); f != nil && f.Kind == "identifier" {
					vs, _ := w.at(f.Text(), s.time)
					for _, v := range vs {
						if v.bind != nil && v.bind.fn != nil {
							visit(v.bind.def)
						}
					}
				}
			}
			return true
		})
	}
	visit(s.node)
	return sorted(found), conditional
}

// isVariable says that a text looks like the name of a variable of the environment.
func isVariable(name string) bool {
	return isIdentifier(name) && len(name) > 1 && name == strings.ToUpper(name) && strings.Trim(name,
		"_0123456789") != ""
}
