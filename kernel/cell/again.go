package cell

import (
	"encoding/json"
	"slices"
)

// Shown is a held cell and the run that it shows, for a page that was loaded again: no front end gives the outputs of a
// request to a page that did not send it, so such a page sends a `%metaml attach RUN` of its own, as the same cell.
type Shown struct {
	CellID string `json:"cell_id"`
	Run    string `json:"run"`
	// Interrupt is what an interrupt of the cell does to the run, "stop" or "detach".
	Interrupt string `json:"interrupt"`
	// Watched says that a page that shows it is there: with a notebook that is edited together, it shows it to all.
	Watched bool `json:"watched"`
	// Count is the number of the cell's execution.
	Count int `json:"execution_count"`
}

// Shown gives each cell of a notebook that is held, once, in order.
func (g *Gate) Shown() []Shown {
	g.mu.Lock()
	defer g.mu.Unlock()
	var shown []Shown
	for _, r := range g.holding {
		run, interrupt := r.talk.shows()
		if r.cellID == "" || run == "" {
			continue
		}
		watched := g.front.Present(r.client)
		if i := slices.IndexFunc(shown, func(s Shown) bool { return s.CellID == r.cellID }); i >= 0 {
			shown[i].Watched = shown[i].Watched || watched
			continue
		}
		shown = append(shown, Shown{r.cellID, run, interrupt, watched, r.count})
	}
	return shown
}

// cellID is the notebook's cell that an execute_request names, "" where it names none.
func cellID(metadata []byte) string {
	var named struct {
		CellID string `json:"cellId"`
	}
	_ = json.Unmarshal(metadata, &named) // what is no object names no cell
	return named.CellID
}

// deserted says whether the page that executed a held cell is gone.
func (g *Gate) deserted(r *request) bool { return r.cellID != "" && !g.front.Present(r.client) }

// shownAgain says whether a page that was loaded again shows a held cell whose own page is gone.
func (g *Gate) shownAgain(r *request) bool {
	return g.deserted(r) && slices.ContainsFunc(g.holding, func(h *request) bool {
		return h.cellID == r.cellID && g.front.Present(h.client)
	})
}

// showAgain takes in that r is held. The lines that showed the same cell to pages that are gone are over: each page
// that is loaded again sends one, and only the cell itself stays, whose end is the one that counts for what waits
// behind it.
func (g *Gate) showAgain(r *request) {
	for _, h := range g.holding {
		if h != r && h.reads && h.cellID == r.cellID && g.deserted(h) {
			h.talk.letGo()
		}
	}
}

// endAgain takes in that r has ended. Where an interrupt has ended it without its run, the cell that it showed ends
// too.
func (g *Gate) endAgain(r *request) {
	if r.interrupts == 0 || r.outcome == nil || r.outcome.Name != "Detached" {
		return
	}
	for _, h := range g.holding {
		if h != r && h.cellID == r.cellID && g.deserted(h) {
			h.talk.letGo()
		}
	}
}
