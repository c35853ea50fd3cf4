package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"copse/actors/peerlink"
	"copse/statemachine/tree"
)

// reaching simulates calls of members: those that are away don't answer, one refuses.
func reaching(refuses uint64, away ...uint64) Others {
	return Others{Self: 1, Call: func(_ context.Context, member uint64, kind uint8, _ []byte) ([]byte, error) {
		switch {
		case kind != CallNote:
			return nil, errors.New("another kind")
		case member == refuses:
			return nil, peerlink.Removed
		case slices.Contains(away, member):
			return nil, errors.New("away")
		}
		return nil, nil
	}}
}

func TestARemovalMustLeaveAQuorumThatAnswers(t *testing.T) {
	unstarted := append(members(1, 2), tree.Member{ID: 3})
	tests := map[string]struct {
		list    []tree.Member
		away    []uint64
		remove  uint64
		refused string
	}{
		"of three, all there":          {members(1, 2, 3), nil, 3, ""},
		"of three, the one that fails": {members(1, 2, 3), []uint64{3}, 3, ""},
		"of three, another fails":      {members(1, 2, 3), []uint64{3}, 2, "1 of the 2 remaining members answer"},
		"of two, itself":               {members(1, 2), []uint64{2}, 1, "0 of the 1 remaining members answer"},
		"the only one":                 {members(1), nil, 1, "0 of the 0 remaining members answer"},
		"who never started counts not": {unstarted, nil, 2, ""},
		"who never started can go":     {unstarted, nil, 3, ""},
		"nobody knows it":              {members(1, 2, 3), []uint64{2, 3}, 9, ""}, // the change itself is refused
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			decided := 0
			a := Admin{
				List: func() *tree.Membership { return &tree.Membership{Members: tt.list} }, Index: func() tree.Index { return 7 },
				Others: reaching(0, tt.away...),
				Decide: func(c *tree.Command) *tree.Error {
					if c.Op != tree.OpMemberRemove {
						t.Errorf("op %v", c.Op)
					}
					decided++
					return nil
				},
			}
			err := a.Remove(tt.remove)
			switch {
			case tt.refused == "" && (err != nil || decided != 1):
				t.Errorf("got %v, decided %d times", err, decided)
			case tt.refused != "" && (err == nil || *err != tree.Error{Code: tree.CodeQuorumLoss, Cause: tt.refused, Index: 7} || decided != 0):
				t.Errorf("got %v, decided %d times, want %q", err, decided, tt.refused)
			}
		})
	}
}

func TestAMemberAddedAgainIsAnother(t *testing.T) {
	var added []tree.Op
	a := Admin{Decide: func(c *tree.Command) *tree.Error { added = append(added, c.Op); return nil }}
	m, err := a.Add([]string{"http://y:1", "http://x:1"})
	if err != nil || m.ID == 0 || m.Name != "" || !slices.Equal(m.PeerURLs, []string{"http://x:1", "http://y:1"}) {
		t.Errorf("got %+v, %v", m, err)
	}
	if err := a.Update(m.ID, m.PeerURLs); err != nil || !slices.Equal(added, []tree.Op{tree.OpMemberAdd, tree.OpMemberUpdate}) {
		t.Errorf("got %v, %v", added, err)
	}
}

func TestOthersTellThatTheyRefuse(t *testing.T) {
	list := members(1, 2, 3)
	if reaching(0, 2, 3).Refusal(t.Context(), list) != nil {
		t.Error("members that are away refuse")
	}
	if reaching(3, 2).Refusal(t.Context(), list) != ErrRemoved {
		t.Error("a refusal isn't heard")
	}
	if reaching(1).Refusal(t.Context(), list) != nil {
		t.Error("this member was asked itself")
	}
}

func TestOthersTellThatTheyHaveGoneOn(t *testing.T) {
	list := []tree.Member{{ID: 1, PeerURLs: []string{"http://1"}}, {ID: 2, PeerURLs: []string{"http://2"}}, {ID: 3, PeerURLs: []string{"http://3"}}}
	for name, tt := range map[string]struct {
		refusal error
		note    any // of member 2
		former  bool
	}{
		"of a later generation":            {peerlink.WrongGeneration, Note{ClusterID: 7, Generation: 6, Self: 2}, true},
		"of an earlier generation":         {peerlink.WrongGeneration, Note{ClusterID: 7, Generation: 4, Self: 2}, false},
		"of another cluster meanwhile":     {peerlink.WrongGeneration, Note{ClusterID: 8, Generation: 6, Self: 2}, false},
		"it says nothing":                  {peerlink.WrongGeneration, nil, false},
		"it only has too many connections": {peerlink.Busy, Note{ClusterID: 7, Generation: 6, Self: 2}, false},
	} {
		o := Others{Self: 1, ClusterID: 7, Generation: 5, Ask: answering(map[string]any{"http://2": tt.note}).Ask,
			Call: func(_ context.Context, member uint64, _ uint8, _ []byte) ([]byte, error) {
				if member == 2 {
					return nil, fmt.Errorf("member 2: %w", tt.refusal)
				}
				return nil, errors.New("away")
			}}
		if err := o.Refusal(t.Context(), list); errors.Is(err, ErrFormer) != tt.former || !tt.former && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The ids of members that a real etcd 3.4.23 added.
func TestNewMemberIDsAreEtcds(t *testing.T) {
	id := NewMemberID([]string{"http://127.0.0.1:23809", "http://127.0.0.1:23811"}, time.Unix(1795557642, 0))
	if want := uint64(0x25117c8c9819ba2a); id != want {
		t.Errorf("got %x, want %x", id, want)
	}
}
