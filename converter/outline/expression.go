package outline

import "slices"

// about says what an expression is.
type about uint8

const (
	target    about = 1 << iota // it may stand left of =
	deletable                   // it may stand behind del
	isName                      // it is a name, without brackets
	single                      // a name, an attribute or an item, without brackets: it may have an annotation
	isCall
	isStarred
	tuple // without brackets
)

// enter notes that an expression stands in another one; leave must follow.
func (p *parser) enter() {
	if p.depth++; p.depth > maxDepth {
		p.fail()
	}
}

func (p *parser) leave() { p.depth-- }

// expect passes a token that must be there.
func (p *parser) expect(tok kind) {
	if p.tok != tok {
		p.fail()
		return
	}
	p.next()
}

// begins says whether an expression, or a starred one, can begin with the token.
func (p *parser) begins() bool {
	switch p.tok {
	case identifier, number, str, open, square, brace, ellipsis, plus, minus, tilde, star, await, constant, lambda,
		not, yield:
		return true
	}
	return false
}

// exprs reads expressions with commas between them, stars allowed.
func (p *parser) exprs() about {
	first := p.starredOr((*parser).expr)
	if p.tok != comma {
		return first
	}
	return p.more(first, (*parser).expr)
}

// more reads the rest of a tuple.
func (p *parser) more(first about, read func(*parser) about) about {
	all := first & (target | deletable)
	stars, n := 0, 1
	if first&isStarred != 0 {
		stars++
	}
	for p.tok == comma {
		p.next()
		if !p.begins() {
			break
		}
		e := p.starredOr(read)
		all &= e
		if e&isStarred != 0 {
			stars++
		}
		if n++; n > maxTargets {
			all &^= target
		}
	}
	if stars > 1 {
		all &^= target
	}
	return all&(target|deletable) | tuple
}

// starredOr reads an expression that may have a star.
func (p *parser) starredOr(read func(*parser) about) about {
	if p.tok != star {
		return read(p)
	}
	p.next()
	return p.binary(1)&target | isStarred
}

// named reads an expression, or name := expression.
func (p *parser) named() about {
	i := len(p.names)
	e := p.expr()
	if p.tok != walrus {
		return e
	}
	if e&isName == 0 || p.noWalrus {
		p.fail()
		return 0
	}
	p.names[i].Use = p.binding()
	p.rare++
	p.next()
	p.expr()
	return 0
}

// expr reads an expression.
func (p *parser) expr() about {
	if p.tok == lambda {
		return p.lambda()
	}
	e := p.disjunction()
	if p.tok != ifs {
		return e
	}
	p.next()
	p.disjunction()
	p.expect(els)
	p.enter()
	p.expr()
	p.leave()
	return 0
}

func (p *parser) lambda() about {
	if p.format && p.brackets == 1 {
		p.fail() // its colon would end the field
		return 0
	}
	p.enter()
	p.next()
	outer, yields, walruses := p.scope, p.noYield, p.noWalrus
	p.scope = scope{kind: function, from: len(p.names)}
	p.noYield, p.noWalrus = true, true
	p.parameters(colon, false)
	p.expect(colon)
	p.inner++
	p.expr()
	p.inner--
	p.scope, p.noYield, p.noWalrus = outer, yields, walruses
	p.leave()
	return 0
}

func (p *parser) disjunction() about {
	e := p.inversion()
	for p.tok == or || p.tok == and { // which of them binds closer does not matter here
		p.next()
		p.inversion()
		e = 0
	}
	return e
}

func (p *parser) inversion() about {
	if p.tok == not {
		p.enter()
		p.next()
		p.inversion()
		p.leave()
		return 0
	}
	e := p.binary(1)
	for {
		switch p.tok {
		case compare, in:
			p.next()
		case not:
			p.next()
			p.expect(in)
		case is:
			if p.next(); p.tok == not {
				p.next()
			}
		default:
			return e
		}
		p.binary(1)
		e = 0
	}
}

// binary reads operands with operators of at least a precedence between them.
func (p *parser) binary(least uint8) about {
	e := p.factor()
	for n := 0; precedence[p.tok] >= least && precedence[p.tok] > 0; n++ {
		p.chained(n)
		with := precedence[p.tok]
		p.next()
		p.enter()
		p.binary(with + 1)
		p.leave()
		e = 0
	}
	return e
}

func (p *parser) factor() about {
	switch p.tok {
	case plus, minus, tilde:
		p.enter()
		p.next()
		p.factor()
		p.leave()
		return 0
	case await:
		if p.scope.kind != asyncFunction || p.noYield {
			p.fail()
			return 0
		}
		p.rare++
		p.next()
		p.primary()
		return p.power(0)
	}
	return p.power(p.primary())
}

func (p *parser) power(e about) about {
	if p.tok != doubleStar {
		return e
	}
	p.enter()
	p.next()
	p.factor()
	p.leave()
	return 0
}

// chained bounds how many operators, calls and the like stand one behind the other: the parts before them are nested.
func (p *parser) chained(n int) {
	if n == shortChain {
		p.chains++
	}
	if n > maxChain || p.chains > maxChains {
		p.fail()
	}
}

// primary reads an atom and the calls, attributes and items behind it.
func (p *parser) primary() about {
	start, first := p.start, len(p.names)
	e := p.atom()
	for n := 0; ; n++ {
		switch p.tok {
		case dot:
			p.read(first)
			p.next()
			if p.tok != identifier {
				p.fail()
				return 0
			}
			p.name(Attribute)
			p.next()
			e = target | deletable | single
		case open:
			to := p.lastEnd
			p.arguments(true)
			p.read(first)
			p.callee = p.src[start:to]
			e = isCall
		case square:
			p.enter()
			p.next()
			p.slices()
			p.expect(squared)
			p.leave()
			p.read(first)
			e = target | deletable | single
		default:
			return e
		}
		first = len(p.names)
		p.chained(n)
	}
}

// read notes that the names from an index are no targets, since something stands behind them.
func (p *parser) read(first int) {
	for i := first; i < len(p.names); i++ {
		p.names[i].Use &^= bare
	}
}

// slices reads what stands in square brackets behind an expression.
func (p *parser) slices() {
	if p.tok == squared {
		p.fail()
		return
	}
	for p.tok != squared {
		if p.tok != colon {
			p.expr()
		}
		if p.tok == colon {
			if p.next(); p.tok != colon && p.tok != comma && p.tok != squared {
				p.expr()
			}
			if p.tok == colon {
				if p.next(); p.tok != comma && p.tok != squared {
					p.expr()
				}
			}
		}
		if p.tok != comma {
			return
		}
		p.next()
	}
}

// arguments reads those of a call, or of a class, which has no generator.
func (p *parser) arguments(generators bool) {
	p.enter()
	defer p.leave()
	p.next()
	var keywords []string
	var array [8]string
	keywords = array[:0]
	doubled := false
	for n := 0; p.tok != closed; n++ {
		switch p.tok {
		case star:
			if doubled {
				p.fail()
				return
			}
			p.next()
			p.expr()
		case doubleStar:
			doubled = true
			p.next()
			p.expr()
		default:
			i, rare := len(p.names), p.rare
			e := p.named()
			switch {
			case p.tok == assign:
				if e&isName == 0 {
					p.fail()
					return
				}
				p.names[i].Use = Keyword
				if slices.Contains(keywords, p.names[i].Text) {
					p.fail()
					return
				}
				keywords = append(keywords, p.names[i].Text)
				p.next()
				p.expr()
			case len(keywords) > 0 || doubled:
				p.fail()
				return
			case p.tok == fors || p.tok == async:
				p.comprehension(rare)
				if n > 0 || p.tok != closed || !generators {
					p.fail()
					return
				}
			}
		}
		if p.tok != comma {
			break
		}
		p.next()
	}
	p.expect(closed)
}

// comprehension reads the clauses behind the first expression of one; rare is how much of what may not be in one there
// was before that.
func (p *parser) comprehension(rare int) {
	if p.rare != rare {
		p.fail()
		return
	}
	yields, walruses := p.noYield, p.noWalrus
	p.noYield, p.noWalrus = true, true
	for p.tok == fors {
		p.next()
		p.inner++
		p.targets()
		p.inner--
		p.expect(in)
		p.disjunction()
		for p.tok == ifs {
			p.next()
			p.disjunction()
		}
	}
	if p.tok == async {
		p.fail()
	}
	p.noYield, p.noWalrus = yields, walruses
}

// targets reads what a loop binds.
func (p *parser) targets() {
	i := len(p.names)
	e := p.starredOr(operand)
	if p.tok == comma {
		e = p.more(e, operand)
	}
	p.bound(i, e)
}

func operand(p *parser) about { return p.binary(1) }

// bound marks the names from an index as bound: they are in a target.
func (p *parser) bound(from int, e about) {
	if e&target == 0 || e&isStarred != 0 {
		p.fail()
		return
	}
	for i := from; i < len(p.names); i++ {
		if p.names[i].Use == bare {
			p.names[i].Use = p.binding()
		}
	}
}
