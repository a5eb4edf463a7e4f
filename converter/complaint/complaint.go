// Package complaint holds what the converter has to say about a person's code, as data: which cell, which line, what is wrong
// and what to do. One function prints it. It imports the standard library alone, and every room of the converter may import it.
package complaint

import (
	"fmt"
	"strings"
)

// Complaint is one thing to say about a cell. As an error it is a user's mistake, never ours.
type Complaint struct {
	Code string `json:"code"`           // stable, for programs: "no-source", "syntax", "no-function" …
	Text string `json:"text"`           // one sentence: what is wrong, on which name
	Hint string `json:"hint,omitempty"` // one sentence: what to do
	Cell int    `json:"cell,omitempty"` // seq of the cell in the session document; 0 is none
	Line int    `json:"line,omitempty"` // line within the cell as typed, from 1; 0 is none
}

// Error gives the sentence, its place and the hint, on one or two lines.
func (c *Complaint) Error() string {
	var b strings.Builder
	b.WriteString(c.Text)
	if c.Hint != "" {
		b.WriteString("\n" + c.Hint)
	}
	return b.String()
}

// New makes a complaint about a place in a cell.
func New(code string, cell, line int, format string, args ...any) *Complaint {
	return &Complaint{Code: code, Cell: cell, Line: line, Text: fmt.Sprintf(format, args...)}
}

// With adds what to do about it.
func (c *Complaint) With(format string, args ...any) *Complaint {
	c.Hint = fmt.Sprintf(format, args...)
	return c
}
