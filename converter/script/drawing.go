package script

import (
	"regexp"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// A notebook shows and closes at the end of a cell what that drew, so a script has to know which cells may draw. A cell
// that is taken for one costs a line; what another one draws is saved with the next, or at the end.

// plotters are packages whose functions draw by matplotlib.
var plotters = regexp.MustCompile(`^(matplotlib|pylab|seaborn|plotnine|mpl_toolkits|scikitplot|yellowbrick|shap|missingno|mplfinance|arviz|wordcloud|librosa\.display|cartopy|geopandas|statsmodels\.graphics)\b`)

// plots are names of functions and methods that draw.
var plots = regexp.MustCompile(`(?i)plot|hist$|draw|imshow|scatter|heatmap|boxplot|chart|visuali[sz]e|(show|display)_|` +
	`^(barh?|pie|area|violin|contourf?|pcolormesh|from_predictions|from_estimator)$|Display$`)

// drew says whether a cell may draw, and notes which names it gives to what does.
func (s *scripting) drew(all []*syntax.Node) bool {
	found := false
	for _, n := range all {
		switch n.Kind {
		case "import_statement", "import_from_statement":
			module, names := imports(n)
			for _, name := range names {
				from, as := strings.TrimPrefix(module+"."+name.name, "."), name.as
				if as == "" {
					as, _, _ = strings.Cut(name.name, ".")
				}
				s.drawing[as] = plotters.MatchString(from) || module != "" && plots.MatchString(name.name)
			}
			continue
		}
		draws := false
		visit(n, nil, func(n, parent *syntax.Node) bool {
			switch {
			case draws:
			case n.Kind == "identifier" && n.Field != "attribute":
				draws = s.drawing[n.Text()]
			case n.Kind == "identifier" && parent.Kind == "attribute":
				draws = plots.MatchString(n.Text())
			}
			return !draws
		})
		if n.Kind == "function_definition" || n.Kind == "class_definition" || n.Kind == "decorated_definition" {
			for _, name := range bound(n) {
				s.drawing[name] = draws
			}
			continue
		}
		if draws {
			for _, name := range bound(n) {
				s.drawing[name] = true
			}
		}
		found = found || draws
	}
	return found
}
