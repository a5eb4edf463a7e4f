package nbformat

import (
	"io"
	"strings"
)

// Place is where a cell stands in the file of a notebook, in lines from 1.
type Place struct {
	Cell  int   // where its object begins
	Lines []int // where each line of its source stands
}

// Locate reads a notebook as [Read] does, and says where its cells stand in the file: there is a place for each. It is
// for messages, once something is wrong.
func Locate(r io.Reader) (*Notebook, []Place, error) {
	places := []Place{}
	nb, err := read(r, &places, nil)
	return nb, places, err
}

// place is where a cell stands whose source these strings are, in these lines of the file. A string may hold several
// lines, or a part of one.
func place(cell int, parts []string, rows []int, version int) Place {
	p := Place{Cell: cell}
	apart := areApart(parts, version)
	begins := true // a line of the source
	for i, part := range parts {
		if part == "" && !apart {
			continue
		}
		if begins || apart {
			p.Lines = append(p.Lines, rows[i])
		}
		begins = strings.HasSuffix(part, "\n")
		for range strings.Count(strings.TrimSuffix(part, "\n"), "\n") {
			p.Lines = append(p.Lines, rows[i])
		}
	}
	return p
}
