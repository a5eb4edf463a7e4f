package agent

import (
	"slices"
	"sync"
	"testing"
)

func TestDescriptorsAreGivenInTurn(t *testing.T) {
	t.Parallel()
	d := &descriptors{free: 10}
	never := make(chan struct{})
	if !d.take(8, never, func() { t.Error("it waits although there are enough") }) {
		t.Fatal("refused")
	}
	var mu sync.Mutex
	var order []string
	var group sync.WaitGroup
	waiting := make(chan struct{})
	ask := func(name string, n int, cancel chan struct{}) {
		group.Go(func() {
			took := d.take(n, cancel, func() { waiting <- struct{}{} })
			mu.Lock()
			defer mu.Unlock()
			if !took {
				name += " gave up"
			}
			order = append(order, name)
		})
		<-waiting
	}
	large := make(chan struct{})
	ask("large", 9, large)
	ask("small", 2, never) // there are two, but it is not its turn
	d.mu.Lock()
	if len(d.waiting) != 2 {
		t.Errorf("%d wait", len(d.waiting))
	}
	d.mu.Unlock()
	close(large)
	group.Wait()
	if !slices.Equal(order, []string{"large gave up", "small"}) &&
		!slices.Equal(order, []string{"small", "large gave up"}) {
		t.Error(order)
	}
	d.give(8)
	if d.free != 8 || len(d.waiting) != 0 {
		t.Errorf("%d free, %d wait", d.free, len(d.waiting))
	}
}

func TestDescriptorsAreNeverGivenTwice(t *testing.T) {
	t.Parallel()
	const all = 20
	d := &descriptors{free: all}
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			cancel := make(chan struct{})
			if i%3 == 0 {
				close(cancel)
			}
			if n := 1 + i%8; d.take(n, cancel, func() {}) {
				d.give(n)
			}
		})
	}
	group.Wait()
	if d.free != all || len(d.waiting) != 0 {
		t.Errorf("%d free, %d wait", d.free, len(d.waiting))
	}
}
