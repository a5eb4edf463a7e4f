package jupytext

import "github.com/metaml/metaml/converter/nbformat"

// Keep takes what text does not hold from the notebook that was there before, as "jupytext --update" does: ids and
// attachments, and outputs and counts of code whose source is the same. Cells are matched by type and source, in their
// order first.
func Keep(d, before *nbformat.Document) {
	type key struct{ kind, source string }
	old := before.Cells()
	places := map[key][]int{}
	for i, c := range old {
		k := key{c.Type(), c.Source()}
		places[k] = append(places[k], i)
	}
	used := map[string]bool{}
	last := -1
	var left []*nbformat.DocumentCell
	for _, c := range d.Cells() {
		k := key{c.Type(), c.Source()}
		at := -1
		for j, place := range places[k] {
			if place > last || j == len(places[k])-1 {
				at = j
				break
			}
		}
		if at < 0 {
			left = append(left, c)
			continue
		}
		place := places[k][at]
		places[k] = append(places[k][:at:at], places[k][at+1:]...)
		last = max(last, place)
		from := old[place]
		if id := from.ID(); id != "" && !used[id] {
			c.SetID(id)
			used[id] = true
		}
		names := []string{"attachments"}
		if c.Type() == "code" {
			names = []string{"outputs", "execution_count"}
		}
		for _, name := range names {
			if v := from.Value().Get(name); v != nil {
				c.Value().Set(name, v)
			}
		}
	}
	for _, c := range left {
		if used[c.ID()] {
			c.Value().Delete("id")
		}
	}
	if _, minor := d.Version(); minor >= 5 {
		d.FillIDs()
	}
}
