package statemachine_test

import (
	"fmt"
	"strings"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// room lets answers take so many bytes.
type room struct{ left, taken int }

func (r *room) Take(bytes int) bool {
	if bytes > r.left {
		return false
	}
	r.left -= bytes
	r.taken += bytes
	return true
}

// TestReadsAskForRoom reads large values, alone and in a listing, with enough room and with too
// little.
func TestReadsAskForRoom(t *testing.T) {
	m, err := statemachine.New(statemachine.Options{Dir: t.TempDir(), Replica: 1, Window: 10, WindowBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const size = 100_000
	for i := range 3 {
		c := tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d/%d", i), Value: []byte(strings.Repeat("\x01", size))}
		if _, err := m.Update([]sm.Entry{{Index: uint64(i + 1), Cmd: tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &c)}}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(key string, r *room) (length int, failed error) {
		out, rest, missing, fail := m.Get(nil, &tree.Query{Key: key, Room: r}, at(0))
		if missing != nil {
			t.Fatal(missing)
		}
		length = len(out)
		for more := rest != nil && fail == nil; more; {
			var part []byte
			part, more, fail = rest.Next()
			length += len(part)
			more = more && fail == nil
		}
		if rest != nil {
			rest.Close()
		}
		return length, fail
	}
	for key, whole := range map[string]int{"/d/1": 6 * size, "/d": 3 * 6 * size} {
		enough := &room{left: 100 * size}
		if length, fail := read(key, enough); fail != nil || length < whole || enough.taken < 7*size {
			t.Errorf("%s with room: %v, %d bytes, and %d were asked for", key, fail, length, enough.taken)
		}
		// The room that it took is just enough.
		if length, fail := read(key, &room{left: enough.taken}); fail != nil || length < whole {
			t.Errorf("%s with just enough room: %v, %d bytes", key, fail, length)
		}
		for _, left := range []int{0, enough.taken - 1} {
			if length, fail := read(key, &room{left: left}); fail == nil || length >= whole {
				t.Errorf("%s with room for %d: %d bytes and no error", key, left, length)
			}
		}
	}
}
