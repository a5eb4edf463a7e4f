package run

import (
	"errors"
	"syscall"
)

// UserError is a mistake or a circumstance that a person can do something about, told from our own faults: it is shown as it
// is, never with a stack. Code is stable, for programs; Hint says what to do.
type UserError struct {
	Code  string
	Text  string
	Hint  string
	cause error
}

// Wrap makes a UserError that keeps its cause for errors.Is and errors.As.
func Wrap(cause error, code, text, hint string) *UserError {
	return &UserError{Code: code, Text: text, Hint: hint, cause: cause}
}

// Error gives the sentence and, on a line of its own, the hint.
func (e *UserError) Error() string {
	if e.Hint == "" {
		return e.Text
	}
	return e.Text + "\n" + e.Hint
}

// Unwrap gives the cause, or nil.
func (e *UserError) Unwrap() error { return e.cause }

// SystemReason is what the system said about a file or a folder, without its name, which the sentence has already.
func SystemReason(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
