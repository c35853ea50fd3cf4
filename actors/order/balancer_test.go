package order

import "testing"

func TestWantedLeader(t *testing.T) {
	voters := map[uint64]bool{9: true, 2: true, 5: true}
	for slot, want := range []uint64{2, 5, 9, 2, 5} {
		if got := WantedLeader(slot, voters); got != want {
			t.Errorf("slot %d belongs with %d, want %d", slot, got, want)
		}
	}
	if got := WantedLeader(3, nil); got != 0 {
		t.Errorf("without voters, somebody is wanted: %d", got)
	}
}
