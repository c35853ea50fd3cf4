package raft

import (
	"testing"

	"copse/actors/loop"

	"github.com/lni/dragonboat/v4/raftio"
)

func rang(bell <-chan struct{}) bool {
	select {
	case <-bell:
		return true
	default:
		return false
	}
}

func TestLeadersComeAndGo(t *testing.T) {
	const base = 100 // shown on top of raft's terms
	changed := loop.NewBell()
	l := newLeaders(7, 2, changed)
	l.ShowTermsAs(func(raft uint64) uint64 { return base + raft })
	tests := []struct {
		what          string
		shard, term   uint64
		leader        uint64
		want          Leader // without Since
		highest, came uint64
		changes       bool
	}{
		{"nobody yet", 1, 1, 0, Leader{}, 1, 0, false},
		{"the first", 1, 2, 7, Leader{Member: 7, Term: 2, Last: 7}, 2, 1, true},
		{"the same", 1, 2, 7, Leader{Member: 7, Term: 2, Last: 7}, 2, 1, false},
		{"gone", 1, 3, 0, Leader{Term: 3, Last: 7}, 3, 1, true},
		{"back", 1, 3, 7, Leader{Member: 7, Term: 3, Last: 7}, 3, 2, true},
		{"the same, elected again", 1, 4, 7, Leader{Member: 7, Term: 4, Last: 7}, 4, 3, true},
		{"another, of another shard", 2, 2, 9, Leader{Member: 9, Term: 2, Last: 9}, 4, 1, true},
		{"a late report", 2, 1, 9, Leader{Member: 9, Term: 2, Last: 9}, 4, 1, false},
		{"a shard that isn't ours", 5, 9, 9, Leader{}, 4, 0, false},
	}
	for _, tt := range tests {
		l.LeaderUpdated(raftio.LeaderInfo{ShardID: tt.shard, Term: tt.term, LeaderID: tt.leader})
		if got := rang(changed); got != tt.changes {
			t.Errorf("%s: the bell rang: %v", tt.what, got)
		}
		if got := l.HighestTerm(); got != base+tt.highest {
			t.Errorf("%s: highest term %d, want %d", tt.what, got, base+tt.highest)
		}
		if tt.shard > 2 {
			continue
		}
		if got := rang(l.LeaderChanged(tt.shard)); got != tt.changes {
			t.Errorf("%s: the shard's bell rang: %v", tt.what, got)
		}
		got := l.Leader(tt.shard)
		if got.Since.IsZero() != (got.Last == 0) {
			t.Errorf("%s: since %v", tt.what, got.Since)
		}
		got.Since = tt.want.Since
		if got != tt.want || l.LeaderChanges(tt.shard) != tt.came || l.Leads(tt.shard) != (tt.want.Member == 7) {
			t.Errorf("%s: got %+v and %d changes, want %+v and %d", tt.what, got, l.LeaderChanges(tt.shard), tt.want, tt.came)
		}
		select {
		case <-l.Ready(tt.shard):
			if got.Last == 0 {
				t.Errorf("%s: ready without a leader", tt.what)
			}
		default:
			if got.Last != 0 {
				t.Errorf("%s: not ready", tt.what)
			}
		}
	}
	if got := l.ShownTerm(2); got != base+2 {
		t.Errorf("term of shard 2: got %d, want %d", got, base+2)
	}
}
