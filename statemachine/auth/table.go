package auth

import (
	"iter"
	"maps"
)

// table is a map by name in parts, of which a change copies one: the states before it
// have the old part. Its zero value is empty.
type table[T any] [256]map[string]*T

// part returns the number of the part in which name is, by FNV-1a.
func part(name string) byte {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return byte(h >> 24)
}

// get returns what is under that name; nil if nothing is.
func (t *table[T]) get(name string) *T { return t[part(name)][name] }

// set puts item under that name, or takes away what is there if item is nil.
func (t *table[T]) set(name string, item *T) {
	p := &t[part(name)]
	next := make(map[string]*T, len(*p)+1)
	maps.Copy(next, *p)
	if item != nil {
		next[name] = item
	} else {
		delete(next, name)
	}
	*p = next
}

// add puts item, which is new, into a table that nothing else has.
func (t *table[T]) add(name string, item *T) {
	p := &t[part(name)]
	if *p == nil {
		*p = map[string]*T{}
	}
	(*p)[name] = item
}

// all yields all items, in no order.
func (t *table[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range t {
			for _, item := range t[i] {
				if !yield(item) {
					return
				}
			}
		}
	}
}
