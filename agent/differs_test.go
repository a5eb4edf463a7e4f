package agent

import "testing"

func TestTheNoteOnNamesThatDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		all        []difference
		text, hint string
	}{
		"one": {
			[]difference{{Name: "x", Text: "`x` is 2 here and 1 in the notebook"}},
			"`x` is 2 here and 1 in the notebook: something beside the cells (files, variables, time, random " +
				"numbers) changed it",
			"--with x gives the trials the notebook's value.",
		},
		"two": {
			[]difference{
				{Name: "x", Text: "`x` is 2 here and 1 in the notebook"},
				{Name: "y", Text: "`y` is a dict here and a list in the notebook"},
			},
			"`x` is 2 here and 1 in the notebook, `y` is a dict here and a list in the notebook: something beside " +
				"the cells (files, variables, time, random numbers) changed them",
			"--with x,y gives the trials the notebook's values.",
		},
		"a statement": {
			[]difference{{
				Name: "df", Text: "`df` has 1 column here and 2 in the notebook", Place: "cell 3, line 2",
				Statement: `df["b"] = …`,
			}},
			"`df` has 1 column here and 2 in the notebook: cell 3, line 2 (`df[\"b\"] = …`) was left out",
			"--with df gives the trials the notebook's value.",
		},
		"a statement whose text is not said, and none": {
			[]difference{
				{Name: "x", Text: "`x` is 2 here and 1 in the notebook"},
				{Name: "y", Text: "`y` differs", Place: "cell 3, line 2"},
			},
			"`y` differs: cell 3, line 2 was left out; `x` is 2 here and 1 in the notebook: something beside the " +
				"cells (files, variables, time, random numbers) changed it",
			"--with x,y gives the trials the notebook's values.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n := differNote(c.all); n.Code != "differs" || n.Text != c.text || n.Hint != c.hint {
				t.Errorf("%+v", n)
			}
		})
	}
}
