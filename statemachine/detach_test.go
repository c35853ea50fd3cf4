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

// TestASmallEventKeepsNoLargeBuffer: the window in memory counts what its events have, and they keep hardly more: neither
// room that was made for the answers to others nor one buffer after the other.
func TestASmallEventKeepsNoLargeBuffer(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	var got statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { got = *n })
	entry, number := uint64(0), uint64(0)
	apply := func(submissions ...[]tree.Command) {
		entry++
		cmd := tree.AppendBatchHead(nil, tree.BatchHead{Epoch: 1, Number: entry, Submissions: len(submissions)})
		for _, s := range submissions {
			number++
			cmd = tree.AppendSubmission(cmd, tree.RequestID{Replica: replica, Nonce: 7, Number: number}, len(s))
			for i := range s {
				cmd = tree.AppendCommand(cmd, &s[i])
			}
		}
		if _, err := m.Update([]sm.Entry{{Index: entry, Cmd: cmd}}); err != nil {
			t.Fatal(err)
		}
	}

	apply([]tree.Command{
		{Op: tree.OpCompareAndSwap, Key: "/none", Value: bytes.Repeat([]byte("v"), 120<<10), PrevValue: "ripe"},
		{Op: tree.OpSet, Key: "/k", Value: []byte("v")},
	})
	if lies(got.Events[0].JSON, got.Outcomes[0].Data) {
		t.Errorf("an event of %d bytes keeps the buffer of a large command", len(got.Events[0].JSON))
	}

	var many [][]tree.Command
	for range 64 {
		many = append(many, []tree.Command{{Op: tree.OpSet, Key: "/large", Value: bytes.Repeat([]byte("v"), 16<<10)}})
	}
	apply(many...)
	buffers := 1
	for i := range got.Outcomes[1:] {
		before, data := got.Outcomes[i].Data, got.Outcomes[i+1].Data
		if uintptr(unsafe.Pointer(&data[0]))-uintptr(unsafe.Pointer(&before[0])) != uintptr(len(before)) {
			buffers++
		}
	}
	if buffers > 5 { // 2 MB, and each time twice of what was there
		t.Errorf("the answers to %d submissions lie in %d buffers", len(many), buffers)
	}
}
