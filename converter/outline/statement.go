package outline

// statement parses one, or several on a line, and gives those of the top level.
func (p *parser) statement(found func(Statement)) {
	from := p.at
	t := p.peek()
	compound := true
	k := Other
	if t.kind == keyword || t.kind == op {
		switch p.word() {
		case "if":
			p.next()
			p.condition()
			p.suite()
			for p.take("elif") {
				p.condition()
				p.suite()
			}
			p.orElse()
		case "for":
			p.next()
			p.targets()
			p.expect("in")
			p.tests(false)
			p.looping()
		case "while":
			p.next()
			p.condition()
			p.looping()
		case "try":
			p.try()
		case "with":
			p.next()
			p.with()
		case "def":
			p.def()
			k = Definition
		case "class":
			p.class()
			k = Definition
		case "@":
			for p.take("@") {
				p.test()
				p.line()
			}
			switch {
			case p.is("def"):
				p.def()
			case p.is("class"):
				p.class()
			default:
				p.fail()
			}
			k = Definition
		default:
			compound = false
		}
	} else {
		compound = false
	}
	if compound {
		found(Statement{Kind: k, from: from, to: p.code(from)})
		return
	}
	for {
		from = p.at
		s := p.small()
		s.from, s.to = from, p.at
		if p.failed {
			return
		}
		found(s)
		if !p.take(";") || p.peek().kind == newline {
			break
		}
	}
	p.line()
}

// code gives the index behind the last token of code before here.
func (p *parser) code(from int) int {
	to := p.at
	for to > from+1 && p.tokens[to-1].kind >= newline {
		to--
	}
	return to
}

func (p *parser) line() {
	if p.peek().kind != newline {
		p.fail()
		return
	}
	p.next()
}

// condition parses that of `if` and `while`, which may assign.
func (p *parser) condition() {
	if p.peek().kind == name && p.then(":=") {
		p.at += 2
	}
	p.test()
}

// suite parses a block, or statements on the same line.
func (p *parser) suite() {
	p.expect(":")
	if p.failed {
		return
	}
	if p.block++; p.block > maxIndent {
		p.fail()
	}
	defer func() { p.block-- }()
	if p.peek().kind != newline {
		for {
			p.small()
			if p.failed || !p.take(";") || p.peek().kind == newline {
				break
			}
		}
		p.line()
		return
	}
	p.next()
	if p.peek().kind != indent {
		p.fail()
		return
	}
	p.next()
	for p.peek().kind != dedent {
		if p.failed || p.peek().kind == end || p.peek().kind == indent {
			p.fail()
			return
		}
		p.statement(func(Statement) {})
	}
	p.next()
}

func (p *parser) orElse() {
	if p.take("else") {
		p.suite()
	}
}

func (p *parser) looping() {
	before := p.loop
	p.loop = true
	p.suite()
	p.loop = before
	p.orElse()
}

func (p *parser) try() {
	p.next()
	p.suite()
	handlers, bare := 0, false
	for p.take("except") {
		if bare {
			p.fail()
		}
		handlers++
		if bare = p.is(":"); !bare {
			if p.is("*") {
				p.fail()
			}
			p.test()
			if p.take("as") {
				if p.peek().kind != name {
					p.fail()
				}
				p.next()
			}
		}
		p.suite()
	}
	if handlers > 0 {
		p.orElse()
	}
	if p.take("finally") {
		p.suite()
	} else if handlers == 0 {
		p.fail()
	}
}

// next passes over a token, unless all is over.
func (p *parser) next() {
	if !p.failed {
		p.at++
	}
}

func (p *parser) with() {
	for {
		p.test()
		if p.take("as") {
			if t := p.operand(); t == other {
				p.fail()
			}
		}
		if !p.take(",") || p.failed {
			break
		}
	}
	p.suite()
}

func (p *parser) def() {
	p.next()
	if p.peek().kind != name {
		p.fail()
	}
	p.next()
	p.expect("(")
	p.parameters(")", true)
	p.expect(")")
	if p.take("->") {
		p.test()
	}
	function, loop := p.function, p.loop
	p.function, p.loop = true, false
	p.suite()
	p.function, p.loop = function, loop
}

func (p *parser) class() {
	p.next()
	if p.peek().kind != name {
		p.fail()
	}
	p.next()
	if p.take("(") {
		begin := p.at
		p.arguments()
		for i := begin; i < p.at; i++ { // a generator is no base
			if t := p.tokens[i]; t.kind == keyword && p.src[t.start:t.end] == "for" {
				p.fail()
				break
			}
		}
	}
	function, loop := p.function, p.loop
	p.function, p.loop = false, false
	p.suite()
	p.function, p.loop = function, loop
}

// small parses a statement that is no block.
func (p *parser) small() Statement {
	if p.peek().kind == keyword {
		switch p.word() {
		case "pass":
			p.next()
			return Statement{}
		case "break", "continue":
			if !p.loop {
				p.fail()
			}
			p.next()
			return Statement{}
		case "return":
			if !p.function {
				p.fail()
			}
			if p.next(); p.begins() {
				p.tests(true)
			}
			return Statement{}
		case "yield":
			p.yield()
			return Statement{}
		case "raise":
			if p.next(); p.begins() {
				p.test()
				if p.take("from") {
					p.test()
				}
			}
			return Statement{}
		case "assert":
			p.next()
			p.test()
			if p.take(",") {
				p.test()
			}
			return Statement{}
		case "del":
			p.next()
			for {
				if t := p.operand(); t != simple && t != place {
					p.fail() // tuples may be deleted, but rarely are
				}
				if !p.take(",") || p.failed {
					break
				}
			}
			return Statement{}
		case "import":
			p.next()
			for {
				p.dotted()
				p.as()
				if !p.take(",") || p.failed {
					break
				}
			}
			return Statement{Kind: Import}
		case "from":
			p.from()
			return Statement{Kind: From}
		}
	}
	return p.expressions()
}

func (p *parser) yield() {
	if !p.function {
		p.fail()
	}
	p.next()
	if p.take("from") {
		p.test()
	} else if p.begins() {
		p.tests(true)
	}
}

func (p *parser) dotted() {
	for {
		if p.peek().kind != name {
			p.fail()
		}
		p.next()
		if !p.take(".") {
			return
		}
	}
}

func (p *parser) as() {
	if p.take("as") {
		if p.peek().kind != name {
			p.fail()
		}
		p.next()
	}
}

func (p *parser) from() {
	p.next()
	relative := false
	for p.is(".") || p.is("...") {
		p.next()
		relative = true
	}
	if p.peek().kind == name && p.word() == "__future__" {
		p.fail()
	}
	if !relative || !p.is("import") {
		p.dotted()
	}
	p.expect("import")
	if p.take("*") {
		if p.block > 0 {
			p.fail()
		}
		return
	}
	brackets := p.take("(")
	for {
		if p.peek().kind != name {
			p.fail()
		}
		p.next()
		p.as()
		if !p.take(",") || p.failed || brackets && p.is(")") {
			break
		}
	}
	if brackets {
		p.expect(")")
	}
}

// expressions parses an expression, or an assignment of any kind.
func (p *parser) expressions() Statement {
	from := p.at
	t := p.tests(true)
	if p.failed {
		return Statement{}
	}
	to := p.at
	switch {
	case p.is("="):
		for p.take("=") {
			if t == other {
				p.fail()
			}
			if p.is("yield") {
				p.yield()
				break
			}
			t = p.tests(true)
		}
		return Statement{Kind: Assignment}
	case p.is(":"):
		if t != simple && t != place {
			p.fail()
		}
		p.next()
		p.test()
		if p.take("=") {
			if p.is("yield") {
				p.yield()
			} else {
				p.tests(true)
			}
		}
		return Statement{Kind: Assignment}
	}
	if p.peek().kind == op {
		switch p.word() {
		case "+=", "-=", "*=", "/=", "//=", "%=", "@=", "&=", "|=", "^=", "<<=", ">>=", "**=":
			if t != simple && t != place {
				p.fail()
			}
			p.next()
			if p.is("yield") {
				p.yield()
			} else {
				p.tests(false)
			}
			return Statement{}
		}
	}
	s := Statement{Kind: Expression}
	depth := 0
	opened := -1 // where the last bracket at the outside was opened
	plain := true
	for i := from; i < to; i++ {
		if p.tokens[i].kind != op {
			plain = plain && (p.tokens[i].kind == name || depth > 0)
			continue
		}
		switch p.src[p.tokens[i].start:p.tokens[i].end] {
		case "(", "[", "{":
			if depth == 0 {
				opened = i
			}
			depth++
		case ")", "]", "}":
			depth--
		case ",":
			s.Tuple = s.Tuple || depth == 0
		case ".":
		default:
			plain = plain && depth > 0
		}
	}
	last := p.tokens[to-1]
	if plain && !s.Tuple && opened > from && last.kind == op && p.src[last.start] == ')' &&
		p.src[p.tokens[opened].start] == '(' {
		s.Callee = p.src[p.tokens[from].start:p.tokens[opened-1].end]
	}
	return s
}
