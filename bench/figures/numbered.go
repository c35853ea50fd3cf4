package main

import (
	"bytes"
	"math/rand/v2"
	"slices"
)

// numbered is a source of requests that differ only in the number of their key:
// there may be too many keys, or too large values, to make them all beforehand.
type numbered struct {
	before []byte   // the key
	after  [][]byte // the key; one for each value, in turn
	pick   func(c int, n int64) int
	codes  []int
}

// keyMark stands for the key in the request that the others are made after.
const keyMark = "{key}"

func (s *numbered) add(request []byte) {
	before, after, _ := bytes.Cut(request, []byte(keyMark))
	s.before, s.after = before, append(s.after, after)
}

func numberedGets(address string, pick func(int, int64) int) *numbered {
	s := &numbered{pick: pick, codes: []int{200}}
	s.add(getRequest(address, keyMark))
	return s
}

// numberedPuts writes the values in turn; all must have the same length.
func numberedPuts(address, prefix string, pick func(int, int64) int, values ...string) *numbered {
	s := &numbered{pick: pick, codes: []int{200, 201}}
	for _, v := range values {
		s.add(formRequest("PUT", address, prefix+keyMark, "value="+v))
	}
	return s
}

func (s *numbered) appendRequest(dst []byte, c int, n int64) []byte {
	dst = append(dst, s.before...)
	dst = appendKey(dst, s.pick(c, n))
	return append(dst, s.after[n%int64(len(s.after))]...)
}

func (s *numbered) wants(code int) bool { return slices.Contains(s.codes, code) }

// fill writes the keys below prefix whose numbers are from one up to the other.
func fill(address, prefix, value string, from, to, connections int) error {
	if from >= to {
		return nil
	}
	connections = min(connections, to-from)
	c, err := connect(address, connections, 1, numberedPuts(address, prefix, inOrder(from, to, connections), value))
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.runUntil(int64((to - from + connections - 1) / connections))
	return err
}

// inOrder goes over all numbers, spread over the connections. Those that have
// one less to write end with the last once more.
func inOrder(from, to, connections int) func(int, int64) int {
	return func(c int, n int64) int { return min(from+int(n)*connections+c, to-1) }
}

// babble is a value in which a store finds nothing to compress, the same in each run.
func babble(size int) string { return babbles(size, 1)[0] }

// babbles are so many different ones.
func babbles(size, count int) (all []string) {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_-abcdefghijklmnopqrstuvwxyz"
	random := rand.New(rand.NewPCG(5, 6))
	for range count {
		b := make([]byte, size)
		for i := range b {
			b[i] = letters[random.IntN(len(letters))]
		}
		all = append(all, string(b))
	}
	return all
}
