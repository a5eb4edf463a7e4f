package outline

// keyword gives the kind of a word.
func keyword(word string) kind {
	switch word {
	case "and":
		return and
	case "as":
		return as
	case "assert":
		return assert
	case "async":
		return async
	case "await":
		return await
	case "break":
		return breaks
	case "class":
		return classes
	case "continue":
		return continues
	case "def":
		return def
	case "del":
		return del
	case "elif":
		return elif
	case "else":
		return els
	case "except":
		return except
	case "None", "True", "False":
		return constant
	case "finally":
		return finally
	case "for":
		return fors
	case "from":
		return from
	case "global":
		return global
	case "if":
		return ifs
	case "import":
		return imports
	case "in":
		return in
	case "is":
		return is
	case "lambda":
		return lambda
	case "nonlocal":
		return nonlocal
	case "not":
		return not
	case "or":
		return or
	case "pass":
		return pass
	case "raise":
		return raise
	case "return":
		return returns
	case "try":
		return try
	case "while":
		return while
	case "with":
		return with
	case "yield":
		return yield
	}
	return identifier
}

// number reads a number.
func (l *lexer) number(start int) {
	src, i := l.src, start
	digits := func(class uint8, top byte) bool { // with single underscores between them
		from := i
		for i < len(src) && (classOf[src[i]]&class != 0 && (class == hex || src[i] <= top) ||
			src[i] == '_' && i > from && src[i-1] != '_') {
			i++
		}
		return i > from && src[i-1] != '_'
	}
	ok, whole := true, true
	if src[i] == '0' && i+1 < len(src) && classOf[src[i+1]]&letter != 0 && src[i+1]|' ' != 'e' && src[i+1]|' ' != 'j' {
		i += 2
		switch src[i-1] | ' ' {
		case 'x':
			ok = digits(hex, 0)
		case 'o':
			ok = digits(digit, '7')
		case 'b':
			ok = digits(digit, '1')
		default:
			ok = false
		}
	} else {
		if src[i] != '.' {
			ok = digits(digit, '9')
		}
		integer := src[start:i]
		if i < len(src) && src[i] == '.' {
			whole = false
			i++
			if i < len(src) && classOf[src[i]]&digit != 0 {
				ok = digits(digit, '9') && ok
			}
		}
		if i < len(src) && src[i]|' ' == 'e' {
			whole = false
			i++
			if i < len(src) && (src[i] == '+' || src[i] == '-') {
				i++
			}
			ok = digits(digit, '9') && ok
		}
		if i < len(src) && src[i]|' ' == 'j' {
			i++
		} else if whole && len(integer) > 1 && integer[0] == '0' {
			ok = false
		}
	}
	if !ok || i-start > 1000 || i < len(src) && classOf[src[i]]&(letter|digit) != 0 {
		l.fail()
		return
	}
	l.set(number, start, i)
}
