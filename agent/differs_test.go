package agent

import "testing"

func TestTheNoteOnNamesThatDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		all        []difference
		text, hint string
	}{
		"one": {
			[]difference{{"x", "1", "2"}},
			"`x` is 2 here and 1 in the notebook: something beside the cells (files, variables, time, random " +
				"numbers) changed it",
			"--with x gives the trials the notebook's value.",
		},
		"two": {
			[]difference{{"x", "1", "2"}, {"y", "a list", "a dict"}},
			"`x` is 2 here and 1 in the notebook, `y` is a dict and a list: something beside the cells (files, " +
				"variables, time, random numbers) changed them",
			"--with x gives the trials the notebook's value.",
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
