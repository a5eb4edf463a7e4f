package outline

import "slices"

// atom reads what has no operator.
func (p *parser) atom() about {
	switch p.tok {
	case identifier:
		p.name(Read | bare)
		p.next()
		return isName | single | target | deletable
	case number, constant, ellipsis:
		p.next()
	case str:
		p.strings()
	case open:
		return p.nested(p.round)
	case square:
		return p.nested(p.list)
	case brace:
		return p.nested(p.braces)
	default:
		p.fail()
	}
	return 0
}

// nested reads what stands in brackets, from the opening one on.
func (p *parser) nested(read func() about) about {
	p.enter()
	p.next()
	e := read()
	p.leave()
	return e
}

// round reads what stands in ( and ).
func (p *parser) round() about {
	rare := p.rare
	switch p.tok {
	case closed:
		p.next()
		return target | deletable
	case yield:
		p.yield()
		p.expect(closed)
		return 0
	}
	e := p.starredOr((*parser).named)
	switch p.tok {
	case comma:
		e = p.more(e, (*parser).named)
	case fors, async:
		if e&isStarred != 0 {
			p.fail()
		}
		p.comprehension(rare)
		e = 0
	default:
		if e&isStarred != 0 {
			p.fail()
		}
	}
	p.expect(closed)
	return e & (target | deletable)
}

// list reads what stands in [ and ].
func (p *parser) list() about {
	if p.tok == squared {
		p.next()
		return target | deletable
	}
	rare := p.rare
	e := p.starredOr((*parser).named)
	switch p.tok {
	case comma:
		e = p.more(e, (*parser).named)
	case fors, async:
		if e&isStarred != 0 {
			p.fail()
		}
		p.comprehension(rare)
		e = 0
	default:
		if e&isStarred != 0 {
			e &^= deletable
		}
	}
	p.expect(squared)
	return e & (target | deletable)
}

// braces reads a dictionary or a set.
func (p *parser) braces() about {
	if p.tok == braced {
		p.next()
		return 0
	}
	rare := p.rare
	dictionary := false
	for n := 0; p.tok != braced; n++ {
		e := about(0)
		switch {
		case p.tok == doubleStar:
			if n > 0 && !dictionary {
				p.fail()
			}
			dictionary = true
			p.next()
			p.binary(1)
			e = isStarred
		case dictionary:
			p.expr()
			p.expect(colon)
			p.expr()
		default:
			if e = p.starredOr((*parser).expr); n == 0 && p.tok == colon && e&isStarred == 0 {
				dictionary = true
				p.next()
				p.expr()
			}
		}
		if p.tok == fors || p.tok == async {
			if n > 0 || e&isStarred != 0 {
				p.fail()
			}
			p.comprehension(rare)
			break
		}
		if p.tok != comma {
			break
		}
		p.next()
	}
	p.expect(braced)
	return 0
}

// yield reads a yield expression.
func (p *parser) yield() {
	if p.noYield || p.scope.kind != function && p.scope.kind != asyncFunction {
		p.fail()
		return
	}
	p.scope.yields = true
	p.rare++
	p.next()
	switch {
	case p.tok == from:
		if p.scope.kind == asyncFunction {
			p.fail()
			return
		}
		p.next()
		p.expr()
	case p.begins():
		p.values()
	}
}

// values reads expressions with commas between them, of which one alone has no star.
func (p *parser) values() {
	if p.exprs()&isStarred != 0 {
		p.fail()
	}
}

// parameters reads those of a function up to the token behind them, with annotations for one that is no lambda.
func (p *parser) parameters(end kind, annotations bool) {
	defaults, stars, onlyKeywords, named, slashes := false, false, false, false, false
	var array [12]string
	seen := array[:0]
	parameter := func(starred bool) {
		if p.tok != identifier {
			p.fail()
			return
		}
		word := p.src[p.start:p.end]
		if slices.Contains(seen, word) {
			p.fail()
			return
		}
		seen = append(seen, word)
		p.name(Inner)
		p.next()
		if annotations && p.tok == colon {
			p.next()
			p.annotation()
		}
		if p.tok == assign && !starred {
			p.next()
			p.expr()
			defaults = true
			return
		}
		if defaults && !onlyKeywords && !starred {
			p.fail()
		}
	}
	for n := 0; p.tok != end; n++ {
		switch p.tok {
		case slash:
			if n == 0 || slashes || onlyKeywords {
				p.fail()
				return
			}
			slashes = true
			p.next()
		case star:
			if onlyKeywords {
				p.fail()
				return
			}
			onlyKeywords = true
			p.next()
			if p.tok == identifier {
				parameter(true)
			} else {
				stars, named = true, false
				if p.tok != comma {
					p.fail()
					return
				}
			}
		case doubleStar:
			p.next()
			parameter(true)
			if stars && !named {
				p.fail()
			}
			if p.tok == comma {
				p.next()
			}
			if p.tok != end {
				p.fail()
			}
			return
		default:
			parameter(false)
			named = true
		}
		if p.tok != comma {
			break
		}
		p.next()
	}
	if stars && !named || p.tok != end {
		p.fail()
	}
}

// annotation reads one, in which neither yield nor walrus stand.
func (p *parser) annotation() {
	yields, walruses := p.noYield, p.noWalrus
	p.noYield, p.noWalrus = true, true
	p.expr()
	p.noYield, p.noWalrus = yields, walruses
}
