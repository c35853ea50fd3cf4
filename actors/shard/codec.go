package shard

import (
	"encoding/binary"
	"errors"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/mirror"
	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// What the members' actors of a shard send each other, one way, over the peer link.
// Integers are uvarints but for the nonces, 8 little-endian bytes.
//
// A submission, to the member that leads:
//
//	shard     the raft group
//	epoch     of the leader that it is meant for
//	nonce, number   with the sending member's id: the submission's
//	base      the number of the first submission to that leader
//	root      1 byte
//	left      milliseconds until the last of its writers is answered
//	count     of the commands
//	commands  to the end, as in a raft entry
//
// A refusal, to the member that has submitted:
//
//	shard
//	nonce, first, last   the submissions that will never be proposed

// SubmissionBytesLimit is how large a message is at most: the largest command and what
// may go with it.
const SubmissionBytesLimit = 64 << 20

// leftLimit bounds how long a leader takes a writer to wait.
const leftLimit = time.Hour

var errMessage = errors.New("a message between members is cut short or damaged: are their versions too far apart?")

// AppendSubmission appends s, to the leader of the shard.
func AppendSubmission(dst []byte, shard uint64, s *Submission, now time.Time) []byte {
	dst = binary.AppendUvarint(dst, shard)
	dst = binary.AppendUvarint(dst, s.Epoch)
	dst = binary.LittleEndian.AppendUint64(dst, s.ID.Nonce)
	dst = binary.AppendUvarint(dst, s.ID.Number)
	dst = binary.AppendUvarint(dst, s.Base)
	isRoot := byte(0)
	if s.Root {
		isRoot = 1
	}
	dst = append(dst, isRoot)
	dst = binary.AppendUvarint(dst, uint64(max(0, s.Deadline.Sub(now).Milliseconds())))
	dst = binary.AppendUvarint(dst, uint64(s.Count))
	return append(dst, s.Commands...)
}

// ReadSubmission reads what AppendSubmission has written, from a member. Its commands,
// which point into b, are such as every replica can apply. sharded says whether there
// are several shards.
func ReadSubmission(b []byte, member uint64, sharded bool, now time.Time) (shard uint64, s Submission, err error) {
	d := tree.NewDecoder(b)
	shard = d.Uvarint()
	s.Epoch = d.Uvarint()
	s.ID = tree.RequestID{Replica: member, Nonce: d.Fixed64(), Number: d.Uvarint()}
	s.Base = d.Uvarint()
	isRoot := d.Byte()
	left := d.Uvarint()
	count := d.Uvarint()
	if d.Failed() || isRoot > 1 || s.Base == 0 || s.Base > s.ID.Number || count > batchCommandsLimit || count == 0 && d.Left() > 0 {
		return 0, Submission{}, errMessage
	}
	s.Root, s.Count = isRoot == 1, int(count)
	s.Deadline = now.Add(time.Duration(min(left, uint64(leftLimit/time.Millisecond))) * time.Millisecond)
	s.Commands = d.Rest()
	indexes, roots, staged, err := tree.CheckCommands(s.Commands, s.Count, isChange)
	wanted := 0
	if s.Root {
		wanted = s.Count
	}
	switch {
	case err != nil:
		return 0, Submission{}, err
	case !sharded && s.Root, sharded && roots != wanted, indexes > tree.AskLimit:
		return 0, Submission{}, errMessage
	}
	s.Indexes, s.Staged = indexes, staged
	return shard, s, nil
}

// isChange checks what the packages that carry out a command read.
func isChange(c *tree.Command) bool {
	switch c.Op {
	case tree.OpMirror:
		return mirror.IsChange(c.Value)
	case tree.OpTxn:
		return txn.IsTxn(c)
	default:
		return auth.IsChange(c.Value)
	}
}

// AppendRefusal appends r, to a member's actor of the shard.
func AppendRefusal(dst []byte, shard uint64, r Refusal) []byte {
	dst = binary.AppendUvarint(dst, shard)
	dst = binary.LittleEndian.AppendUint64(dst, r.Nonce)
	dst = binary.AppendUvarint(dst, r.First)
	return binary.AppendUvarint(dst, r.Last)
}

// ReadRefusal reads what AppendRefusal has written.
func ReadRefusal(b []byte) (shard uint64, r Refusal, err error) {
	d := tree.NewDecoder(b)
	shard = d.Uvarint()
	r = Refusal{Nonce: d.Fixed64(), First: d.Uvarint(), Last: d.Uvarint()}
	if d.Failed() || d.Left() > 0 || r.First == 0 || r.Last < r.First {
		return 0, Refusal{}, errMessage
	}
	return shard, r, nil
}
