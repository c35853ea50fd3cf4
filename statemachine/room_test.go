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
type room struct{ left, taken, times int }

func (r *room) Take(bytes int) bool {
	if bytes > r.left {
		return false
	}
	r.left -= bytes
	r.taken += bytes
	r.times++
	return true
}

// roomTest is a store whose reads ask for room.
type roomTest struct {
	*testing.T
	m    *statemachine.Machine
	last uint64
}

func newRoomTest(t *testing.T) *roomTest {
	m, err := statemachine.New(statemachine.Options{Dir: t.TempDir(), Replica: 1, Window: 10, WindowBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return &roomTest{T: t, m: m}
}

func (t *roomTest) set(key, value string) {
	t.last++
	c := tree.Command{Op: tree.OpSet, Key: key, Value: []byte(value)}
	if _, err := t.m.Update([]sm.Entry{{Index: t.last, Cmd: tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &c)}}); err != nil {
		t.Fatal(err)
	}
}

func (t *roomTest) read(q tree.Query, r *room) (length int, failed error) {
	q.Room = r
	get := func() ([]byte, tree.Rest, *tree.Error, error) { return t.m.Get(nil, &q, at(0)) }
	if !q.Plain() {
		get = func() ([]byte, tree.Rest, *tree.Error, error) {
			return statemachine.GetPage([]*statemachine.Machine{t.m}, nil, &q, statemachine.PageOptions{}, at(0))
		}
	}
	out, rest, missing, fail := get()
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

// TestReadsAskForRoom reads large values, alone and in a listing, with enough room and with too
// little.
func TestReadsAskForRoom(t *testing.T) {
	s := newRoomTest(t)
	const size = 100_000
	for i := range 3 {
		s.set(fmt.Sprintf("/d/%d", i), strings.Repeat("\x01", size))
	}
	for key, whole := range map[string]int{"/d/1": 6 * size, "/d": 3 * 6 * size} {
		q := tree.Query{Key: key}
		enough := &room{left: 100 * size}
		if length, fail := s.read(q, enough); fail != nil || length < whole || enough.taken < 7*size {
			t.Errorf("%s with room: %v, %d bytes, and %d were asked for", key, fail, length, enough.taken)
		}
		// The room that it took is just enough.
		if length, fail := s.read(q, &room{left: enough.taken}); fail != nil || length < whole {
			t.Errorf("%s with just enough room: %v, %d bytes", key, fail, length)
		}
		for _, left := range []int{0, enough.taken - 1} {
			if length, fail := s.read(q, &room{left: left}); fail == nil || length >= whole {
				t.Errorf("%s with room for %d: %d bytes and no error", key, left, length)
			}
		}
	}
}

// TestRoomIsTakenAtOnce reads a value for which everything is asked for before any of it is held, so
// that many who read it don't wait for each other.
func TestRoomIsTakenAtOnce(t *testing.T) {
	s := newRoomTest(t)
	const size = 100_000
	s.set("/k", strings.Repeat("x", size))
	for _, page := range []tree.Page{{}, {Hidden: true}} {
		r := &room{left: 3 * size}
		if length, fail := s.read(tree.Query{Key: "/k", Page: page}, r); fail != nil || length < size || r.times != 1 || r.taken != 2*size {
			t.Errorf("%+v: %v, %d bytes; asked %d times, for %d", page, fail, length, r.times, r.taken)
		}
	}
}

// TestShortListingsNeedNoRoom reads what is about as small as a value that is free.
func TestShortListingsNeedNoRoom(t *testing.T) {
	s := newRoomTest(t)
	for i := range 3 {
		s.set(fmt.Sprintf("/d/%d", i), strings.Repeat("x", 4000))
	}
	if length, fail := s.read(tree.Query{Key: "/d"}, &room{}); fail != nil || length < 3*4000 {
		t.Errorf("%v, %d bytes", fail, length)
	}
	for i := range 3 {
		s.set(fmt.Sprintf("/d/%d", i), strings.Repeat("x", 12_000))
	}
	if length, fail := s.read(tree.Query{Key: "/d"}, &room{}); fail == nil {
		t.Errorf("no error, %d bytes", length)
	}
}

// TestGrowingValuesAreCounted lists values each of which is longer than the one before by what is
// free.
func TestGrowingValuesAreCounted(t *testing.T) {
	s := newRoomTest(t)
	const first, step, count = 140_000, 8000, 20 // each fills a part, and needs two steps more
	for i := range count {
		s.set(fmt.Sprintf("/d/%02d", i), strings.Repeat("x", first+i*step))
	}
	r := &room{left: 100 * first}
	if _, fail := s.read(tree.Query{Key: "/d"}, r); fail != nil || r.taken < 2*(first+(count-1)*step)-2*step-1000 {
		t.Errorf("%v, %d were asked for", fail, r.taken)
	}
}
