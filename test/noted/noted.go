// Package noted holds what the goroutines of a test write down, such as the handlers of a server, each of whose
// requests is answered by a goroutine of its own.
package noted

import (
	"slices"
	"sync"
)

// List is what was noted so far, in order. Its zero value is empty; it must not be copied.
type List[T any] struct {
	mu    sync.Mutex
	items []T
}

// Add notes one more.
func (l *List[T]) Add(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = append(l.items, item)
}

// All gives what was noted, as a copy.
func (l *List[T]) All() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.items)
}
