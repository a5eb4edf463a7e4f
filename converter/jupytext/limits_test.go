package jupytext

import (
	"strings"
	"testing"
)

// Each of these took minutes when a cell was looked for in all that follows.
func TestLongTexts(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"markers", strings.Repeat("# %%\n", 30000)},
		{"text without blank lines", strings.Repeat("# %% [markdown]\n# a\n", 30000)},
		{"fences", "# %% [markdown]\n" + strings.Repeat("# ~~~ a\n", 30000)},
		{"a long marker", "# %% " + strings.Repeat("a=[", 30000) + "\n"},
		{"a long line", "# %%\n" + strings.Repeat("a = \"", 200000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := FromPercent([]byte(c.text), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if back, err := Percent(d, Options{}); err != nil || string(back) != c.text {
				t.Errorf("it does not come back: %v", err)
			}
		})
	}
	for _, c := range []struct{ name, text string }{
		{"blank lines", strings.Repeat("a\n\n\n", 30000)},
		{"regions without an end", strings.Repeat("<!-- #region -->\n", 30000)},
		{"code", strings.Repeat("```python\nx\n```\n\n", 30000)},
	} {
		t.Run(c.name, func(t *testing.T) { backFromMarkdown(t, c.text) })
	}
}
