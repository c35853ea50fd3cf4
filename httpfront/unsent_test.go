package httpfront

import (
	"bytes"
	"slices"
	"testing"
)

// printed is what is left to send, as sendAll prints it.
func printed(left []piece) (all []byte) {
	var text, scratch []byte
	for _, p := range left {
		for more := true; more; {
			text, p, more = p.next(&scratch)
			all = append(all, text...)
		}
	}
	return all
}

// TestWhatAStopLeavesOfALargeEvent is sent from the byte on where the client has stopped, wherever that is.
func TestWhatAStopLeavesOfALargeEvent(t *testing.T) {
	p := &parked{manner: manner{chunked: true}}
	pieces := p.partsOf(newParted(largeEvent(4), false, false))
	whole := printed(pieces)
	var scratch []byte
	passed := 0
	for i := range pieces {
		for more := true; more; {
			b := &backlog{pieces: slices.Clone(pieces[i:])}
			text, left, rest := pieces[i].next(&scratch)
			for _, b.sent = range []int{0, 1, len(text) / 2, len(text) - 1} {
				for _, owed := range []int{0, 1, 100} {
					from := min(passed+b.sent+owed, len(whole))
					if i == len(pieces)-1 && len(text)-b.sent < owed || len(whole)-passed > 1<<20 && passed > 1<<20 {
						continue
					}
					if got := printed(b.unsent(&socket{session: &session{owed: owed}})); !bytes.Equal(got, whole[from:]) {
						t.Fatalf("behind byte %d: %d bytes, want %d", from, len(got), len(whole)-from)
					}
				}
			}
			passed += len(text)
			pieces[i], more = left, rest
		}
	}
}
