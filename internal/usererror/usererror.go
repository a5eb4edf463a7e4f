// Package usererror has the one type for a mistake or a circumstance that a person can do something about, apart from
// our own faults: it is shown as it is, never with a stack. It imports the standard library alone, and every package
// may import it.
//
// A text is one clause without a full stop at its end, as it stands behind "metaml: ". A hint is one or more full
// sentences: it begins with a capital letter, or with what is typed literally, such as `metaml stop NAME` or --port,
// and ends with a full stop or a question mark. So they join without a look at either: [Lines] and [Sentences] are the
// only places that do. The notes of runs and of slices keep to the same rule.
package usererror

import (
	"errors"
	"fmt"
	"syscall"
)

// Error is what a person did, or ran into, and what to do about it. The JSON form travels in conversations, reports and
// records (docs/internals/protocols.md).
type Error struct {
	Code Code   `json:"code"`           // stable, for programs
	Text string `json:"text"`           // one clause: what is wrong, on which name
	Hint string `json:"hint,omitempty"` // full sentences: what to do
	Cell int    `json:"cell,omitempty"` // number of the cell in the session document; 0 is none
	Line int    `json:"line,omitempty"` // line within the cell as typed, from 1; 0 is none

	cause error
}

// New makes an error from a format.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// At makes an error about a place in a cell.
func At(code Code, cell, line int, format string, args ...any) *Error {
	return &Error{Code: code, Cell: cell, Line: line, Text: fmt.Sprintf(format, args...)}
}

// Wrap makes an error that keeps its cause for errors.Is and errors.As.
func Wrap(cause error, code Code, text, hint string) *Error {
	return &Error{Code: code, Text: text, Hint: hint, cause: cause}
}

// With adds what to do about it and returns the error itself.
func (e *Error) With(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Error gives the text and the hint as [Lines].
func (e *Error) Error() string { return Lines(e.Text, e.Hint) }

// Unwrap gives the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Lines joins a text and its hint, each on a line of its own. Either may be empty.
func Lines(text, hint string) string { return join(text, "\n", hint) }

// Sentences joins a text and its hint in one line. Either may be empty.
func Sentences(text, hint string) string { return join(text, ". ", hint) }

func join(text, between, hint string) string {
	if text == "" || hint == "" {
		return text + hint
	}
	return text + between + hint
}

// SystemReason is what the system said about a file or a folder, without its name, which the sentence has already.
func SystemReason(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
