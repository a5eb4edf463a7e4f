package bridge

import "testing"

func TestWhyTheModuleWasNotLoaded(t *testing.T) {
	t.Parallel()
	const (
		begins = "[IPKernelApp] WARNING | Error in loading extension: metaml"
		log    = "the kernel's log has the traceback"
	)
	for name, c := range map[string]struct {
		lines, want []string
	}{
		"an exception of the user's": {[]string{"ValueError: no"}, []string{""}},
		"the module's exception": {
			[]string{begins, "Traceback (most recent call last):", "  File \"x.py\"", "ImportError: no module."},
			[]string{log, "", "", "ImportError: no module"},
		},
		"another exception after it": {
			[]string{begins, "SystemExit: 1", "KeyError: 2"}, []string{log, "SystemExit: 1", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f moduleFault
			for i, line := range c.lines {
				if got := f.readLine(line); got != c.want[i] {
					t.Errorf("%q: %q, want %q", line, got, c.want[i])
				}
			}
		})
	}
}
