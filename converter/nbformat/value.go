package nbformat

import (
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is what a value of JSON is.
type Kind uint8

// The kinds of JSON. NaN and Infinity, which Python's json writes, are numbers.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

func (k Kind) String() string {
	return [...]string{"null", "bool", "number", "string", "array", "object"}[k]
}

// Value is a value of a [Document], with the way that it was written: the order of keys, blanks, escapes and digits.
// The methods that look do so on a nil Value too, as if it were null, so that lookups can be chained.
type Value struct {
	kind     Kind
	text     string // of what is no container: as it was written
	elements []element
	tail     string // the blanks before the closing bracket
	laid     bool   // tail is as it was written
}

// element is one of a list or an object.
type element struct {
	before string // the blanks behind the comma or bracket
	key    string // as it was written, with its quotes
	name   string // the key, decoded
	colon  string // from the key to the value
	value  *Value
	after  string // the blanks before the comma
	laid   bool   // before and colon are as they were written
}

// NullValue makes null.
func NullValue() *Value { return &Value{text: "null"} }

// BoolValue makes true or false.
func BoolValue(b bool) *Value { return &Value{kind: Bool, text: strconv.FormatBool(b)} }

// IntValue makes a number.
func IntValue(n int) *Value { return &Value{kind: Number, text: strconv.Itoa(n)} }

// StringValue makes a string. What is not UTF-8 in it becomes U+FFFD, apart from halves of surrogate pairs (WTF-8).
func StringValue(s string) *Value {
	return &Value{kind: String, text: string(appendQuoted(nil, s, false))}
}

// ArrayValue makes a list.
func ArrayValue(items ...*Value) *Value {
	v := &Value{kind: Array}
	for _, item := range items {
		v.Append(item)
	}
	return v
}

// StringsValue makes a list of strings.
func StringsValue(items ...string) *Value {
	v := &Value{kind: Array}
	for _, item := range items {
		v.Append(StringValue(item))
	}
	return v
}

// ObjectValue makes an object without keys.
func ObjectValue() *Value { return &Value{kind: Object} }

// Kind says what the value is.
func (v *Value) Kind() Kind {
	if v == nil {
		return Null
	}
	return v.kind
}

// Raw is a string, number or word as it was written; "" of lists and objects.
func (v *Value) Raw() string {
	if v == nil {
		return "null"
	}
	return v.text
}

// Text is the text of a string; "" of other values. Half of a surrogate pair, which is no character, becomes U+FFFD.
func (v *Value) Text() string {
	text, lone := v.wtf8()
	if lone {
		return strings.ToValidUTF8(text, "\ufffd")
	}
	return text
}

// wtf8 is the text of a string, with halves of surrogate pairs as [unescape] gives them.
func (v *Value) wtf8() (text string, lone bool) {
	if v.Kind() != String {
		return "", false
	}
	return unescape(v.text[1 : len(v.text)-1])
}

// Int is a number that is written as an integer; ok says whether the value is one that an int can hold.
func (v *Value) Int() (n int, ok bool) {
	if v.Kind() != Number {
		return 0, false
	}
	n, err := strconv.Atoi(v.text)
	return n, err == nil
}

// Float is a number; ok says whether the value is one.
func (v *Value) Float() (f float64, ok bool) {
	if v.Kind() != Number {
		return 0, false
	}
	return parseFloat(v.text), true
}

func parseFloat(text string) float64 {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(f, 0) {
		return math.NaN()
	}
	return f
}

// Bool is true only of true.
func (v *Value) Bool() bool { return v.Kind() == Bool && v.text == "true" }

// Len counts the elements of a list or the keys of an object.
func (v *Value) Len() int {
	if v == nil {
		return 0
	}
	return len(v.elements)
}

// At is the element i, from 0, of a list or an object; nil where there is none.
func (v *Value) At(i int) *Value {
	if i < 0 || i >= v.Len() {
		return nil
	}
	return v.elements[i].value
}

// Items are the elements of a list with their numbers, from 0; of what is not a list there are none.
func (v *Value) Items() iter.Seq2[int, *Value] {
	return func(yield func(int, *Value) bool) {
		if v.Kind() != Array {
			return
		}
		for i := range v.elements {
			if !yield(i, v.elements[i].value) {
				return
			}
		}
	}
}

// Members are the keys and values of an object in their order. Of a key that is written several times the last one
// counts, as in Python; the others are left out here, though not when the document is written.
func (v *Value) Members() iter.Seq2[string, *Value] {
	return func(yield func(string, *Value) bool) {
		if v.Kind() != Object {
			return
		}
		last := v.lasts()
		for i, e := range v.elements {
			if last != nil && last[e.name] != i {
				continue
			}
			if !yield(e.name, e.value) {
				return
			}
		}
	}
}

// lasts gives the place of each key of an object that has a key twice; else nil.
func (v *Value) lasts() map[string]int {
	if len(v.elements) < 2 {
		return nil
	}
	if len(v.elements) <= 16 {
		twice := false
		for i := range v.elements {
			for j := range i {
				twice = twice || v.elements[i].name == v.elements[j].name
			}
		}
		if !twice {
			return nil
		}
	}
	last := make(map[string]int, len(v.elements))
	for i, e := range v.elements {
		last[e.name] = i
	}
	if len(last) == len(v.elements) {
		return nil
	}
	return last
}

// index is the place of the last element with the key; -1 where there is none.
func (v *Value) index(key string) int {
	if v.Kind() == Object {
		for i := range slices.Backward(v.elements) {
			if v.elements[i].name == key {
				return i
			}
		}
	}
	return -1
}

// Get is the value of a key of an object; nil where there is none.
func (v *Value) Get(key string) *Value {
	if i := v.index(key); i >= 0 {
		return v.elements[i].value
	}
	return nil
}

// Has says whether an object has a key.
func (v *Value) Has(key string) bool { return v.index(key) >= 0 }

// Set sets a key of an object. A new key comes to its place if the keys are sorted, as Jupyter sorts them, else to the
// end. It panics if v is not an object.
func (v *Value) Set(key string, value *Value) {
	v.must(Object)
	if i := v.index(key); i >= 0 {
		v.elements[i].value = value
		return
	}
	i := len(v.elements)
	if slices.IsSortedFunc(v.elements, byName) {
		i, _ = slices.BinarySearchFunc(v.elements, element{name: key}, byName)
	}
	v.insert(i, element{key: string(appendQuoted(nil, key, false)), name: key, value: value})
}

func byName(a, b element) int { return strings.Compare(a.name, b.name) }

// Delete takes a key out of an object, all times that it is written, and gives the value that counted; nil where there
// was none.
func (v *Value) Delete(key string) *Value {
	value := v.Get(key)
	for i := v.index(key); i >= 0; i = v.index(key) {
		v.remove(i)
	}
	return value
}

// Rename gives a key of an object another name and leaves it at its place. A key that has the new name already is
// replaced.
func (v *Value) Rename(from, to string) {
	i := v.index(from)
	if i < 0 || from == to {
		return
	}
	v.Delete(to)
	i = v.index(from)
	v.elements[i].name, v.elements[i].key = to, string(appendQuoted(nil, to, false))
	v.Delete(from)
}

// Append adds an element at the end of a list. It panics if v is not a list.
func (v *Value) Append(item *Value) {
	v.Insert(v.Len(), item)
}

// Insert adds an element before the element i of a list. It panics if v is not a list or has no such place.
func (v *Value) Insert(i int, item *Value) {
	v.must(Array)
	v.insert(i, element{value: item})
}

// Replace puts another element in the place i of a list. It panics if v is not a list or has no such element.
func (v *Value) Replace(i int, item *Value) {
	v.must(Array)
	v.elements[i].value = item
}

// Remove takes the element i out of a list. It panics if v is not a list or has no such element.
func (v *Value) Remove(i int) {
	v.must(Array)
	v.remove(i)
}

// Clear takes all elements out of a list or an object.
func (v *Value) Clear() {
	v.elements, v.tail = nil, ""
}

func (v *Value) must(kind Kind) {
	if v.Kind() != kind {
		panic("nbformat: " + v.Kind().String() + " is changed as " + kind.String())
	}
}

func (v *Value) insert(i int, e element) {
	if i == len(v.elements) && i > 0 {
		v.elements = append(v.elements, e)
		return
	}
	v.arrange(slices.Insert(slices.Clone(v.elements), i, e))
}

func (v *Value) remove(i int) {
	v.arrange(slices.Delete(slices.Clone(v.elements), i, i+1))
}

// arrange makes these the elements, which may be those of before in another order. The first one stands where the first
// one stood.
func (v *Value) arrange(elements []element) {
	old := v.elements
	v.elements = elements
	switch {
	case len(elements) == 0:
		v.tail = ""
		return
	case len(old) == 0:
		v.laid, v.tail = false, "" // there was no other element to lay it out by
		return
	}
	elements[len(elements)-1].after = ""
	if elements[0].value == old[0].value || !old[0].laid {
		return
	}
	for i := range elements {
		if elements[i].value != old[0].value {
			continue
		}
		if len(old) > 1 && old[1].laid {
			elements[i].before = old[1].before
		} else {
			elements[i].laid = false
		}
	}
	if elements[0].laid {
		elements[0].before = old[0].before
	}
}
