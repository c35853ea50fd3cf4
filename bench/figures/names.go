package main

import (
	"fmt"
	"strings"

	"copse/bench/placement"
)

// topNames are top-level names in the given slots of so many, one in each turn. A
// slot of 8 is one of 4 and of 2 as well, so that the same names are spread evenly
// over fewer shards.
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

// evenNames are so many top-level names that are spread evenly over up to as many
// shards, if both are powers of two.
func evenNames(count int) []string {
	slots := make([]int, count)
	for i := range slots {
		slots[i] = i
	}
	return topNames(slots, count, count)
}

// putsBelow overwrites one of perDirectory keys, which are spread over the names.
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
