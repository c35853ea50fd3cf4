package statemachine_test

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"copse/statemachine"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// lies reports whether part lies within whole in memory.
func lies(part, whole []byte) bool {
	at := uintptr(unsafe.Pointer(&part[0])) - uintptr(unsafe.Pointer(&whole[0]))
	return at < uintptr(len(whole))
}

// TestBinaryValuesCostNoCopies: an event whose values aren't UTF-8 shares all its bytes with the reply, which is
// allocated once, unless most of that is of others.
func TestBinaryValuesCostNoCopies(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	var events []tree.EncodedEvent
	m.Subscribe(func(n *statemachine.ApplyResult) { events = n.Events })
	entry, value := uint64(0), bytes.Repeat([]byte("\xff\xfev\x00"), 100<<10)
	for _, failing := range []int{0, 4000} {
		for range 2 { // the second has a value before as well
			batch := tree.AppendCommand(tree.AppendBatch(nil, replica, 1+failing), &tree.Command{Op: tree.OpSet, Key: "/k", Value: value})
			for range failing {
				batch = tree.AppendCommand(batch, &tree.Command{Op: tree.OpDelete, Key: "/" + strings.Repeat("none", 25)})
			}
			entry++
			done, err := m.Update([]sm.Entry{{Index: entry, Cmd: batch}})
			if err != nil {
				t.Fatal(err)
			}
			out, e := done[0].Result.Data, events[0]
			if lies(e.JSON, out) != (failing == 0) {
				t.Errorf("with %d failures the JSON lies in the reply: %v", failing, failing != 0)
			}
			if e.Binary == nil || len(*e.Binary) != min(int(entry), 2) {
				t.Fatalf("the binary values are %v", e.Binary)
			}
			for _, got := range *e.Binary {
				if lies(got, out) != (failing == 0) || !bytes.Equal(got, value) {
					t.Errorf("with %d failures %d bytes lie in the reply: %v", failing, len(got), failing != 0)
				}
			}
			if r, _, ok := statemachine.CutReply(out); !ok || !bytes.Equal(r.JSON, e.JSON) || len(r.Binary) != len(*e.Binary) {
				t.Errorf("the reply has other bytes")
			}
		}
	}
}
