package view

import (
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// style belongs to the front end: its fonts and colours, with fallbacks for a saved page. It is repeated in every update, since
// an update replaces what it finds.
const style = `<style>
.mm{--fg:var(--jp-ui-font-color1,var(--vscode-foreground,light-dark(#1f2328,#e6edf3)));--dim:var(--jp-ui-font-color2,var(--vscode-descriptionForeground,light-dark(#656d76,#8b949e)));--line:var(--jp-border-color2,var(--vscode-panel-border,light-dark(#d8dee4,#30363d)));--accent:var(--jp-brand-color1,var(--vscode-progressBar-background,#1976d2));--bad:var(--jp-error-color1,var(--vscode-errorForeground,#c62828));--soft:var(--jp-layout-color2,var(--vscode-editorWidget-background,light-dark(#f6f8fa,#161b22)));font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--fg);max-width:64em;font-variant-numeric:tabular-nums}
.mm .top{display:flex;gap:.75em;align-items:baseline;flex-wrap:wrap}.mm b{font-weight:600}.mm .dim{color:var(--dim)}
.mm .bar{height:4px;border-radius:2px;background:var(--soft);margin:.5em 0;display:flex;overflow:hidden}.mm .bar i{background:var(--accent)}.mm .bar i.now{opacity:.35}.mm .bar i.bad{background:var(--bad)}
.mm .wide{overflow-x:auto}.mm table{border-collapse:collapse;margin:.25em 0;font:inherit;color:inherit;font-variant-numeric:inherit}.mm th{font-weight:500;color:var(--dim);text-align:right;padding:.2em .7em;border:0;border-bottom:1px solid var(--line);background:none;white-space:nowrap}
.mm td{text-align:right;padding:.2em .7em;border:0;border-bottom:1px solid var(--soft);white-space:nowrap;background:none}.mm tr{background:none}.mm table td.l,.mm table th.l{text-align:left}.mm .spark{font-family:var(--jp-code-font-family,monospace);color:var(--accent);letter-spacing:-.5px;font-size:11px;min-width:8em}
.mm tr.best td{background:var(--soft);font-weight:600}.mm .bad{color:var(--bad)}.mm details{margin:.15em 0}.mm summary{cursor:pointer;color:var(--dim)}.mm pre{background:var(--soft);color:inherit;padding:.5em .8em;margin:.3em 0;font:12px/1.4 var(--jp-code-font-family,monospace);overflow:auto;text-align:left;white-space:pre}
.mm code{font-family:var(--jp-code-font-family,monospace);font-size:12px}.mm a{color:var(--accent)}
</style>`

// maxHTML bounds one update, in bytes.
const maxHTML = 64 << 10

// HTML draws the table for a notebook: no JavaScript, and nothing to unfold before the run is over (an update would close it again).
func (t *Table) HTML() string {
	var b strings.Builder
	b.WriteString(style + `<div class="mm"><div class="top"><b>` + esc(t.Name) + `</b><span>` + esc(t.progress()) + `</span><span class="dim">` + esc(strings.Join(t.pace(), " · ")) + `</span>`)
	if t.Best != "" {
		fmt.Fprintf(&b, `<span class="dim">best <b style="color:var(--fg)">%s</b> (trial %d)</span>`, esc(t.Best), t.BestTrial)
	}
	b.WriteString("</div>" + t.bar())
	if line := t.constants(); line != "" {
		b.WriteString(`<div class="dim">` + esc(line) + `</div>`)
	}
	if len(t.Rows) > 0 {
		t.htmlTable(&b)
	}
	for _, line := range t.Remarks() {
		b.WriteString(`<div class="dim">` + esc(line) + `</div>`)
	}
	if line := t.htmlFooter(); line != "" {
		b.WriteString(`<div class="dim">` + line + `</div>`)
	}
	b.WriteString(t.htmlAll(maxHTML - b.Len() - len("</div>")))
	b.WriteString("</div>")
	return b.String()
}

func (t *Table) htmlTable(b *strings.Builder) {
	lead, course, elapsed, errs := t.has()
	b.WriteString(`<div class="wide"><table><tr><th class="l">trial</th>`)
	if lead {
		b.WriteString("<th>" + esc(t.heading()) + "</th>")
	}
	if course {
		b.WriteString(`<th class="l">over steps</th>`)
	}
	for _, name := range slices.Concat(t.Parameters, t.Metrics) {
		b.WriteString("<th>" + esc(name) + "</th>")
	}
	if elapsed {
		b.WriteString("<th>time</th>")
	}
	if errs {
		b.WriteString("<th></th>")
	}
	b.WriteString("</tr>")
	for _, r := range t.Rows {
		class, first := "", `<td class="l">`
		if r.Best {
			class = ` class="best"`
		}
		sign := mark(r.Phase)
		switch r.Phase {
		case run.Failed:
			first = `<td class="l bad">`
		case run.Succeeded, run.Stopped:
		case run.Running, run.Pending:
			sign = `<span class="dim">` + sign + `</span>`
		}
		fmt.Fprintf(b, `<tr%s>%s%d %s</td>`, class, first, r.Trial, sign)
		if lead {
			b.WriteString("<td>" + esc(r.Lead) + "</td>")
		}
		if course {
			b.WriteString(`<td class="l spark">` + r.Spark + `</td>`)
		}
		for _, v := range slices.Concat(r.Parameters, r.Metrics) {
			b.WriteString("<td>" + esc(v) + "</td>")
		}
		if elapsed {
			b.WriteString("<td>" + t.htmlElapsed(r) + "</td>")
		}
		if errs {
			b.WriteString(`<td class="l bad">` + esc(prose.Shorten(r.Error, maxHTMLError)) + `</td>`)
		}
		b.WriteString("</tr>")
	}
	b.WriteString("</table></div>")
}

// maxHTMLError is how much of an error stands in its row; the whole of it stands below.
const maxHTMLError = 48

func (t *Table) htmlElapsed(r Row) string {
	elapsed := ""
	if r.Elapsed > 0 {
		elapsed = prose.Duration(r.Elapsed)
	}
	if a := t.attempt(r); a != "" {
		elapsed = `<span class="dim">` + a + `</span> ` + elapsed
	}
	return elapsed
}

// htmlAll folds every trial of a run that is over behind one line, the best first, as many as fit into room bytes. Ends of rows and
// cells are left out, as HTML allows: more fit.
func (t *Table) htmlAll(room int) string {
	if len(t.All) == 0 {
		return ""
	}
	var head, rows strings.Builder
	head.WriteString(`<tr><th class="l">trial`)
	if t.Lead != "" {
		head.WriteString("<th>" + esc(t.heading()))
	}
	for _, name := range slices.Concat(t.Parameters, t.Metrics) {
		head.WriteString("<th>" + esc(name))
	}
	head.WriteString("<th>time")
	count := 0
	const around = 300 // bytes of the elements and of the summary
	for _, r := range t.All {
		row := t.htmlShort(r)
		if rows.Len()+len(row)+head.Len()+around > room {
			break
		}
		rows.WriteString(row)
		count++
	}
	if count == 0 {
		return ""
	}
	summary := "all " + prose.Count(count, "trial")
	if count < len(t.All) {
		summary = fmt.Sprintf("%d of %s", count, prose.Count(len(t.All), "trial"))
	}
	if t.Direction != "" {
		summary += ", the best first"
	}
	return `<details><summary>` + esc(summary) + `</summary><div class="wide"><table>` + head.String() + rows.String() + `</table></div></details>`
}

// htmlShort is one of all the rows.
func (t *Table) htmlShort(r Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<tr><td class="l">%d %s`, r.Trial, mark(r.Phase))
	if t.Lead != "" {
		b.WriteString("<td>" + esc(r.Lead))
	}
	for _, v := range slices.Concat(r.Parameters, r.Metrics) {
		b.WriteString("<td>" + esc(v))
	}
	b.WriteString("<td>" + prose.Duration(r.Elapsed))
	if r.Error != "" {
		b.WriteString(`<td class="l bad">` + esc(prose.Shorten(r.Error, maxHTMLError)))
	}
	return b.String()
}

func (t *Table) bar() string {
	if t.Total == 0 || (t.Total == 1 && t.Phase.Final()) {
		return ""
	}
	part := func(n int, class string) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf(`<i%s style="width:%.4g%%"></i>`, class, 100*float64(n)/float64(t.Total))
	}
	return `<div class="bar">` + part(t.Counts.Succeeded+t.Counts.Stopped, "") + part(t.Counts.Failed, ` class="bad"`) + part(t.Counts.Running, ` class="now"`) + `</div>`
}

func (t *Table) htmlFooter() string {
	var parts []string
	for _, p := range t.footer(len(t.All) > 0) {
		parts = append(parts, esc(p))
	}
	switch address := t.Facts.TensorBoard; {
	case address == "":
	case t.Phase.Final(): // it ended with the run
		parts = append(parts, "TensorBoard again: <code>metaml tensorboard "+esc(t.Name)+"</code>")
	case isLink(address):
		parts = append(parts, `TensorBoard <a href="`+esc(address)+`" target="_blank" rel="noopener">`+esc(strings.TrimPrefix(address, "http://"))+`</a>`)
	}
	if t.Hidden > 0 || t.Columns > 0 {
		parts = append(parts, "<code>run.to_pandas()</code> has all")
	}
	if !t.Phase.Final() {
		switch t.Facts.Interrupt {
		case "stop":
			parts = append(parts, "■ stops the run")
		case "detach":
			parts = append(parts, "■ detaches, the run goes on")
		case Unattended:
			parts = append(parts, "<code>%metaml stop "+esc(t.Name)+"</code> stops it")
		}
	}
	return strings.Join(parts, " · ")
}

// Fold draws something long behind one line that unfolds it. It is displayed once and never updated.
func Fold(summary, body string) string {
	return style + `<div class="mm"><details><summary>` + esc(summary) + `</summary><pre>` + esc(bounded(body)) + `</pre></details></div>`
}

// maxFold bounds what a fold holds, in bytes.
const maxFold = 48 << 10

func bounded(s string) string {
	if len(s) <= maxFold {
		return s
	}
	return strings.ToValidUTF8(s[:maxFold], "") + "\n…"
}

// esc makes text of any kind into HTML that shows it.
func esc(s string) string { return html.EscapeString(Visible(s)) }

// isLink reports whether an address may be followed: http, https, or a path on the server that the notebook came from. What is
// recorded with a run may come from anywhere; "javascript:" would be executed.
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
