package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/actors/loop"
	"copse/statemachine"
	"copse/statemachine/mirror"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// member is one member with a store and without raft: what is proposed is applied.
type member struct {
	*statemachine.Machine
	mu       sync.Mutex
	raft     uint64
	gate     *Gate
	follower *Follower
}

func newMember(t *testing.T, from *etcd) *member {
	t.Helper()
	m := &member{}
	var err error
	m.Machine, err = statemachine.New(statemachine.Options{Dir: t.TempDir(), Replica: 1, Window: 1000, WindowBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	founding := tree.MemberCommand(tree.OpFound, tree.Member{ID: 1, PeerURLs: []string{"http://a:1"}})
	begin := mirror.Change{Kind: mirror.Begin, Sources: []string{from.server.URL}}
	founding.PrevIndex, founding.PrevValue = 3, string(begin.Append(nil))
	m.propose(&founding)
	c := from.client(t)
	m.gate = NewGate(m, c, clusterID, m.propose, 5*time.Second)
	m.follower = NewFollower(Options{
		Store: m, Changed: m.MirrorChanged(), Source: c, ClusterID: clusterID, Propose: m.propose, Leads: func() bool { return true },
		Gate: m.gate, Peers: func() []Peer { return nil }, Log: slog.New(slog.DiscardHandler),
	})
	return m
}

func (m *member) propose(c *tree.Command) tree.Reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.raft++
	cmd := tree.AppendCommand(tree.AppendBatch(nil, 1, 1), c)
	done, err := m.Update([]sm.Entry{{Index: m.raft, Cmd: cmd}})
	if err != nil {
		panic(err)
	}
	if m.gate != nil {
		m.gate.Applied()
	}
	r, _, _ := statemachine.CutReply(done[0].Result.Data)
	return r
}

// run runs the follower until the test ends.
func (m *member) run(t *testing.T) {
	t.Helper()
	var g loop.Group
	g.Add("follower", m.follower.Run, m.follower.Stop)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// nodes are all nodes of the store, as the source prints its own.
func (m *member) nodes(t *testing.T) string {
	t.Helper()
	list := []tree.Node{}
	if _, err := m.Walk(func(n *tree.Node) error {
		n.Written = 0
		if n.Dir {
			n.Value = nil
		}
		list = append(list, *n)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(list)
	return string(b)
}

// hold is how long the promotions of these tests may hold writes.
const hold = 3 * time.Second

// become waits until the mirror is what the source is.
func (m *member) become(t *testing.T, e *etcd) {
	t.Helper()
	var got, want string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = m.nodes(t)
		e.mu.Lock()
		last := e.last
		all := append([]tree.Node{}, e.store.Below("/")...)
		e.mu.Unlock()
		for i := range all {
			all[i].Written = 0
		}
		b, _ := json.Marshal(all)
		if want = string(b); got == want && m.Index() == last && m.Mirror().Fill == 0 {
			return
		}
	}
	t.Fatalf("at %d the mirror is\n%s\nand the source\n%s", m.Index(), got, want)
}

func TestAMirrorBecomesItsSource(t *testing.T) {
	e := newEtcd(t)
	e.set("/a", "1")
	e.set("/d/x", strings.Repeat("x", 3000))
	m := newMember(t, e)
	m.run(t)
	m.become(t, e)
	// Hidden nodes come by their events, and gaps are passed over.
	e.set("/_h/y", "hidden")
	e.mu.Lock()
	e.last += 3 // changes of members
	e.term = 9
	e.mu.Unlock()
	e.set("/d/x", "2")
	e.mu.Lock()
	e.last++
	e.mu.Unlock()
	m.become(t, e)
	if s := m.Mirror(); s.Term != 9 {
		t.Errorf("the term is %d", s.Term)
	}
	events, _, err := m.History(1, 100)
	if err != nil || len(events) != 2 || events[0].Key != "/_h/y" || events[1].Key != "/d/x" {
		t.Errorf("events: %+v %v", events, err)
	}
}

func TestAfterAHoleTheDifferenceIsRead(t *testing.T) {
	e := newEtcd(t)
	e.set("/a", "1")
	e.set("/b/c", "1")
	e.set("/_h", "1")
	m := newMember(t, e)
	for m.Mirror().Fill != 0 {
		if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
			t.Fatal(err)
		}
	}
	e.set("/_h", "2") // known from here on
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	e.kept = 3
	if _, err := e.do(tree.Command{Op: tree.OpDelete, Key: "/b", Recursive: true}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		e.set("/a", "2")
		e.set("/_h", "3")
	}
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	m.become(t, e)
	if _, oldest, err := m.History(1, 100); err != nil || oldest != e.last+1 {
		t.Errorf("the window begins at %d, the source is at %d: %v", oldest, e.last, err)
	}
}

func TestAWriteIsAnsweredOnceItIsHere(t *testing.T) {
	e := newEtcd(t)
	m := newMember(t, e)
	m.run(t)
	m.become(t, e)
	for range 20 {
		r, own := m.gate.Do(&tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte("v")}, "")
		if r.Err != nil || own {
			t.Fatal(r.Err, own)
		}
		if m.Index() < r.State.Index || !strings.Contains(m.nodes(t), `"/k"`) {
			t.Fatalf("answered at %d while the mirror is at %d", r.State.Index, m.Index())
		}
	}
	if _, err := e.do(tree.Command{Op: tree.OpSet, Key: "/foreign", Value: []byte("f")}); err != nil {
		t.Fatal(err)
	}
	// A refresh is known by its answer alone.
	if r, _ := m.gate.Do(&tree.Command{Op: tree.OpSet, Key: "/k", Refresh: true, Expires: int64(60 * time.Second)}, ""); r.Err != nil {
		t.Fatal(r.Err)
	}
	m.become(t, e)
	m.follower.foreign.heard(0, m.gate.Passed(0), nil)
	m.follower.foreign.settle(time.Now())
	if all, _, _ := m.follower.foreign.list(); len(all) != 1 || all[0].Key != "/foreign" || all[0].Count != 1 {
		t.Errorf("written past the mirror: %+v", all)
	}
}

// TestAWriteIsAnsweredInBase64: a client that asks for the bytes gets those that the source has, if it can tell.
func TestAWriteIsAnsweredInBase64(t *testing.T) {
	for copse, want := range map[bool]string{true: `"value64":"/24="`, false: `"value64":"77+9bg=="`} {
		e := newEtcd(t)
		e.copse = copse
		m := newMember(t, e)
		m.run(t)
		m.become(t, e)
		c := tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte("\xffn")}
		c.Asked.Base64 = true
		r, _ := m.gate.Do(&c, "")
		if got := string(r.Binary.AppendBase64(nil, r.JSON)); r.Err != nil || r.Action != tree.ActionSet || !strings.Contains(got, want) {
			t.Errorf("a source that is a copse: %v; %s %v, want %s", copse, got, r.Err, want)
		}
		c.Asked.Base64 = false
		if r, _ = m.gate.Do(&c, ""); !strings.Contains(string(r.JSON), `"value":"\ufffdn"`) {
			t.Errorf("in v2's form: %s %v", r.JSON, r.Err)
		}
	}
}

// TestAWriteBehindTheEndIsNotAcknowledged: the promotion comes while the source is answering.
func TestAWriteBehindTheEndIsNotAcknowledged(t *testing.T) {
	e := newEtcd(t)
	m := newMember(t, e)
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	at := m.Index()
	e.wrote = func(*tree.Event) {
		for _, c := range []mirror.Change{{Kind: mirror.Hold, ID: 7}, {Kind: mirror.Promote, ID: 7, From: at, To: at + 100}} {
			if r := m.propose(command(&c)); r.Err != nil {
				t.Error(r.Err)
			}
		}
	}
	r, own := m.gate.Do(&tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte("lost")}, "")
	if own || r.Err == nil || r.Err.Code != tree.CodeRaftInternal {
		t.Errorf("a write that only the source has is answered with %+v", r)
	}
	if r, own := m.gate.Do(&tree.Command{Op: tree.OpSet, Key: "/k"}, ""); !own {
		t.Errorf("after the promotion: %+v", r)
	}
}

func TestPromotion(t *testing.T) {
	e := newEtcd(t)
	e.set("/a", "1")
	m := newMember(t, e)
	m.run(t)
	m.become(t, e)
	if _, err := e.do(tree.Command{Op: tree.OpSet, Key: "/a", Refresh: true, Expires: 5e18}); err != nil { // unseen
		t.Fatal(err)
	}
	e.mu.Lock()
	last := e.last
	e.mu.Unlock()
	const margin = 100
	done, err := m.follower.Promote(t.Context(), Promotion{Limit: hold, Margin: margin})
	if err != nil || done.At != last || done.Index != last+margin || done.Corrected != 1 {
		t.Fatalf("%+v %v", done, err)
	}
	if s := m.Mirror(); s.On || s.Ended != last || m.Index() != last+margin || m.Membership().TermBase != 5+unseenTerms {
		t.Errorf("at %d: %+v", m.Index(), s)
	}
	if !strings.Contains(m.nodes(t), `"Expires":5000000000000000000`) {
		t.Errorf("the refresh is not there: %s", m.nodes(t))
	}
	if _, err := m.follower.Promote(t.Context(), Promotion{Limit: hold}); err == nil {
		t.Error("promoted twice")
	}
}

func TestAPromotionIsRefusedAndResumes(t *testing.T) {
	e := newEtcd(t)
	m := newMember(t, e)
	m.run(t)
	m.become(t, e)
	e.set("/foreign/x", "1")
	m.become(t, e)
	m.follower.foreign.settle(time.Now())
	if _, err := m.follower.Promote(t.Context(), Promotion{Limit: hold}); err == nil || !strings.Contains(err.Error(), "/foreign") {
		t.Errorf("with a foreign writer: %v", err)
	}
	e.mu.Lock()
	e.busy = true
	e.mu.Unlock()
	_, err := m.follower.Promote(t.Context(), Promotion{Force: true, Limit: time.Second})
	e.mu.Lock()
	e.busy = false
	e.mu.Unlock()
	if s := m.Mirror(); err == nil || !s.On || s.Hold != 0 {
		t.Errorf("while the source moves on: %v, %+v", err, s)
	}
	m.become(t, e)
}

func TestASourceWithAuthIsNotFollowed(t *testing.T) {
	e := newEtcd(t)
	e.auth = true
	m := newMember(t, e)
	if err := m.follower.step(t.Context(), m.Mirror()); err == nil || m.Mirror().Fill == 0 {
		t.Errorf("%v, %+v", err, m.Mirror())
	}
}

// TestASourceThatHasGoneBackIsNotBelieved: it was restored, so that it gives out indexes that the mirror has seen.
func TestAMemberOfTheSourceThatIsCutOffIsLeft(t *testing.T) {
	cut, live := newEtcd(t), newEtcd(t)
	for _, e := range []*etcd{cut, live} {
		e.set("/a", "1")
	}
	m := newMember(t, cut)
	if err := m.follower.o.Source.Use([]string{cut.server.URL, live.server.URL}); err != nil {
		t.Fatal(err)
	}
	cut.cutOff = true
	live.set("/a", "2")
	m.run(t)
	m.become(t, live)
}

func TestASourceThatHasGoneBackIsNotBelieved(t *testing.T) {
	e := newEtcd(t)
	for range 20 {
		e.set("/a", "1")
	}
	m := newMember(t, e)
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	at := m.Index()
	restored := newEtcd(t)
	m.gate.source = restored.client(t)
	m.follower.o.Source = m.gate.source
	restored.set("/a", "0")
	if r, own := m.gate.Do(&tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte("lost")}, ""); own || r.Err == nil || r.Err.Code != tree.CodeRaftInternal {
		t.Errorf("a write that the source did at %d, with the mirror at %d, is answered with %+v", restored.last, at, r)
	}
	if _, _, _, err, own := m.gate.Get(nil, &tree.Query{Key: "/a"}, ""); own || err == nil || err.Code != tree.CodeRaftInternal {
		t.Errorf("a quorum read is answered with %v", err)
	}
	if _, _, _, err, own := m.gate.Get(nil, &tree.Query{Key: "/none"}, ""); own || err == nil || err.Code != tree.CodeRaftInternal {
		t.Errorf("a quorum read of what isn't there is answered with %v", err)
	}
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Errorf("a member that lags: %v", err)
	}
	m.follower.behind = time.Now().Add(-2 * behindPatience)
	if err := m.follower.step(t.Context(), m.Mirror()); !errors.Is(err, errWentBack) {
		t.Errorf("following a source that has gone back: %v", err)
	}
	for restored.last < at+5 {
		restored.set("/a", "new")
	}
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	m.become(t, restored)
	if events, _, err := m.History(1, 100); err != nil || len(events) != 0 {
		t.Errorf("watchers don't read anew: %d events, %v", len(events), err)
	}
	restored.mu.Lock()
	restored.id++
	restored.mu.Unlock()
	if r, own := m.gate.Do(&tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte("lost")}, ""); own || r.Err == nil || r.Err.Code != tree.CodeRaftInternal {
		t.Errorf("a write at another cluster is answered with %+v", r)
	}
}

// TestASourceThatHasRegrownIsNotBelieved: restored, and past the mirror again before anybody would wonder
// that it lags. A member that did lag tells of the same events, and watchers needn't read anew.
func TestASourceThatHasRegrownIsNotBelieved(t *testing.T) {
	e := newEtcd(t)
	e.set("/a", "0")
	m := newMember(t, e)
	step := func() {
		t.Helper()
		if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
			t.Fatal(err)
		}
	}
	step()
	for range 5 {
		e.set("/a", "1")
	}
	step()
	m.follower.behind = time.Now()
	e.set("/a", "2")
	step()
	if events, _, err := m.History(1, 100); err != nil || len(events) != 6 || !m.follower.behind.IsZero() {
		t.Fatalf("after a member that lagged: %d events, %v", len(events), err)
	}
	restored := newEtcd(t)
	m.follower.o.Source = restored.client(t)
	restored.set("/a", "0")
	step()
	for restored.last < m.Index()+5 {
		restored.set("/b", "other")
	}
	step()
	m.become(t, restored)
	if events, _, err := m.History(1, 100); err != nil || len(events) != 0 {
		t.Errorf("watchers don't read anew: %d events, %v", len(events), err)
	}
}

// TestARefreshDuringTheQuestionIsNoStepBack: the mirror has its index before the answer, which is older, arrives.
func TestARefreshDuringTheQuestionIsNoStepBack(t *testing.T) {
	e := newEtcd(t)
	e.set("/k", "v")
	m := newMember(t, e)
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	at := m.Index()
	e.mu.Lock()
	e.asked = func() {
		if r, _ := m.gate.Do(&tree.Command{Op: tree.OpSet, Key: "/k", Refresh: true, Expires: int64(60 * time.Second)}, ""); r.Err != nil {
			t.Errorf("the refresh: %v", r.Err)
		}
	}
	e.mu.Unlock()
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	if m.Index() != at+1 || !m.follower.behind.IsZero() {
		t.Errorf("at %d after a refresh at %d, the source is taken to lag since %v", m.Index(), at+1, m.follower.behind)
	}
}

// TestAComparisonOfAFormerLeaderChangesNothing: while it reads, the one that leads follows.
func TestAComparisonOfAFormerLeaderChangesNothing(t *testing.T) {
	e := newEtcd(t)
	e.set("/a", "1")
	m := newMember(t, e)
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	f := m.follower
	theirs, at, err := f.readSource(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.set("/acknowledged", "1")
	if err := f.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	parts, from, err := f.difference(theirs)
	if err != nil || from == at.Index || len(parts[0].Removes) != 1 {
		t.Fatal(parts, from, at, err)
	}
	leads := true
	f.o.Leads = func() bool { return leads }
	e.set("/b", "1")
	e.read = func() { leads = false }
	if err := f.readAll(t.Context(), false); !errors.Is(err, errNotLeader) {
		t.Errorf("without leading: %v", err)
	}
	leads = true
	follows := NewFollower(f.o)
	follows.verified = m.Index()
	e.read = func() {
		e.read = nil
		e.set("/acknowledged", "2")
		if err := follows.drain(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := f.readAll(t.Context(), false); !errors.Is(err, errMoved) {
		t.Errorf("while another member follows: %v", err)
	}
	m.become(t, e)
}

// TestAnEventThatComesLateIsAHole: nothing else would tell watchers of it.
func TestAnEventThatComesLateIsAHole(t *testing.T) {
	e := newEtcd(t)
	m := newMember(t, e)
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	e.set("/a", "1")
	e.late = 1
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil || m.Index() != e.last {
		t.Fatal(m.Index(), err)
	}
	e.late, m.follower.compared = 0, time.Time{}
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	m.become(t, e)
	if _, oldest, err := m.History(1, 100); err != nil || oldest != e.last+1 {
		t.Errorf("the window begins at %d, the source is at %d: %v", oldest, e.last, err)
	}
}

// still is a member that has followed its source, which has nothing else to do.
func still(t *testing.T) (*etcd, *member) {
	t.Helper()
	e := newEtcd(t)
	m := newMember(t, e)
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	return e, m
}

func TestAPromotionThatNobodyWaitsForIsNotBegun(t *testing.T) {
	_, m := still(t)
	gone := make(chan struct{})
	close(gone)
	held := false
	m.follower.o.Propose = func(c *tree.Command) tree.Reply { held = true; return m.propose(c) }
	for name, a := range map[string]ask{
		"gone":                     {gone: gone},
		"its time has passed":      {by: time.Now().Add(-time.Second)},
		"there is too little left": {by: time.Now().Add(hold + 5*time.Second)},
	} {
		a.p = Promotion{Force: true, Limit: hold}
		if o := m.follower.promote(t.Context(), a); !errors.Is(o.err, errAbandoned) || held {
			t.Errorf("%s: %v, writes were held: %v", name, o.err, held)
		}
	}
}

func TestAPromotionWhoseAnswerIsLostIsSeen(t *testing.T) {
	e, m := still(t)
	lost := tree.Unavailable(context.DeadlineExceeded)
	var late *tree.Command
	m.follower.o.Propose = func(c *tree.Command) tree.Reply {
		change, err := mirror.ReadChange(c.Value)
		if err != nil {
			t.Error(err)
		}
		switch change.Kind {
		case mirror.Promote: // comes after the time-out
			late = c
			return tree.Reply{Err: lost}
		case mirror.Resume:
			m.propose(late)
			return m.propose(c)
		default:
			return m.propose(c)
		}
	}
	// The end is applied while writes are being resumed.
	o := m.follower.promote(t.Context(), ask{p: Promotion{Limit: hold, Margin: 7}})
	if o.err != nil || o.done.At != e.last || m.Mirror().On {
		t.Errorf("%+v %v", o.done, o.err)
	}
}

func TestClocksThatDifferPreventAPromotion(t *testing.T) {
	for _, ahead := range []time.Duration{-5 * time.Second, 5 * time.Second} {
		e, m := still(t)
		e.ahead = ahead
		if o := m.follower.promote(t.Context(), ask{p: Promotion{Limit: hold}}); o.err == nil || !strings.Contains(o.err.Error(), "clock") || !m.Mirror().On {
			t.Errorf("the source is %v ahead: %v", ahead, o.err)
		}
		if o := m.follower.promote(t.Context(), ask{p: Promotion{Force: true, Limit: hold}}); o.err != nil {
			t.Errorf("by force: %v", o.err)
		}
	}
}

func TestSlowReadersLeaveRoomForWrites(t *testing.T) {
	e := newEtcd(t)
	e.set("/long", strings.Repeat("x", 1<<20))
	m := newMember(t, e)
	m.run(t)
	m.become(t, e)
	m.gate.room.reads, m.gate.timeout = make(slots, 2), 300*time.Millisecond
	read := func() (tree.Rest, *tree.Error) {
		_, rest, _, err, _ := m.gate.Get(nil, &tree.Query{Key: "/long"}, "")
		return rest, err
	}
	var slow [2]tree.Rest
	for i := range slow {
		rest, err := read()
		if err != nil || rest == nil {
			t.Fatal("a read:", rest, err)
		}
		slow[i] = rest
	}
	if rest, err := read(); err == nil || err.Code != tree.CodeRaftInternal || rest != nil {
		t.Error("a read while others aren't done:", err)
	}
	m.gate.timeout = 5 * time.Second
	if r, own := m.gate.Do(&tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte("v")}, ""); own || r.Err != nil {
		t.Error("a write meanwhile:", r.Err)
	}
	slow[0].Close()
	slow[0].Close()
	rest, err := read()
	if err != nil {
		t.Fatal("a read after one is done:", err)
	}
	if len(m.gate.room.reads) != 2 {
		t.Errorf("%d reads hold a slot, want 2", len(m.gate.room.reads))
	}
	rest.Close()
	slow[1].Close()
	if _, _, _, err, _ := m.gate.Get(nil, &tree.Query{Key: "/none"}, ""); err == nil || err.Code != tree.CodeKeyNotFound || len(m.gate.room.reads) != 0 {
		t.Error(err, len(m.gate.room.reads))
	}
}

// TestAnErrorIsToldOnceItsIndexIsHere: else the index would fall for the client.
func TestAnErrorIsToldOnceItsIndexIsHere(t *testing.T) {
	e, m := still(t)
	e.set("/d/x", "1")
	put := tree.Command{Op: tree.OpSet, Key: "/d", Value: []byte("v")}
	m.gate.timeout = 50 * time.Millisecond
	if r, _ := m.gate.Do(&put, ""); r.Err == nil || r.Err.Code != tree.CodeRaftInternal {
		t.Errorf("while the mirror is behind: %v", r.Err)
	}
	if err := m.follower.step(t.Context(), m.Mirror()); err != nil {
		t.Fatal(err)
	}
	if r, _ := m.gate.Do(&put, ""); r.Err == nil || r.Err.Code != tree.CodeNotFile {
		t.Errorf("once it isn't: %v", r.Err)
	}
}

// A source that has taken fewer indexes than the mirror's founding is refused in words that help, until it has more.
func TestAYoungSource(t *testing.T) {
	e := newEtcd(t)
	e.last = 2
	m := newMember(t, e)
	m.run(t)
	for end := time.Now().Add(10 * time.Second); !strings.Contains(m.follower.Status(1).Error, "it is at index 2, and this cluster at 3"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", m.follower.Status(1))
		}
	}
	for range 3 {
		if _, err := e.do(tree.Command{Op: tree.OpSet, Key: "/a", Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
	}
	m.become(t, e)
}
