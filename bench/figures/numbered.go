package main

import (
	"bytes"
	"math/rand/v2"
	"slices"
)

// numbered is a source of requests that differ only in the number of their key. It is
// used when the keys are too many, or the values too large, to prepare all requests.
type numbered struct {
	before []byte   // the key
	after  [][]byte // the key; one for each value, in turn
	pick   func(c int, n int64) int
	codes  []int
}

// keyMark stands for the key in the request that serves as a template.
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

// fill writes the keys below prefix with the numbers from from to to-1.
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

// inOrder covers all numbers, spread over the connections. Connections with one
// number less write the last one again.
func inOrder(from, to, connections int) func(int, int64) int {
	return func(c int, n int64) int { return min(from+int(n)*connections+c, to-1) }
}

// incompressible is a value that can't be compressed, the same in each run.
func incompressible(size int) string { return incompressibles(size, 1)[0] }

// incompressibles returns count different ones.
func incompressibles(size, count int) (all []string) {
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
