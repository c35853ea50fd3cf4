package main

import (
	"bytes"
	"math/rand/v2"
	"slices"
)

// numbered is a source of requests that differ only in the number of their key:
// there may be too many keys, or too large values, to make them all beforehand.
type numbered struct {
	before, after []byte // the key
	pick          func(c int, n int64) int
	codes         []int
}

// keyMark stands for the key in the request that the others are made after.
const keyMark = "{key}"

func newNumbered(pick func(int, int64) int, request []byte, codes ...int) *numbered {
	before, after, _ := bytes.Cut(request, []byte(keyMark))
	return &numbered{before, after, pick, codes}
}

func numberedGets(address string, pick func(int, int64) int) *numbered {
	return newNumbered(pick, getRequest(address, keyMark), 200)
}

func numberedPuts(address, prefix, value string, pick func(int, int64) int) *numbered {
	return newNumbered(pick, formRequest("PUT", address, prefix+keyMark, "value="+value), 200, 201)
}

func (s *numbered) appendRequest(dst []byte, c int, n int64) []byte {
	dst = append(dst, s.before...)
	dst = appendKey(dst, s.pick(c, n))
	return append(dst, s.after...)
}

func (s *numbered) wants(code int) bool { return slices.Contains(s.codes, code) }

// fill writes the keys below prefix whose numbers are from one up to the other.
func fill(address, prefix, value string, from, to, connections int) error {
	if from >= to {
		return nil
	}
	connections = min(connections, to-from)
	c, err := connect(address, connections, 1, numberedPuts(address, prefix, value, inOrder(from, to, connections)))
	if err != nil {
		return err
	}
	defer c.close()
	return c.runUntil(int64((to - from + connections - 1) / connections))
}

// inOrder goes over all numbers, spread over the connections. Those that have
// one less to write end with the last once more.
func inOrder(from, to, connections int) func(int, int64) int {
	return func(c int, n int64) int { return min(from+int(n)*connections+c, to-1) }
}

// babble is a value in which a store finds nothing to compress, always the same.
func babble(size int) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_-abcdefghijklmnopqrstuvwxyz"
	random := rand.New(rand.NewPCG(5, 6))
	b := make([]byte, size)
	for i := range b {
		b[i] = letters[random.IntN(len(letters))]
	}
	return string(b)
}
