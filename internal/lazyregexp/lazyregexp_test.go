package lazyregexp

import (
	"sync"
	"testing"
)

func TestAnExpressionIsCompiledByWhoeverUsesItFirst(t *testing.T) {
	inTest = false
	defer func() { inTest = true }()
	r := New(`^a(b*)$`)
	if r.compiled != nil {
		t.Error("it is compiled before it is used")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if m := r.FindStringSubmatch("abb"); len(m) != 2 || m[1] != "bb" || r.MatchString("b") {
				t.Errorf("got %q", m)
			}
		})
	}
	all.Wait()
}

func TestAWrongExpressionIsFoundInATest(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nobody saw it")
		}
	}()
	New(`(`)
}
