package outline

// file reads the statements of a text.
func (p *parser) file() {
	for p.tok != end {
		if p.tok == newline { // of a line that has only a backslash
			p.fail()
			return
		}
		p.statement(true)
	}
	if p.scope.global && p.scope.annotated {
		p.fail()
	}
}

// statement reads a statement, or a line of simple ones. Those of the top level are noted.
func (p *parser) statement(top bool) {
	p.chains = 0
	s := Statement{Start: p.start, Row: p.startRow}
	first := len(p.names)
	switch p.tok {
	case ifs:
		p.conditional()
	case fors:
		p.loop()
	case while:
		p.whileLoop()
	case try:
		p.try()
	case with:
		p.with()
	case def, classes, at, async:
		s.Kind, s.Target = Definition, p.definition()
	default:
		p.line(top)
		return
	}
	p.scope.futureEnded = true
	if top {
		s.End, s.EndRow = p.codeEnd, p.codeRow
		s.Names = p.names[first:]
		p.statements = append(p.statements, s)
	}
}

// line reads simple statements up to the end of their line.
func (p *parser) line(top bool) {
	for {
		s := Statement{Start: p.start, Row: p.startRow}
		first := len(p.names)
		p.simple(&s)
		s.End, s.EndRow = p.lastEnd, p.lastRow
		p.codeEnd, p.codeRow = p.lastEnd, p.lastRow
		if p.failed {
			return
		}
		s.Quiet = p.tok == semicolon
		if top {
			s.Names = p.names[first:]
			p.statements = append(p.statements, s)
		}
		if p.tok == semicolon {
			p.next()
			if p.tok != newline {
				continue
			}
		}
		p.expect(newline)
		return
	}
}

// block reads what stands behind a colon.
func (p *parser) block() {
	p.expect(colon)
	if p.tok != newline {
		switch p.tok {
		case ifs, fors, while, try, with, def, classes, at, async:
			p.fail()
			return
		}
		p.line(false)
		return
	}
	p.next()
	p.expect(indent)
	for p.tok != dedent && !p.failed {
		p.statement(false)
	}
	p.expect(dedent)
}

// inside reads a block that counts as some of those of which Python allows twenty in each other.
func (p *parser) inside(n int) {
	p.scope.blocks += n
	if p.scope.blocks > maxBlocks {
		p.fail()
		return
	}
	p.block()
	p.scope.blocks -= n
}

func (p *parser) conditional() {
	for n := 0; ; n++ {
		p.next()
		p.named()
		p.block()
		if p.tok != elif {
			break
		}
		if n > maxChain {
			p.fail()
			return
		}
	}
	if p.tok == els {
		p.next()
		p.block()
	}
}

// body reads the block of a loop, and what stands behind it.
func (p *parser) body() {
	loop := p.scope.loop
	p.scope.loop = true
	p.inside(1)
	p.scope.loop = loop
	if p.tok == els {
		p.next()
		p.block()
	}
}

func (p *parser) loop() {
	p.next()
	p.targets()
	p.expect(in)
	p.values()
	p.body()
}

func (p *parser) whileLoop() {
	p.next()
	p.named()
	p.body()
}

func (p *parser) try() {
	p.next()
	p.inside(3)
	handlers, all := 0, false
	for ; p.tok == except; handlers++ {
		if all {
			p.fail()
			return
		}
		p.next()
		if p.tok == colon {
			all = true
		} else {
			p.expr()
			if p.tok == as {
				p.next()
				p.bindWord()
			}
		}
		p.inside(3)
	}
	if p.tok == els {
		if handlers == 0 {
			p.fail()
			return
		}
		p.next()
		p.inside(3)
	}
	if p.tok == finally {
		p.next()
		p.inside(3)
	} else if handlers == 0 {
		p.fail()
	}
}

// bindWord reads a name that is bound.
func (p *parser) bindWord() {
	if p.tok != identifier {
		p.fail()
		return
	}
	p.name(p.binding())
	p.next()
}

func (p *parser) with() {
	p.next()
	n := 0
	if p.tok == open {
		// The bracket may be one around all items, or begin an expression. Which one it is shows behind its end.
		before, names, rare, chains := p.lexer, len(p.names), p.rare, p.chains
		scope := p.scope
		depth := p.depth
		p.next()
		for {
			p.item()
			if n++; p.tok != comma {
				break
			}
			if p.next(); p.tok == closed {
				break
			}
		}
		if p.tok == closed {
			p.next()
		} else {
			p.tok = end
		}
		if p.tok != colon || p.failed {
			p.lexer, p.names, p.rare, p.chains, p.scope, p.depth = before, p.names[:names], rare, chains, scope, depth
			n = 0
		}
	}
	if n == 0 {
		for {
			p.item()
			n++
			if p.tok != comma {
				break
			}
			p.next()
		}
	}
	p.inside(n)
}

// item reads one of a with statement.
func (p *parser) item() {
	p.expr()
	if p.tok != as {
		return
	}
	p.next()
	i := len(p.names)
	p.bound(i, p.primary())
}

// definition reads a function or a class with its decorators, and gives its name.
func (p *parser) definition() string {
	walruses := p.noWalrus
	p.noWalrus = true
	defer func() { p.noWalrus = walruses }()
	for p.tok == at {
		p.next()
		p.expr()
		p.expect(newline)
	}
	kind := function
	switch p.tok {
	case async:
		p.next()
		kind = asyncFunction
		if p.tok != def {
			p.fail()
			return ""
		}
	case classes:
		kind = class
	case def:
	default:
		p.fail()
		return ""
	}
	p.next()
	if p.tok != identifier {
		p.fail()
		return ""
	}
	name := p.src[p.start:p.end]
	p.bindWord()
	from := len(p.names)
	switch {
	case kind != class:
		if p.tok != open {
			p.fail()
			return ""
		}
		p.next()
		p.parameters(closed, true)
		p.expect(closed)
		if p.tok == arrow {
			p.next()
			p.annotation()
		}
	case p.tok == open:
		p.arguments(false)
	}
	if kind == class {
		from = len(p.names)
	}
	outer, yields := p.scope, p.noYield
	p.scope = scope{kind: kind, from: from, futureEnded: true}
	p.noYield, p.noWalrus = false, false
	p.inner++
	p.block()
	p.inner--
	s := p.scope
	if s.global && s.annotated || kind == asyncFunction && s.yields && s.returns {
		p.fail()
	}
	p.scope, p.noYield = outer, yields
	return name
}
