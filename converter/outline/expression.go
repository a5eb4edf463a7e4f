package outline

import "slices"

// target says what a parsed expression is as the target of an assignment.
type target uint8

const (
	other    target = iota // none
	simple                 // a name
	place                  // an attribute or an element
	several                // a tuple or list of targets
	star                   // *x, of a target
	starless               // *x, of something else
)

const maxDepth = 60 // of brackets and expressions in each other

// parser recognises. It never backtracks: what it does not recognise it fails at.
type parser struct {
	src    string
	tokens []tok
	at     int
	depth  int
	failed bool

	function bool // in one
	loop     bool // in one, of the same function
	block    int  // how deep in blocks
}

func (p *parser) peek() tok { return p.tokens[p.at] }

func (p *parser) word() string {
	t := p.tokens[p.at]
	return p.src[t.start:t.end]
}

// is says whether an operator or keyword stands here.
func (p *parser) is(what string) bool {
	t := p.tokens[p.at]
	return (t.kind == op || t.kind == keyword) && p.src[t.start:t.end] == what
}

// then says whether an operator stands behind this token, which is not the last.
func (p *parser) then(what string) bool {
	t := p.tokens[p.at+1]
	return t.kind == op && p.src[t.start:t.end] == what
}

// take passes over an operator or keyword if it stands here.
func (p *parser) take(what string) bool {
	if !p.is(what) {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(what string) {
	if !p.take(what) {
		p.fail()
	}
}

// fail ends everything: the last token is at hand, at which nothing goes on.
func (p *parser) fail() {
	p.failed = true
	p.at = len(p.tokens) - 1
}

// tests parses expressions with commas between them: a tuple without brackets. stars says that *x may stand there.
func (p *parser) tests(stars bool) target {
	first := p.starred(stars)
	if !p.is(",") {
		if first == star || first == starless {
			p.fail() // alone it is none
		}
		return first
	}
	all, count := several, 0
	note := func(t target) {
		switch t {
		case other, starless:
			all = other
		case star:
			count++
		}
	}
	note(first)
	for p.take(",") {
		if !p.begins() {
			break
		}
		note(p.starred(stars))
	}
	if count > 1 {
		all = other
	}
	return all
}

// begins says whether an expression can begin here.
func (p *parser) begins() bool {
	t := p.peek()
	switch t.kind {
	case name, number, text:
		return true
	case keyword:
		switch p.word() {
		case "None", "True", "False", "not", "lambda":
			return true
		}
	case op:
		switch p.word() {
		case "(", "[", "{", "-", "+", "~", "...", "*":
			return true
		}
	}
	return false
}

// starred parses an expression, or *x.
func (p *parser) starred(allowed bool) target {
	if p.is("*") {
		p.next()
		if !allowed {
			p.fail()
		}
		if t := p.operands(); t == other {
			return starless
		}
		return star
	}
	return p.test()
}

// test parses an expression without commas.
func (p *parser) test() target {
	if p.depth++; p.depth > maxDepth {
		p.fail()
	}
	defer func() { p.depth-- }()
	if p.is("lambda") {
		p.next()
		p.parameters(":", false)
		p.expect(":")
		p.test()
		return other
	}
	t := p.or()
	if p.take("if") {
		p.or()
		p.expect("else")
		p.test()
		return other
	}
	return t
}

// or parses what stands between `if` and `else`: no lambda and no condition.
func (p *parser) or() target {
	t := p.not()
	for p.is("or") || p.is("and") {
		p.next()
		p.not()
		t = other
	}
	return t
}

func (p *parser) not() target {
	negated := false
	for p.take("not") {
		negated = true
	}
	t := p.operands()
	for {
		switch {
		case p.is("is"):
			p.next()
			p.take("not")
		case p.is("in"):
			p.next()
		case p.is("not"):
			p.next()
			p.expect("in")
		case p.peek().kind == op && compares(p.word()):
			p.next()
		default:
			if negated {
				return other
			}
			return t
		}
		p.operands()
		t = other
	}
}

func compares(s string) bool {
	switch s {
	case "==", "!=", "<", ">", "<=", ">=":
		return true
	}
	return false
}

// operands parses operands with arithmetic between them, whose precedence does not matter here.
func (p *parser) operands() target {
	t := p.operand()
	for p.peek().kind == op {
		switch p.word() {
		case "+", "-", "*", "/", "//", "%", "@", "&", "|", "^", "<<", ">>", "**":
			p.next()
			p.operand()
			t = other
		default:
			return t
		}
	}
	return t
}

func (p *parser) operand() target {
	signed := false
	for p.is("-") || p.is("+") || p.is("~") {
		p.next()
		signed = true
	}
	t := p.atom()
	for p.peek().kind == op {
		switch p.word() {
		case ".":
			p.next()
			if p.peek().kind != name {
				p.fail()
			}
			p.next()
			t = place
		case "(":
			p.next()
			p.arguments()
			t = other
		case "[":
			p.next()
			p.subscript()
			t = place
		default:
			if signed {
				return other
			}
			return t
		}
		if p.failed {
			p.at = len(p.tokens) - 1
			return other
		}
	}
	if signed {
		return other
	}
	return t
}

func (p *parser) atom() target {
	t := p.peek()
	switch t.kind {
	case name:
		p.next()
		return simple
	case number:
		p.next()
		return other
	case text:
		for p.peek().kind == text {
			if p.peek().bytes != t.bytes {
				p.fail()
			}
			p.next()
		}
		return other
	case keyword:
		switch p.word() {
		case "None", "True", "False":
			p.next()
			return other
		}
	case op:
		switch p.word() {
		case "(":
			p.next()
			return p.group(")")
		case "[":
			p.next()
			return p.group("]")
		case "{":
			p.next()
			p.braces()
			return other
		case "...":
			p.next()
			return other
		}
	}
	p.fail()
	return other
}

// group parses what stands in round or square brackets.
func (p *parser) group(closing string) target {
	if p.take(closing) {
		return several
	}
	if closing == ")" && p.peek().kind == name && p.then(":=") {
		p.at += 2
		p.test()
		p.expect(")")
		return other
	}
	first := p.starred(true)
	if p.is("for") {
		if first == star || first == starless {
			p.fail()
		}
		p.comprehension()
		p.expect(closing)
		return other
	}
	if closing == ")" && !p.is(",") {
		p.expect(")")
		if first == star || first == starless {
			p.fail()
		}
		return first
	}
	all, stars := several, 0
	for t := first; ; t = p.starred(true) {
		switch t {
		case other, starless:
			all = other
		case star:
			stars++
		}
		if !p.take(",") || p.is(closing) {
			break
		}
	}
	p.expect(closing)
	if stars > 1 {
		return other
	}
	return all
}

// braces parses a dictionary or a set.
func (p *parser) braces() {
	if p.take("}") {
		return
	}
	pairs := false
	for i := 0; ; i++ {
		var pair bool
		switch {
		case p.take("**"):
			p.operands()
			pair = true
		case p.is("*"):
			p.starred(true)
			if i == 0 && p.is("for") {
				p.fail()
			}
		default:
			p.test()
			if p.take(":") {
				pair = true
				p.test()
			}
			if i == 0 && p.is("for") {
				p.comprehension()
				p.expect("}")
				return
			}
		}
		if i > 0 && pair != pairs {
			p.fail()
		}
		if pairs = pair; !p.take(",") || p.is("}") {
			break
		}
		if p.failed {
			return
		}
	}
	p.expect("}")
}

func (p *parser) comprehension() {
	for p.take("for") {
		p.targets()
		p.expect("in")
		p.or()
		for p.take("if") {
			p.or()
		}
	}
}

// targets parses what a loop assigns to, up to `in`.
func (p *parser) targets() {
	one := func() target {
		if p.take("*") {
			if t := p.operand(); t == other || t == several {
				p.fail()
			}
			return star
		}
		t := p.operand()
		if t == other {
			p.fail()
		}
		return t
	}
	stars, n := 0, 0
	for {
		if one() == star {
			stars++
		}
		n++
		if !p.take(",") {
			break
		}
		n++
		if p.is("in") || p.failed {
			break
		}
	}
	if stars > 1 || stars == 1 && n == 1 {
		p.fail()
	}
}

// arguments parses those of a call, behind its bracket.
func (p *parser) arguments() {
	var names []string
	keywords, doubles := false, false
	for n := 0; !p.take(")"); n++ {
		switch {
		case p.failed:
			return
		case p.take("**"):
			p.test()
			doubles = true
		case p.take("*"):
			if doubles {
				p.fail()
			}
			p.test()
		case p.peek().kind == name && p.then("="):
			given := p.word()
			if slices.Contains(names, given) {
				p.fail()
				return
			}
			names = append(names, given)
			p.at += 2
			p.test()
			keywords = true
		default:
			if keywords || doubles {
				p.fail()
			}
			p.test()
			if p.is("for") {
				if n > 0 {
					p.fail()
				}
				p.comprehension()
				p.expect(")")
				return
			}
		}
		if !p.take(",") {
			p.expect(")")
			return
		}
	}
}

// subscript parses an index or slices, behind the bracket.
func (p *parser) subscript() {
	for {
		if !p.is(":") {
			p.test()
		}
		for i := 0; i < 2 && p.take(":"); i++ {
			if !p.is(":") && !p.is("]") && !p.is(",") {
				p.test()
			}
		}
		if !p.take(",") || p.is("]") || p.failed {
			break
		}
	}
	p.expect("]")
}

// parameters parses those of a function up to what closes them. typed says that they may have annotations.
func (p *parser) parameters(closing string, typed bool) {
	var names []string
	defaults, stars, slash, bare := false, false, false, false
	named := func() {
		if p.peek().kind != name {
			p.fail()
			return
		}
		given := p.word()
		if slices.Contains(names, given) {
			p.fail()
			return
		}
		names = append(names, given)
		p.next()
		if typed && p.take(":") {
			p.test()
		}
	}
	for !p.is(closing) {
		switch {
		case p.failed:
			return
		case p.take("**"):
			if bare {
				p.fail()
			}
			named()
			p.take(",")
			if !p.is(closing) {
				p.fail()
			}
			return
		case p.take("*"):
			if stars {
				p.fail()
			}
			if stars = true; p.is(",") {
				bare = true
			} else {
				named()
			}
		case p.take("/"):
			if slash || stars || len(names) == 0 {
				p.fail()
			}
			slash = true
		default:
			named()
			bare = false
			if p.take("=") {
				p.test()
				defaults = true
			} else if defaults && !stars {
				p.fail()
			}
		}
		if !p.take(",") {
			break
		}
	}
	if bare || !p.is(closing) {
		p.fail()
	}
}
