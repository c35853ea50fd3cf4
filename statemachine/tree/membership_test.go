package tree_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"copse/statemachine/tree"

	"pgregory.net/rapid"
)

// show prints a membership in one line: id name peers clients, … - removed.
func show(ms *tree.Membership) string {
	var out []string
	for _, m := range ms.Members {
		out = append(out, fmt.Sprintf("%x %q %v %v", m.ID, m.Name, m.PeerURLs, m.ClientURLs))
	}
	return strings.Join(out, ", ") + fmt.Sprintf(" - %x", ms.Removed)
}

func member(id uint64, peers ...string) tree.Member { return tree.Member{ID: id, PeerURLs: peers} }

func published(id uint64, name string, clients ...string) tree.Member {
	return tree.Member{ID: id, Name: name, ClientURLs: clients}
}

// Each step starts from the result of the previous one.
func TestMembershipChanges(t *testing.T) {
	steps := []struct {
		name  string
		op    tree.Op
		given []tree.Member
		code  tree.Code // 0: not refused
		want  string    // the new membership; empty: the old one, and the same pointer
	}{
		{"nobody is known before the founding", tree.OpMemberUpdate, []tree.Member{member(1, "a")}, tree.CodeMemberUnknown, ""},
		{"founders without members found nothing", tree.OpFound, nil, 0, ""},
		{"a founder twice", tree.OpFound, []tree.Member{member(1, "a"), member(1, "b")}, tree.CodeMemberExists, ""},
		{"found", tree.OpFound, []tree.Member{member(3, "c"), member(1, "b", "a"), member(2, "d")}, 0,
			`1 "" [a b] [], 2 "" [d] [], 3 "" [c] [] - []`},
		{"found again", tree.OpFound, []tree.Member{member(9, "z")}, 0, ""},

		{"publish", tree.OpMemberPublish, []tree.Member{published(2, "two", "x", "y")}, 0,
			`1 "" [a b] [], 2 "two" [d] [x y], 3 "" [c] [] - []`},
		{"publish the same", tree.OpMemberPublish, []tree.Member{published(2, "two", "x", "y")}, 0, ""},
		{"publish leaves the peer URLs alone", tree.OpMemberPublish, []tree.Member{{ID: 2, Name: "zwei", PeerURLs: []string{"q"}}}, 0,
			`1 "" [a b] [], 2 "zwei" [d] [], 3 "" [c] [] - []`},
		{"publish a stranger", tree.OpMemberPublish, []tree.Member{published(7, "x")}, tree.CodeMemberUnknown, ""},

		{"add", tree.OpMemberAdd, []tree.Member{{ID: 4, Name: "no", PeerURLs: []string{"f", "e"}, ClientURLs: []string{"no"}}}, 0,
			`1 "" [a b] [], 2 "zwei" [d] [], 3 "" [c] [], 4 "" [e f] [] - []`},
		{"add the id again", tree.OpMemberAdd, []tree.Member{member(4, "g")}, tree.CodeMemberExists, ""},
		{"add with a taken URL", tree.OpMemberAdd, []tree.Member{member(5, "g", "b")}, tree.CodePeerURLExists, ""},
		{"a taken URL goes before a known id", tree.OpMemberAdd, []tree.Member{member(3, "d")}, tree.CodePeerURLExists, ""},

		{"update", tree.OpMemberUpdate, []tree.Member{{ID: 4, Name: "no", PeerURLs: []string{"h", "g"}, ClientURLs: []string{"no"}}}, 0,
			`1 "" [a b] [], 2 "zwei" [d] [], 3 "" [c] [], 4 "" [g h] [] - []`},
		{"update to its own URLs", tree.OpMemberUpdate, []tree.Member{member(4, "h", "g")}, 0, ""},
		{"update to one of its own", tree.OpMemberUpdate, []tree.Member{member(4, "h")}, 0,
			`1 "" [a b] [], 2 "zwei" [d] [], 3 "" [c] [], 4 "" [h] [] - []`},
		{"update to a taken URL", tree.OpMemberUpdate, []tree.Member{member(4, "h", "a")}, tree.CodePeerURLExists, ""},
		{"update a stranger to a taken URL", tree.OpMemberUpdate, []tree.Member{member(7, "a")}, tree.CodeMemberUnknown, ""},

		{"remove", tree.OpMemberRemove, []tree.Member{member(2)}, 0, `1 "" [a b] [], 3 "" [c] [], 4 "" [h] [] - [2]`},
		{"remove it again", tree.OpMemberRemove, []tree.Member{member(2)}, tree.CodeMemberRemoved, ""},
		{"remove a stranger", tree.OpMemberRemove, []tree.Member{member(7)}, tree.CodeMemberUnknown, ""},
		{"update a removed one", tree.OpMemberUpdate, []tree.Member{member(2, "x")}, tree.CodeMemberRemoved, ""},
		{"publish a removed one", tree.OpMemberPublish, []tree.Member{published(2, "x")}, tree.CodeMemberRemoved, ""},
		{"a removed id never comes back", tree.OpMemberAdd, []tree.Member{member(2, "d")}, tree.CodeMemberRemoved, ""},
		{"its URLs are free", tree.OpMemberAdd, []tree.Member{member(8, "d")}, 0,
			`1 "" [a b] [], 3 "" [c] [], 4 "" [h] [], 8 "" [d] [] - [2]`},
		{"nor is the cluster founded anew", tree.OpFound, []tree.Member{member(2, "x")}, 0, ""},
		{"the removed are sorted", tree.OpMemberRemove, []tree.Member{member(1)}, 0, `3 "" [c] [], 4 "" [h] [], 8 "" [d] [] - [1 2]`},

		{"replace all by nobody", tree.OpMemberReplaceAll, nil, tree.CodeQuorumLoss, ""},
		{"replace all", tree.OpMemberReplaceAll, []tree.Member{{ID: 4, Name: "vier", PeerURLs: []string{"v"}, ClientURLs: []string{"w"}}}, 0,
			`4 "vier" [v] [w] - [1 2 3 8]`},
		{"replace all by the same", tree.OpMemberReplaceAll, []tree.Member{{ID: 4, Name: "vier", PeerURLs: []string{"v"}, ClientURLs: []string{"w"}}}, 0, ""},
		{"remove the last one", tree.OpMemberRemove, []tree.Member{member(4)}, tree.CodeQuorumLoss, ""},
		{"replace all by a removed one", tree.OpMemberReplaceAll, []tree.Member{member(8, "d"), member(5, "c")}, 0,
			`5 "" [c] [], 8 "" [d] [] - [1 2 3 4]`},
	}
	ms := &tree.Membership{}
	for _, s := range steps {
		before := show(ms)
		c := tree.MemberCommand(s.op, s.given...)
		next, refused, err := tree.ApplyMembership(ms, &c, 77)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		code := tree.Code(0)
		if refused != nil {
			code = refused.Code
			if refused.Index != 77 {
				t.Errorf("%s: refused at index %d, want 77", s.name, refused.Index)
			}
		}
		if code != s.code {
			t.Errorf("%s: code %d, want %d", s.name, code, s.code)
		}
		if show(ms) != before {
			t.Errorf("%s: has changed the old membership to %s", s.name, show(ms))
		}
		if s.want == "" && next != ms {
			t.Errorf("%s: changed\n     %s\nto   %s", s.name, before, show(next))
		}
		if s.want != "" && show(next) != s.want {
			t.Errorf("%s:\ngot  %s\nwant %s", s.name, show(next), s.want)
		}
		ms = next
	}
}

func TestMemberCommandsThatCantBeReadAreNotRefusedButFail(t *testing.T) {
	one := tree.AppendMembers(nil, []tree.Member{member(1, "a")})
	for name, c := range map[string]tree.Command{
		"no member":                 {Op: tree.OpMemberAdd},
		"two members":               tree.MemberCommand(tree.OpMemberAdd, member(1), member(2)),
		"cut short":                 {Op: tree.OpMemberAdd, Value: one[:len(one)-1]},
		"more behind it":            {Op: tree.OpFound, Value: append(slices.Clone(one), 0)},
		"a newer version":           {Op: tree.OpFound, Value: append([]byte{99}, one[1:]...)},
		"an operation on no member": {Op: tree.OpSet, Value: one},
	} {
		ms := &tree.Membership{}
		if next, refused, err := tree.ApplyMembership(ms, &c, 0); err == nil || refused != nil || next != ms {
			t.Errorf("%s: got %s, %v, %v", name, show(next), refused, err)
		}
	}
}

// memberModel is the membership as plain maps.
type memberModel struct {
	members map[uint64]tree.Member
	removed map[uint64]bool
}

// apply returns the code of the refusal, 0 for none.
func (m *memberModel) apply(op tree.Op, given tree.Member) tree.Code {
	old, known := m.members[given.ID]
	taken := false
	for _, o := range m.members {
		for _, url := range given.PeerURLs {
			taken = taken || o.ID != given.ID && slices.Contains(o.PeerURLs, url)
		}
	}
	missing := tree.CodeMemberUnknown
	if m.removed[given.ID] {
		missing = tree.CodeMemberRemoved
	}
	switch op {
	case tree.OpFound:
		if len(m.members) == 0 {
			m.members[given.ID] = given
		}
		return 0
	case tree.OpMemberReplaceAll:
		for id := range m.members {
			m.removed[id] = true
		}
		delete(m.removed, given.ID)
		m.members = map[uint64]tree.Member{given.ID: given}
		return 0
	case tree.OpMemberAdd:
		switch {
		case taken:
			return tree.CodePeerURLExists
		case known:
			return tree.CodeMemberExists
		case m.removed[given.ID]:
			return tree.CodeMemberRemoved
		}
		m.members[given.ID] = member(given.ID, given.PeerURLs...)
		return 0
	}
	if !known {
		return missing
	}
	switch op {
	case tree.OpMemberUpdate:
		if taken {
			return tree.CodePeerURLExists
		}
		old.PeerURLs = given.PeerURLs
		m.members[given.ID] = old
	case tree.OpMemberPublish:
		old.Name, old.ClientURLs = given.Name, given.ClientURLs
		m.members[given.ID] = old
	case tree.OpMemberRemove:
		if len(m.members) == 1 {
			return tree.CodeQuorumLoss
		}
		delete(m.members, given.ID)
		m.removed[given.ID] = true
	}
	return 0
}

func (m *memberModel) show() string {
	ms := &tree.Membership{Removed: slices.Sorted(maps.Keys(m.removed))}
	for _, id := range slices.Sorted(maps.Keys(m.members)) {
		next := m.members[id]
		next.PeerURLs = slices.Sorted(slices.Values(next.PeerURLs))
		ms.Members = append(ms.Members, next)
	}
	return show(ms)
}

// memberChange draws one change of the membership, from few members and URLs so that
// conflicts happen.
func memberChange(t *rapid.T) (tree.Op, tree.Member) {
	op := rapid.SampledFrom([]tree.Op{
		tree.OpFound, tree.OpMemberAdd, tree.OpMemberAdd, tree.OpMemberAdd, tree.OpMemberUpdate,
		tree.OpMemberRemove, tree.OpMemberRemove, tree.OpMemberPublish, tree.OpMemberPublish, tree.OpMemberReplaceAll,
	}).Draw(t, "op")
	urls := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"}), 1, 2, rapid.ID[string])
	m := tree.Member{ID: rapid.Uint64Range(1, 8).Draw(t, "id"), PeerURLs: urls.Draw(t, "peers")}
	if rapid.Bool().Draw(t, "started") {
		m.Name = rapid.SampledFrom([]string{"n", "é\x00"}).Draw(t, "name")
		m.ClientURLs = urls.Draw(t, "clients")
	}
	return op, m
}

func TestMembershipDoesWhatTheModelDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model := memberModel{members: map[uint64]tree.Member{}, removed: map[uint64]bool{}}
		ms := &tree.Membership{}
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			op, m := memberChange(t)
			before := show(ms)
			c := tree.MemberCommand(op, m)
			next, refused, err := tree.ApplyMembership(ms, &c, 1)
			if err != nil {
				t.Fatal(err)
			}
			code := tree.Code(0)
			if refused != nil {
				code = refused.Code
			}
			if want := model.apply(op, m); code != want {
				t.Fatalf("%d of %+v on %s: code %d, want %d", op, m, before, code, want)
			}
			if show(next) != model.show() {
				t.Fatalf("%d of %+v on %s:\ngot  %s\nwant %s", op, m, before, show(next), model.show())
			}
			if show(ms) != before || (next == ms) != (show(next) == before) {
				t.Fatalf("%d of %+v: the old one is %s, was %s; the new one is %s", op, m, show(ms), before, show(next))
			}
			again, err := tree.ReadMembership(tree.AppendMembership(nil, next))
			if err != nil || show(again) != show(next) {
				t.Fatalf("%s reads back as %s, %v", show(next), show(again), err)
			}
			ms = next
		}
	})
}

// FuzzMembers decodes arbitrary bytes as members and as a membership. What decodes
// without an error must survive encoding and decoding.
func FuzzMembers(f *testing.F) {
	list := []tree.Member{{ID: 1, Name: "n", PeerURLs: []string{"http://h:1", "b"}, ClientURLs: []string{""}}, {ID: 1 << 63}}
	f.Add(tree.AppendMembers(nil, list))
	f.Add(tree.AppendMembers(nil, nil))
	f.Add(tree.AppendMembership(nil, &tree.Membership{Members: list, Removed: []uint64{5, 9}}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		if list, err := tree.ReadMembers(data); err == nil {
			again, err := tree.ReadMembers(tree.AppendMembers(nil, list))
			if err != nil || !reflect.DeepEqual(again, list) {
				t.Fatalf("members %+v became %+v, %v", list, again, err)
			}
		}
		if ms, err := tree.ReadMembership(data); err == nil {
			again, err := tree.ReadMembership(tree.AppendMembership(nil, ms))
			if err != nil || !reflect.DeepEqual(again, ms) {
				t.Fatalf("membership %+v became %+v, %v", ms, again, err)
			}
		}
	})
}
