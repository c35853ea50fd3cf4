package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// renewalLog is the log of a new generation, whose shards are led. Compactions end with an error
// from the one on that the test says.
type renewalLog struct {
	first  map[uint64]uint64
	calls  []string
	crash  int // compactions until then
	killed error
}

func (l *renewalLog) Campaign()                               {}
func (l *renewalLog) Leader(uint64) uint64                    { return 1 }
func (l *renewalLog) Confirm(<-chan struct{}, uint64) error   { return nil }
func (l *renewalLog) FirstEntry(shard uint64) (uint64, error) { return l.first[shard], nil }
func (l *renewalLog) Ready(uint64) <-chan struct{}            { c := make(chan struct{}); close(c); return c }
func (l *renewalLog) Execute(_ <-chan struct{}, shard uint64, c *tree.Command) (tree.Reply, error) {
	l.calls = append(l.calls, fmt.Sprintf("propose to %d", shard))
	return tree.Reply{}, nil
}

func (l *renewalLog) Compact(shard, overhead uint64) error {
	if l.crash--; l.crash < 0 {
		return l.killed
	}
	l.calls = append(l.calls, fmt.Sprintf("compact %d", shard))
	l.first[shard] = 3
	return nil
}

func TestARenewalThatWasCutOffIsCompletedByTheNextStart(t *testing.T) {
	var machines []*statemachine.Machine
	for i := range 2 {
		m, err := statemachine.New(statemachine.Options{Dir: fmt.Sprint(t.TempDir(), "/", i), Replica: 1, Window: 10, WindowBytes: 1 << 20, Slot: i - 1, Slots: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		machines = append(machines, m)
	}
	if err := Renew(machines, Renewal{Members: []tree.Member{{ID: 1, PeerURLs: []string{"http://a"}}}, Shards: 1, Index: 9}); err != nil {
		t.Fatal(err)
	}
	log := &renewalLog{first: map[uint64]uint64{MembersShard: 1, MembersShard + 1: 1}, crash: 1, killed: errors.New("killed")}
	start := func() error {
		j := Joiner{Log: log, Machines: machines, Shards: 1, Start: (&LogStart{Log: log, Machines: machines, Later: true}).Move, Timeout: time.Minute, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			Publish: func(<-chan struct{}) error { return nil }, Missing: func() string { return "" }}
		return j.Join(make(chan struct{}))
	}
	took := func() string { defer func() { log.calls = nil }(); return fmt.Sprint(log.calls) }
	if err := start(); !errors.Is(err, log.killed) || took() != "[propose to 2 compact 2 propose to 1]" {
		t.Fatalf("%v: %v", err, log.calls)
	}
	log.crash = 9
	if err := start(); err != nil {
		t.Fatal(err)
	}
	if got := took(); got != "[propose to 1 compact 1]" {
		t.Errorf("the second start: %s", got)
	}
	if err := start(); err != nil || took() != "[]" {
		t.Errorf("the third start: %v, %v", err, log.calls)
	}
}

// electionLog is the log of a member that leads after so many attempts.
type electionLog struct {
	renewalLog
	left int
	led  chan struct{}
}

func (l *electionLog) Ready(uint64) <-chan struct{} { return l.led }
func (l *electionLog) Campaign() {
	if l.left--; l.left == 0 {
		close(l.led)
	}
}

func TestAMemberThatStartsStandsForElectionUntilItLeads(t *testing.T) {
	log := &electionLog{left: 3, led: make(chan struct{})}
	j := Joiner{Log: log, Machines: make([]*statemachine.Machine, 2), Timeout: time.Minute}
	if err := j.catchUp(make(chan struct{})); err != nil || log.left != 0 {
		t.Errorf("%v, %d attempts left", err, log.left)
	}
}

func TestNobodyFoundsATreeWithoutItself(t *testing.T) {
	refused := errors.New("refused")
	log := &renewalLog{}
	j := Joiner{Log: log, MayFound: func() error { return refused }}
	if err := j.foundTree(nil); !errors.Is(err, refused) || log.calls != nil {
		t.Errorf("%v, %v", err, log.calls)
	}
}
