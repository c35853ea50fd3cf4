package main

import (
	"fmt"
	"strings"

	"copse/bench/placement"
)

// topNames returns top-level names that live in the given slots, in turn. Names that
// are spread evenly over 8 shards are also spread evenly over 4 and 2.
func topNames(slots []int, shards, count int) []string {
	var names []string
	for n := 0; len(names) < count; n++ {
		name := fmt.Sprintf("bench%d", n)
		if placement.Slot("/"+name, shards) == slots[len(names)%len(slots)] {
			names = append(names, name)
		}
	}
	return names
}

// evenNames returns count top-level names that are spread evenly over up to count
// shards, if both are powers of two.
func evenNames(count int) []string {
	slots := make([]int, count)
	for i := range slots {
		slots[i] = i
	}
	return topNames(slots, count, count)
}

// putsBelow overwrites one of perDirectory keys, spread over the names.
func putsBelow(names []string, value int) func(address string) source {
	return func(address string) source {
		p := &prepared{pick: anyOf(perDirectory), codes: []int{200, 201}}
		form := "value=" + strings.Repeat("v", value)
		for i := range perDirectory {
			key := fmt.Sprintf("/%s/keys/k%04d", names[i%len(names)], i)
			p.requests = append(p.requests, formRequest("PUT", address, key, form))
		}
		return p
	}
}
