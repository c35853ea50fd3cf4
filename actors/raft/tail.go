package raft

import (
	"errors"
	"fmt"

	"copse/actors/peerlink"
	"copse/statemachine"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/raftpb"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// tailPage is about how many bytes of the log are read at once.
const tailPage = 64 << 20

func (h *Host) logReader(shard uint64) (dragonboat.ReadonlyLogReader, error) {
	log, err := h.nh.GetLogReader(shard)
	if err != nil {
		return nil, fmt.Errorf("read the raft log of shard %d: %w", shard, err)
	}
	return log, nil
}

// FirstEntry is the index of the first entry that the shard's log still holds.
func (h *Host) FirstEntry(shard uint64) (uint64, error) {
	log, err := h.logReader(shard)
	if err != nil {
		return 0, err
	}
	first, _ := log.GetRange()
	return first, nil
}

// EntryTerm is the raft term of an entry of the shard's log; 0 if the log doesn't hold it.
func (h *Host) EntryTerm(shard, index uint64) uint64 {
	log, err := h.logReader(shard)
	if err != nil {
		return 0
	}
	term, err := log.Term(index)
	if err != nil {
		return 0
	}
	return term
}

// LastEntry is where the shard's log ends: elections go by the term first, then the index.
func (h *Host) LastEntry(shard uint64) (index, term uint64) {
	log, err := h.logReader(shard)
	if err != nil {
		return 0, 0
	}
	_, index = log.GetRange()
	return index, h.EntryTerm(shard, index)
}

// RemembersVote reports whether this member's replica would start as a voter, because
// the last snapshot of its log lists it as one. Until then a start first replays how
// the replica became a learner, which dragonboat allows only for a replica that is
// started as one.
func (h *Host) RemembersVote(shard uint64) (bool, error) {
	log, err := h.logReader(shard)
	if err != nil {
		return false, err
	}
	_, votes := log.Snapshot().Membership.Addresses[h.o.Replica]
	return votes, nil
}

// ReplayLogs applies to each machine everything its raft log holds beyond it, committed
// or not, and returns the highest term of all logs. The machines are those of shards 1 and
// up; a nil one is left alone. No other member can connect meanwhile. o has no Link, and no
// Host may be open on its directory.
func ReplayLogs(o Options, machines []*statemachine.Machine, learning bool) (term uint64, err error) {
	h, closeLink, err := aloneHost(o)
	if err != nil {
		return 0, err
	}
	defer closeLink()
	tails := make([][]raftpb.Entry, len(machines))
	for i, m := range machines {
		log, _ := h.log.Replica(uint64(i)+1, o.Replica)
		h.sawTerm(uint64(i)+1, log.Term)
		if m == nil {
			continue
		}
		if tails[i], err = h.wholeTail(uint64(i)+1, m, learning); err != nil {
			break
		}
	}
	h.Close() // dragonboat may have applied a part of the tails meanwhile
	for i, m := range machines {
		if m != nil && err == nil {
			err = applyTail(m, tails[i])
		}
	}
	return h.HighestTerm(), err // a log's only member may have elected itself once more
}

// aloneHost opens a host that no other member can connect to.
func aloneHost(o Options) (h *Host, closeLink func(), err error) {
	link, err := peerlink.Listen(peerlink.Options{
		Self: o.Replica, Cluster: o.DeploymentID,
		Listen: []string{"127.0.0.1:0"}, Book: peerlink.NewBook(), Logger: o.Logger,
	})
	if err != nil {
		return nil, nil, err
	}
	o.Link = link
	if h, err = NewHost(o); err != nil {
		return nil, nil, errors.Join(err, link.Close())
	}
	return h, func() { _ = link.Close() }, nil // nobody was ever connected
}

// LogEnds returns the last entry of each shard's log, and the highest term of all logs. o is
// as for ReplayLogs.
func LogEnds(o Options) (last []uint64, term uint64, err error) {
	h, closeLink, err := aloneHost(o)
	if err != nil {
		return nil, 0, err
	}
	defer closeLink()
	for i := range o.Shards {
		log, _ := h.log.Replica(uint64(i)+1, o.Replica)
		h.sawTerm(uint64(i)+1, log.Term)
		last = append(last, log.Last)
	}
	h.Close()
	return last, h.HighestTerm(), nil
}

// wholeTail starts the shard's replica, and reads what its log holds beyond m.
func (h *Host) wholeTail(shard uint64, m *statemachine.Machine, learning bool) ([]raftpb.Entry, error) {
	if m.RaftIndex() == 0 && !h.nh.HasNodeInfo(shard, h.o.Replica) {
		return nil, nil // it never had a log
	}
	if log, there := h.log.Replica(shard, h.o.Replica); there && !m.Created() && log.Last <= m.RaftIndex() {
		return nil, nil // the store has all of it, and more if the log was cut
	}
	if err := h.CheckLog(shard, m); err != nil {
		return nil, err
	}
	if err := h.StartReplica(shard, m, Start{Learning: learning}); err != nil {
		return nil, err
	}
	return h.tail(shard, m.RaftIndex())
}

// tail reads the shard's log after the entry after, committed or not.
func (h *Host) tail(shard, after uint64) ([]raftpb.Entry, error) {
	log, err := h.logReader(shard)
	if err != nil {
		return nil, err
	}
	_, last := log.GetRange()
	var tail []raftpb.Entry
	for after < last {
		page, err := log.Entries(after+1, last+1, tailPage)
		if err != nil {
			return nil, fmt.Errorf("read the raft log of shard %d from entry %d: %w", shard, after+1, err)
		}
		if len(page) == 0 {
			break
		}
		tail = append(tail, page...)
		after = page[len(page)-1].Index
	}
	return tail, nil
}

// errEncoding says that an entry is in a form that copse never writes.
var errEncoding = errors.New("unknown encoding")

// applyTail applies those entries that m hasn't applied yet.
func applyTail(m *statemachine.Machine, tail []raftpb.Entry) error {
	for _, e := range tail {
		if e.Index <= m.RaftIndex() {
			continue
		}
		cmd, err := command(e)
		if err != nil {
			return fmt.Errorf("raft entry %d: %w", e.Index, err)
		}
		if len(cmd) == 0 {
			continue
		}
		if _, err := m.Update([]sm.Entry{{Index: e.Index, Cmd: cmd}}); err != nil {
			return err
		}
	}
	return nil
}

// command is what the entry has for the state machine; nil: nothing.
func command(e raftpb.Entry) ([]byte, error) {
	switch {
	case e.Type == raftpb.ApplicationEntry:
		return e.Cmd, nil
	case e.Type != raftpb.EncodedEntry:
		return nil, nil
	case len(e.Cmd) > 0 && e.Cmd[0] == 0: // dragonboat's plain form, the only one copse uses
		return e.Cmd[1:], nil
	}
	return nil, errEncoding
}
