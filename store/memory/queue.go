package memory

import "time"

// An item knows when it is due, and where it is in its queue.
type item interface {
	due() time.Time
	moved(place int)
}

// A queue is a [container/heap] of items, so that pruning looks at the overdue ones only and holds the lock no longer than that takes.
type queue[T item] []T

// Len implements heap.Interface.
func (q queue[T]) Len() int { return len(q) }

// Less implements heap.Interface.
func (q queue[T]) Less(i, j int) bool { return q[i].due().Before(q[j].due()) }

// Swap implements heap.Interface.
func (q queue[T]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].moved(i)
	q[j].moved(j)
}

// Push implements heap.Interface.
func (q *queue[T]) Push(x any) {
	e := x.(T)
	e.moved(len(*q))
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *queue[T]) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	var none T
	(*q)[last] = none // it would be held in memory otherwise
	*q = (*q)[:last]
	return e
}

// isDue reports whether the first of q is due before t.
func (q queue[T]) isDue(t time.Time) bool { return len(q) > 0 && q[0].due().Before(t) }
