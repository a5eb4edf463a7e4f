// Package usererror has the one type for a mistake or a circumstance that a person can do something about, apart from
// our own faults: it is shown as it is, never with a stack. It imports the standard library alone, and every package
// may import it.
package usererror

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// Error is what a person did, or ran into, and what to do about it. The JSON form travels in conversations, reports and
// records (docs/internals/protocols.md).
type Error struct {
	Code Code   `json:"code"`           // stable, for programs
	Text string `json:"text"`           // one sentence: what is wrong, on which name
	Hint string `json:"hint,omitempty"` // one sentence: what to do
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

// Error gives the sentence and, on a line of its own, the hint.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Text
	}
	return e.Text + "\n" + e.Hint
}

// Unwrap gives the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Sentences joins a text and its hint in one line, each a sentence of its own.
func Sentences(text, hint string) string {
	if hint == "" {
		return text
	}
	return strings.TrimRight(text, ".") + ". " + hint
}

// SystemReason is what the system said about a file or a folder, without its name, which the sentence has already.
func SystemReason(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
