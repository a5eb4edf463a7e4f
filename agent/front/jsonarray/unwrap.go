package jsonarray

import "bytes"

// Unwrap gives the value of an object whose one key is name, which is as good as the value alone; of any other text,
// the text. That nothing stands behind the value is left to who decodes it.
func Unwrap(text []byte, name string) []byte {
	i := skipBlanks(text, 0)
	if name == "" || i == len(text) || text[i] != '{' {
		return text
	}
	i = skipBlanks(text, i+1)
	rest, ok := bytes.CutPrefix(text[i:], []byte(`"`+name+`"`))
	if !ok {
		return text
	}
	i = skipBlanks(rest, 0)
	end := len(rest) - 1
	for end > i && isBlank(rest[end]) {
		end--
	}
	if i >= end || rest[i] != ':' || rest[end] != '}' {
		return text
	}
	return rest[i+1 : end]
}
