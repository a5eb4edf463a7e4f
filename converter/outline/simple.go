package outline

import "strings"

// simple reads a statement without a block.
func (p *parser) simple(s *Statement) {
	future := false
	switch p.tok {
	case imports:
		s.Kind, s.Imported = Import, p.imports()
	case from:
		p.fromImport(s)
		future = s.Kind == Future
	case pass:
		p.next()
	case breaks, continues:
		if !p.scope.loop {
			p.fail()
			return
		}
		p.next()
	case returns:
		p.returns()
	case yield:
		p.yield()
	case del:
		p.deletes()
	case assert:
		p.next()
		p.expr()
		if p.tok == comma {
			p.next()
			p.expr()
		}
	case raise:
		if p.next(); p.begins() {
			p.expr()
			if p.tok == from {
				p.next()
				p.expr()
			}
		}
	case global:
		p.globals()
	default:
		p.expression(s)
	}
	if !future {
		p.scope.futureEnded = true
	}
}

func (p *parser) returns() {
	if p.scope.kind != function && p.scope.kind != asyncFunction {
		p.fail()
		return
	}
	if p.next(); p.begins() {
		p.scope.returns = true
		p.values()
	}
}

func (p *parser) deletes() {
	p.next()
	i := len(p.names)
	e := p.exprs()
	if e&deletable == 0 {
		p.fail()
		return
	}
	p.bound(i, e|target)
}

// globals reads a global statement, whose names the function has not used yet.
func (p *parser) globals() {
	p.scope.global = true
	for {
		p.next()
		if p.tok != identifier {
			p.fail()
			return
		}
		for _, n := range p.names[p.scope.from:] {
			if n.Text == p.src[p.start:p.end] && n.Use != Attribute && n.Use != Keyword {
				p.fail()
				return
			}
		}
		p.name(Read)
		if p.next(); p.tok != comma {
			return
		}
	}
}

// expression reads an expression or an assignment.
func (p *parser) expression(s *Statement) {
	if p.tok == identifier {
		if word := p.src[p.start:p.end]; (word == "print" || word == "exec") && !strings.HasPrefix(p.src[p.end:], "(") {
			p.fail() // a statement of Python 2, or what looks like one
			return
		}
	}
	s.Kind = Expression
	i := len(p.names)
	e := p.exprs()
	switch p.tok {
	case assign:
		s.Kind = Assign
		if e&isName != 0 {
			s.Target = p.names[i].Text
		}
		for p.tok == assign {
			p.bound(i, e)
			p.next()
			if p.tok == yield {
				p.yield()
				if p.tok == assign {
					p.fail()
				}
				return
			}
			i = len(p.names)
			e = p.exprs()
		}
	case colon:
		s.Kind = Assign
		if e&single == 0 {
			p.fail()
			return
		}
		if e&isName != 0 {
			s.Target = p.names[i].Text
			p.scope.annotated = true
		}
		p.bound(i, e)
		p.next()
		p.annotation()
		if p.tok == assign {
			p.next()
			p.assigned()
		}
		return
	case augmented:
		s.Kind = Augmented
		if e&single == 0 {
			p.fail()
			return
		}
		p.bound(i, e)
		p.next()
		p.assigned()
		return
	default:
		s.Tuple = e&tuple != 0
		if e&isCall != 0 {
			s.Callee = p.callee
		}
	}
	if e&isStarred != 0 {
		p.fail()
	}
}

// assigned reads what is assigned.
func (p *parser) assigned() {
	if p.tok == yield {
		p.yield()
		return
	}
	p.values()
}

// dotted reads a module's name.
func (p *parser) dotted() string {
	start := p.start
	for {
		if p.tok != identifier {
			p.fail()
			return ""
		}
		p.name(Read)
		if p.next(); p.tok != dot {
			return p.src[start:p.lastEnd]
		}
		p.next()
	}
}

func (p *parser) imports() []Imported {
	var all []Imported
	for {
		p.next()
		i := len(p.names)
		imported := Imported{Name: p.dotted()}
		if p.failed {
			return nil
		}
		if p.tok == as {
			p.next()
			imported.As = p.src[p.start:p.end]
			p.bindWord()
		} else {
			p.names[i].Use = p.binding()
		}
		all = append(all, imported)
		if p.tok != comma {
			return all
		}
	}
}

// futures are the features that all of Python 3.9 to 3.14 know.
func isFuture(name string) bool {
	switch name {
	case "annotations", "division", "print_function", "unicode_literals", "absolute_import", "generator_stop",
		"with_statement", "generators", "nested_scopes":
		return true
	}
	return false
}

func (p *parser) fromImport(s *Statement) {
	p.next()
	start := p.start
	for p.tok == dot || p.tok == ellipsis {
		p.next()
	}
	if p.tok == identifier {
		p.dotted()
	} else if p.start == start {
		p.fail()
		return
	}
	s.Kind, s.ImportedFrom = FromImport, p.src[start:p.lastEnd]
	future := s.ImportedFrom == "__future__"
	if future {
		s.Kind = Future
		if p.scope.futureEnded || p.scope.kind != module {
			p.fail()
			return
		}
	}
	p.expect(imports)
	if p.tok == star {
		if p.scope.kind != module || future {
			p.fail()
			return
		}
		s.Imported = append(s.Imported, Imported{"*", "*"})
		p.next()
		return
	}
	brackets := p.tok == open
	if brackets {
		p.next()
	}
	for {
		if p.tok != identifier {
			p.fail()
			return
		}
		i := len(p.names)
		imported := Imported{Name: p.src[p.start:p.end]}
		if future && !isFuture(imported.Name) {
			p.fail()
			return
		}
		p.name(Read)
		if p.next(); p.tok == as {
			p.next()
			imported.As = p.src[p.start:p.end]
			p.bindWord()
		} else {
			p.names[i].Use = p.binding()
		}
		s.Imported = append(s.Imported, imported)
		if p.tok != comma {
			break
		}
		if p.next(); brackets && p.tok == closed {
			break
		}
	}
	if brackets {
		p.expect(closed)
	}
}
