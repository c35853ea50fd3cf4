package statemachine_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/portable"
	"copse/statemachine/tree"
)

// withEvents is a file with the events 4 to 9: each gives /k a value of its own, some of
// them large.
func withEvents(t *testing.T) (file []byte, events []tree.Event) {
	t.Helper()
	var n tree.Node
	for i := tree.Index(4); i <= 9; i++ {
		prev := n
		n = tree.Node{Key: "/k", Value: []byte(strings.Repeat(string('a'+rune(i)), int(i)*300)), Created: i, Modified: i}
		events = append(events, tree.Event{Action: tree.ActionSet, Node: n, Prev: prev, HasPrev: i > 4, Now: 7})
	}
	var b bytes.Buffer
	w, err := portable.NewWriter(&b, portable.Header{ClusterID: 5, Index: 20, Term: 3, Time: time.Unix(9, 0), Shards: 1, Nodes: 1, Window: 3})
	must(t, err)
	must(t, w.Node(&n))
	for i := range events {
		must(t, w.Event(&events[i]))
	}
	must(t, w.Close())
	return b.Bytes(), events
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEventsOfAFileAreTheWindow(t *testing.T) {
	file, events := withEvents(t)
	for _, shards := range []int{1, 3} {
		for _, keep := range []bool{true, false} {
			machines := openShards(t, shards)
			r, err := portable.NewReader(bytes.NewReader(file))
			must(t, err)
			must(t, statemachine.Fill(machines, r, func(*tree.Node) {}))
			for i := range machines {
				m := machines[len(machines)-1-i]
				must(t, m.Renew(statemachine.Renewal{Members: []tree.Member{{ID: 1, PeerURLs: []string{"a"}}}, Shards: shards, TermBase: 4, Index: 20, KeepWindow: keep}))
			}
			m := dataOf(machines)[tree.Slot("/k", shards)]
			got, oldest, err := m.History(1, 100)
			must(t, err)
			if !keep {
				if len(got) > 0 || oldest != 21 {
					t.Errorf("%d shards: %d events from %d on, want none", shards, len(got), oldest)
				}
				closeAll(t, machines)
				continue
			}
			if len(got) != len(events) || oldest != 3 {
				t.Fatalf("%d shards: %d events from %d on, want %d from 3 on", shards, len(got), oldest, len(events))
			}
			for i, e := range got {
				if want := tree.AppendEvent(nil, &events[i]); e.Index != events[i].Index() || !bytes.Equal(e.JSON, want) {
					t.Errorf("%d shards: event %d is %.80s, want %.80s", shards, e.Index, e.JSON, want)
				}
			}
			closeAll(t, machines)
		}
	}
}
