package view

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

//go:embed table.css
var styleSheet string

//go:embed table.tmpl
var templateText string

// style is the style sheet as an element. It is repeated in every update, since an update replaces what it finds.
var style = sync.OnceValue(func() string { return "<style>" + compact(styleSheet) + "</style>" })

// compact takes comments and blanks out of a style sheet that has neither in a text.
func compact(sheet string) string {
	if _, after, ok := strings.Cut(sheet, "*/"); ok {
		sheet = after
	}
	sheet = strings.Join(strings.Fields(sheet), " ")
	return strings.NewReplacer(" { ", "{", "; } ", "}", "; }", "}", "; ", ";", ": ", ":", ", ", ",").Replace(sheet)
}

// templates are the parts of a page; html/template escapes each value for the place where it stands.
var templates = sync.OnceValue(func() *template.Template {
	var text strings.Builder
	for line := range strings.Lines(templateText) {
		text.WriteString(strings.TrimSpace(line))
	}
	return template.Must(template.New("").Parse(text.String()))
})

// draw fills in a template. What is not ours becomes visible here, wherever it stands.
func draw(name string, data any) string {
	var b strings.Builder
	if err := templates().ExecuteTemplate(&b, name, data); err != nil {
		panic(fmt.Sprintf("draw %s: %v", name, err)) // the templates fit their data: a test draws each of them
	}
	return Visible(b.String())
}

// maxHTML bounds one update, in bytes.
const maxHTML = 64 << 10

// htmlTable is what the template "table" shows.
type htmlTable struct {
	Differs              []string
	Name, Progress, Pace string
	Best                 string
	BestTrial            int
	Bar                  []htmlBar
	Waits                []string
	Constants            string
	Grid                 *htmlGrid // nil: no rows
	Remarks              []string
	Footer               []htmlPart
}

// htmlBar is a part of the bar.
type htmlBar struct{ Class, Percent string }

// htmlGrid is the rows with the heads of their columns; a column that no row has a value for is left out.
type htmlGrid struct {
	Lead                 string
	Course, Elapsed, Why bool
	Names                []string // of parameters and metrics
	Rows                 []htmlRow
}

// htmlRow is one trial.
type htmlRow struct {
	Trial                                int
	Mark                                 string
	Best, Failed, Open                   bool // Open: it has not ended
	Lead, Spark, Attempt, Elapsed, Error string
	Why                                  string // it waits, or had to be tried again
	Values                               []string
}

// htmlPart is a statement of the footer: Before Code Link After, of which some are "".
type htmlPart struct{ Before, Code, Link, Label, After string }

// HTML draws the table for a notebook: no JavaScript, and nothing to unfold before the run is over (an update would
// close it again).
func (t *Table) HTML() string {
	page := htmlTable{
		Name: t.Name, Progress: t.progress(), Pace: strings.Join(t.pace(), " · "), Best: t.Best, BestTrial: t.BestTrial,
		Bar: t.htmlBar(), Waits: t.WaitLines(), Constants: t.constants(), Remarks: t.Remarks(),
		Differs: t.Differs(), Footer: t.htmlFooter(),
	}
	if len(t.Rows) > 0 {
		page.Grid = t.htmlGrid()
	}
	const end = "</div>" // of the page
	drawn := style() + draw("table", page)
	return drawn + t.htmlAll(maxHTML-len(drawn)-len(end)) + end
}

func (t *Table) htmlGrid() *htmlGrid {
	g := &htmlGrid{Names: slices.Concat(t.Parameters, t.Metrics), Rows: make([]htmlRow, 0, len(t.Rows))}
	var lead bool
	if lead, g.Course, g.Elapsed, g.Why = t.has(); lead {
		g.Lead = t.heading()
	}
	for i := range t.Rows {
		r := &t.Rows[i]
		row := htmlRow{
			Trial: r.Trial, Mark: mark(r.Phase), Best: r.Best, Failed: r.Phase == run.Failed, Open: !r.Phase.Final(),
			Lead: r.Lead, Spark: r.Spark, Values: slices.Concat(r.Parameters, r.Metrics),
			Attempt: t.attempt(*r), Error: prose.Shorten(r.Error, maxHTMLError),
		}
		if r.Error == "" {
			row.Why = prose.Shorten(strings.TrimSpace(r.After+" "+r.Waiting), maxHTMLError)
		}
		g.Elapsed = g.Elapsed || row.Attempt != ""
		if r.Elapsed > 0 {
			row.Elapsed = prose.Duration(r.Elapsed)
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// maxHTMLError is how much of an error stands in its row; the whole of it stands below.
const maxHTMLError = 48

// htmlAll folds every trial of a run that is over behind one line, the best first, as many as fit into room bytes.
func (t *Table) htmlAll(room int) string {
	if len(t.All) == 0 {
		return ""
	}
	names := slices.Concat(t.Parameters, t.Metrics)
	all := struct {
		Summary, Lead string
		Names         []string
		Rows          template.HTML // drawn by the template "short"
	}{Names: names}
	if t.Lead != "" {
		all.Lead = t.heading()
	}
	const around = 100 // bytes of the summary
	room -= len(draw("all", all)) + around
	var rows strings.Builder
	count := 0
	for i := range t.All {
		row := t.htmlShort(&t.All[i])
		if rows.Len()+len(row) > room {
			break
		}
		rows.WriteString(row)
		count++
	}
	if count == 0 {
		return ""
	}
	all.Summary = "all " + prose.Count(count, "trial")
	if count < len(t.All) {
		all.Summary = fmt.Sprintf("%d of %s", count, prose.Count(len(t.All), "trial"))
	}
	if t.Direction != "" {
		all.Summary += ", the best first"
	}
	all.Rows = template.HTML(rows.String()) //nolint:gosec // G203: it was drawn by a template
	return draw("all", all)
}

// htmlShort is one of all the rows.
func (t *Table) htmlShort(r *Row) string {
	row := htmlRow{
		Trial: r.Trial, Mark: mark(r.Phase), Values: slices.Concat(r.Parameters,
			r.Metrics), Elapsed: prose.Duration(r.Elapsed),
		Error: prose.Shorten(r.Error, maxHTMLError),
	}
	if t.Lead != "" {
		row.Lead = r.Lead
	}
	return draw("short", row)
}

func (t *Table) htmlBar() []htmlBar {
	if t.Total == 0 || (t.Total == 1 && t.Phase.Final()) {
		return nil
	}
	var bar []htmlBar
	part := func(n int, class string) {
		if n > 0 {
			bar = append(bar, htmlBar{class, fmt.Sprintf("%.4g", 100*float64(n)/float64(t.Total))})
		}
	}
	part(t.Counts.Succeeded+t.Counts.Stopped, "")
	part(t.Counts.Failed, "bad")
	part(t.Counts.Running, "now")
	return bar
}

func (t *Table) htmlFooter() []htmlPart {
	var parts []htmlPart
	for _, p := range t.footer(len(t.All) > 0) {
		parts = append(parts, htmlPart{Before: p})
	}
	switch address := t.Facts.TensorBoard; {
	case address == "":
	case t.Phase.Final(): // it ended with the run
		parts = append(parts, htmlPart{Before: "TensorBoard again: ", Code: "metaml tensorboard " + t.Name})
	case isLink(address):
		parts = append(parts, htmlPart{
			Before: "TensorBoard ", Link: address, Label: strings.TrimPrefix(address, "http://"),
		})
	}
	if t.Hidden > 0 || t.Columns > 0 {
		parts = append(parts, htmlPart{Code: "run.to_pandas()", After: " has all"})
	}
	if !t.Phase.Final() {
		switch t.Facts.Interrupt {
		case "stop":
			parts = append(parts, htmlPart{Before: "■ stops the run"})
		case "detach":
			parts = append(parts, htmlPart{Before: "■ detaches, the run goes on"})
		case Unattended:
			parts = append(parts, htmlPart{Code: "%metaml stop " + t.Name, After: " stops it"})
		}
	}
	return parts
}

// HTML draws the panel for a notebook.
func (p *Panel) HTML() string {
	return style() + draw("panel", struct {
		*Panel
		Parts   string
		GivesUp bool
	}{p, strings.Join(p.Parts, " · "), p.Waiting && p.State == "starting"})
}

// Fold draws something long behind one line that unfolds it, and remarks below. It is displayed once and never updated.
func Fold(summary, body string, remarks ...string) string {
	return style() + draw("fold", struct {
		Summary, Body string
		Remarks       []string
	}{summary, bounded(body), remarks})
}

// maxFold bounds what a fold holds, in bytes.
const maxFold = 48 << 10

func bounded(s string) string {
	if len(s) <= maxFold {
		return s
	}
	return strings.ToValidUTF8(s[:maxFold], "") + "\n…"
}

// isLink reports whether an address may be followed: http, https, or a path on the server that the notebook came from.
// What is recorded with a run may come from anywhere; "javascript:" would be executed.
func isLink(address string) bool {
	u, err := url.Parse(address)
	if err != nil || Visible(address) != address {
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return u.Host != ""
	case "":
		return strings.HasPrefix(address, "/") && u.Host == "" && !strings.ContainsAny(address, `\`)
	default:
		return false
	}
}
