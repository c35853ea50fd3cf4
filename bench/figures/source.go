package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// The keys that requests go to: perDirectory files in one directory.
const benchDir = "/bench/keys"

func benchKey(i int) string { return fmt.Sprintf("%s/k%04d", benchDir, i%perDirectory) }

// prepared is a source of requests that are built in advance.
type prepared struct {
	requests [][]byte
	pick     func(c int, n int64) int
	codes    []int
}

func (p *prepared) appendRequest(dst []byte, c int, n int64) []byte {
	return append(dst, p.requests[p.pick(c, n)]...)
}

func (p *prepared) wants(code int) bool { return slices.Contains(p.codes, code) }

// anyOf picks at random, always in the same order: with a seed for each run the
// servers would get different requests.
func anyOf(count int) func(int, int64) int {
	random := rand.New(rand.NewPCG(1, 2))
	return func(int, int64) int { return random.IntN(count) }
}

func getRequest(address, target string) []byte {
	return fmt.Appendf(nil, "GET /v2/keys%s HTTP/1.1\r\nHost: %s\r\n\r\n", target, address)
}

func formRequest(method, address, target, form string) []byte {
	return fmt.Appendf(nil, "%s /v2/keys%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		method, target, address, len(form), form)
}

// gets reads one of the keys.
func gets(address, query string) *prepared {
	p := &prepared{pick: anyOf(perDirectory), codes: []int{200}}
	for i := range perDirectory {
		p.requests = append(p.requests, getRequest(address, benchKey(i)+query))
	}
	return p
}

// misses reads keys of the same directory that aren't there.
func misses(address string) *prepared {
	p := gets(address, "")
	p.codes = []int{404}
	for i := range p.requests {
		p.requests[i] = getRequest(address, benchKey(i)+"x")
	}
	return p
}

// puts overwrites one of the keys.
func puts(address string, value int) *prepared {
	p := &prepared{pick: anyOf(perDirectory), codes: []int{200, 201}}
	form := "value=" + strings.Repeat("v", value)
	for i := range perDirectory {
		p.requests = append(p.requests, formRequest("PUT", address, benchKey(i), form))
	}
	return p
}

// largePuts overwrites one of a few keys with one of a few values that can't be
// compressed.
func largePuts(address string, size int) source {
	const keys, variants = 64, 8
	return numberedPuts(address, fmt.Sprintf("/large%d", size), anyOf(keys), incompressibles(size, variants)...)
}

// mixed reads nine times for each write.
func mixed(address string, value int) *prepared {
	p := gets(address, "")
	p.requests = append(p.requests, puts(address, value).requests...)
	random := rand.New(rand.NewPCG(3, 4))
	p.pick = func(int, int64) int {
		i := random.IntN(perDirectory)
		if random.IntN(10) == 0 {
			i += perDirectory
		}
		return i
	}
	return p
}

func swapKey(c int) string { return fmt.Sprintf("/bench/swap/k%04d", c) }

// swaps sends compare-and-swaps: each connection has a key of its own, whose value
// alternates between two. The keys must have their first value.
func swaps(address string, value, connections int) *prepared {
	p := &prepared{codes: []int{200}, pick: func(c int, n int64) int { return 2*c + int(n%2) }}
	v := [2]string{strings.Repeat("v", value), strings.Repeat("w", value)}
	for c := range connections {
		for i := range 2 {
			form := "prevValue=" + v[i] + "&value=" + v[1-i]
			p.requests = append(p.requests, formRequest("PUT", address, swapKey(c), form))
		}
	}
	return p
}

// swapStarts gives the keys of swaps their first value.
func swapStarts(address string, value, connections int) *prepared {
	p := &prepared{codes: []int{200, 201}, pick: func(_ int, n int64) int { return int(n) }}
	for c := range connections {
		p.requests = append(p.requests, formRequest("PUT", address, swapKey(c), "value="+strings.Repeat("v", value)))
	}
	return p
}
