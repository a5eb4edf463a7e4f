package script

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// A notebook shows and closes at the end of a cell what that drew, so a script has to know which cells may draw. A cell
// that is taken for one costs a line; what another one draws is saved with the next.

// plotters are packages whose functions draw by matplotlib.
var plotters = lazyregexp.New(`^(matplotlib|pylab|seaborn|plotnine|mpl_toolkits|scikitplot|yellowbrick|` +
	`shap|missingno|mplfinance|arviz|wordcloud|librosa\.display|cartopy|geopandas|statsmodels\.graphics)\b`)

// browsers are packages whose figures are for browsers.
var browsers = lazyregexp.New(`^(plotly|altair|bokeh|hvplot|holoviews|pyecharts|graphviz|folium|ipywidgets|` +
	`IPython|google)\b`)

// plots are names of functions and methods that draw.
var plots = lazyregexp.New(`(?i:plot|hist$|draw|imshow|scatter|heatmap|boxplot|chart|visuali[sz]e|show_)|` +
	`^(barh?|pie|area|violin|contourf?|pcolormesh|from_predictions|from_estimator)$|Display$`)

// star is what stands for all names of pylab in the names that draw.
const star = "*"

// drew says whether a cell may draw, and notes which names it gives to what does.
func (s *scripting) drew(all []*syntax.Node, pylab bool) bool {
	s.drawing[star] = s.drawing[star] || pylab
	found := false
	for _, n := range all {
		if n.Kind == "import_statement" || n.Kind == "import_from_statement" {
			module, names := imports(n)
			for _, name := range names {
				s.drawnBy(module, name)
			}
			continue
		}
		draws, other := s.draws(n)
		names := bound(n)
		if slices.Contains([]string{"function_definition", "class_definition", "decorated_definition"}, n.Kind) {
			for _, name := range names {
				s.drawing[name], s.others[name] = draws, other && !draws
			}
			continue
		}
		for _, name := range names {
			s.drawing[name] = s.drawing[name] || draws
			s.others[name] = other && !draws
		}
		found = found || draws
	}
	return found
}

// whole is the name of what is imported with its module's.
func whole(module, name string) string { return strings.TrimPrefix(module+"."+name, ".") }

// drawnBy notes whether what is imported draws.
func (s *scripting) drawnBy(module string, name importedName) {
	from, as := whole(module, name.name), name.as
	if as == "" {
		as, _, _ = strings.Cut(name.name, ".")
	}
	s.others[as] = browsers.MatchString(from)
	s.drawing[as] = !s.others[as] && (plotters.MatchString(from) || module != "" && plots.MatchString(name.name))
}

// draws says whether a statement may draw by matplotlib, and whether it uses what draws in browsers.
func (s *scripting) draws(statement *syntax.Node) (draws, other bool) {
	visit(statement, nil, func(n, parent *syntax.Node) bool {
		switch {
		case draws:
		case n.Kind == "attribute" && s.others[root(n)]:
			other = true
			return false
		case n.Kind == "identifier" && n.Field != "attribute":
			draws = s.drawing[n.Text()] || s.drawing[star] && (plots.MatchString(n.Text()) || n.Text() == "show")
		case n.Kind == "identifier" && parent.Kind == "attribute":
			draws = plots.MatchString(n.Text())
		}
		return !draws
	})
	return draws, other
}

// root is the name that an attribute is of, in the end.
func root(n *syntax.Node) string {
	for n.Kind == "attribute" || n.Kind == "call" || n.Kind == "subscript" {
		n = n.Children[0]
	}
	return n.Text()
}
