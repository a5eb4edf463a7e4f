package cell

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// reading are the line magics that are answered while a run is shown: they look at runs and need nothing of the cells
// that wait. `stop` is among them, since it is how a run is stopped from a page that does not show it.
var reading = []string{
	"", "attach", "doctor", "logs", "plan", "runs", "settings", "show", "stop", "tensorboard", "version",
}

// reads says whether a cell is one such line and nothing else.
func reads(content []byte) bool {
	var request struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(content, &request) != nil {
		return false
	}
	words := strings.Fields(request.Code)
	if len(words) == 0 || words[0] != "%metaml" || strings.Contains(strings.TrimSpace(request.Code), "\n") {
		return false
	}
	return slices.Contains(reading, append(words, "")[1])
}

// together is how close requests of one client follow one another that one action of a person sent, such as "Run
// selected cells".
const together = 300 * time.Millisecond

// past says whether an execute_request may go past the held cell: it only reads, and it is not one of several cells
// that are to be executed in order. What came before the run was shown is the rest of a notebook that is run as a
// whole.
func (g *Gate) past(r *request) bool {
	if !r.execute || g.current.state != held || !reads(r.msg.Content()) {
		return false
	}
	return !slices.ContainsFunc(g.waiting, func(w *request) bool {
		return w.execute && w.client == r.client && r.came.Sub(w.came) < together
	})
}

// explain says under a cell what it waits for, when the page that shows the run is gone and none shows it again.
func (g *Gate) explain(r *request) {
	shows := g.current
	if shows.state != held || r.client == shows.client || g.front.Present(shows.client) || g.shownAgain(shows) {
		return
	}
	if run := shows.talk.name(); run != "" {
		g.publish("stream", r.msg.Header(), map[string]string{
			"name": "stderr", "text": "This cell waits for " + run + "; `%metaml attach " + run + "` shows it.\n",
		})
	}
}
