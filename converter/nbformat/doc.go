// Package nbformat reads, checks, changes and writes notebook documents of the versions 1 to 4.5.
//
// [Read] is for programs that need the code and text of a notebook: outputs and attachments are passed over, not held.
// [ReadLean] gives the document without them as well, and [Locate] the lines of the file in which cells stand.
// [Parse] gives the whole [Document], whose cells and metadata can be looked at and changed; what is not changed is
// written back byte for byte. [Document.Format] writes as Jupyter does, [Document.Validate] checks by the format's
// published schemas, [Document.Upgrade] makes version 4.5 of older documents, and [New] makes a document from cells.
//
// It is lenient where Jupyter is lenient: a source may be a string or a list of strings, and metadata, ids and
// execution counts may be missing.
//
// The format: https://nbformat.readthedocs.io/en/latest/format_description.html. It imports the standard library alone.
package nbformat
