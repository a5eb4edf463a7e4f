package slicer

import "github.com/metaml/metaml/internal/usererror"

// The codes of [Slice.Notes], besides [usererror.CodeSyntax]: nothing was refused, but a person may want to know.
const (
	NoteAsked            usererror.Code = "asked"             // a variable that a person is asked for is not set
	NoteDefinitions      usererror.Code = "definitions"       // of a model's program: what came along and what did not
	NoteExec             usererror.Code = "exec"              // names made by exec are not seen
	NoteLeftOut          usererror.Code = "left-out"          // a command whose files the program needs was left out
	NoteModuleNewer      usererror.Code = "module-newer"      // a file is newer than the module that was imported
	NoteSeveralFunctions usererror.Code = "several-functions" // the cell defines several, and the last is the entry
	NoteSlowCell         usererror.Code = "slow-cell"         // a cell that took long runs again with the program
	NoteUnknownSuccess   usererror.Code = "unknown-success"   // cells from before the module was loaded
)
