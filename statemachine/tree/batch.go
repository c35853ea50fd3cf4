package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A raft entry holds one batch: the writes of one or more members, in the
// submissions that they sent to the shard's leader.
//
//	version      1 byte   ledVersion; timedVersion if it carries the shard's time; stagedVersion, with or without
//	                      the time, if any of its commands is an OpStage or OpGiveStaged
//	flags        1 byte   batchOrdered, batchRoot; in stagedVersion batchTimed
//	epoch        uvarint  raft term in which the proposer led; above 0
//	number       uvarint  of the batch, counted by the proposer within the epoch
//	first, last  uvarint  only if batchOrdered: the range of indexes; first is above 0
//	time, shift  varint   only in timedVersion, or with batchTimed: see Clock
//	submissions  uvarint
//	each submission:
//	  replica    uvarint  the replica whose member waits for the replies
//	  nonce      8 bytes  little-endian
//	  number     uvarint
//	  count      uvarint
//	  commands   see codec.go
//
// What any member may propose, whether it leads or not (membership changes, asks for
// indexes), is a single submission without an epoch, and has a shorter head:
//
//	version      1 byte   loneVersion
//	replica      uvarint  the replica whose member waits for the replies
//	count        uvarint
//	commands
const (
	loneVersion   = 1
	ledVersion    = 3
	timedVersion  = 4
	stagedVersion = 5

	batchOrdered = 1
	batchRoot    = 2
	batchTimed   = 4
)

// Decoding errors. No client input can cause them: the log is damaged, or was
// written by a newer copse.
var (
	// errBatchVersion means that a newer copse wrote the batch.
	errBatchVersion = errors.New("a newer version of copse wrote this raft entry: start that version again")
	errBatchShort   = errors.New("raft entry is truncated or damaged")
)

// BatchHead describes a batch.
type BatchHead struct {
	Epoch  uint64 // raft term in which the proposer led; 0: proposed without leading
	Number uint64 // of the batch, counted by the proposer within the epoch
	// Ordered means that the batch takes its indexes from Range; Root that its writes
	// are in-order creates in the root, whose names belong to the shard's slot.
	Ordered, Root bool
	Range         Range
	Clock         Clock // the shard's time; versions of copse before 2026-11-30 don't know it
	// Staged means that a command is an OpStage or OpGiveStaged, which versions of copse before 2026-12-01 don't know.
	Staged      bool
	Submissions int
}

// AppendBatchHead appends to dst the head of a batch that a leader proposes. Append
// each submission with AppendSubmission.
func AppendBatchHead(dst []byte, h BatchHead) []byte {
	var flags byte
	if h.Ordered {
		flags |= batchOrdered
	}
	if h.Root {
		flags |= batchRoot
	}
	version := byte(ledVersion)
	switch {
	case h.Staged && h.Clock.Known():
		version, flags = stagedVersion, flags|batchTimed
	case h.Staged:
		version = stagedVersion
	case h.Clock.Known():
		version = timedVersion
	}
	dst = append(dst, version, flags)
	dst = binary.AppendUvarint(dst, h.Epoch)
	dst = binary.AppendUvarint(dst, h.Number)
	if h.Ordered {
		dst = binary.AppendUvarint(dst, uint64(h.Range.First))
		dst = binary.AppendUvarint(dst, uint64(h.Range.Last))
	}
	if h.Clock.Known() {
		dst = binary.AppendVarint(binary.AppendVarint(dst, h.Clock.Time), h.Clock.Shift)
	}
	return binary.AppendUvarint(dst, uint64(h.Submissions))
}

// AppendSubmission appends the head of a submission of count commands to a batch.
// Append each command with AppendCommand.
func AppendSubmission(dst []byte, id RequestID, count int) []byte {
	dst = binary.AppendUvarint(dst, id.Replica)
	dst = binary.LittleEndian.AppendUint64(dst, id.Nonce)
	dst = binary.AppendUvarint(dst, id.Number)
	return binary.AppendUvarint(dst, uint64(count))
}

// AppendBatch appends to dst the head of a batch of count commands that any member
// may propose; the given replica's member waits for the replies. Append each command
// with AppendCommand.
func AppendBatch(dst []byte, replica uint64, count int) []byte {
	dst = append(dst, loneVersion)
	dst = binary.AppendUvarint(dst, replica)
	return binary.AppendUvarint(dst, uint64(count))
}

// BatchReader reads a batch submission by submission, and each submission command by
// command.
type BatchReader struct {
	BatchHead
	Submission RequestID // the current submission
	// StagedValue is the number of the value that the command just read is to be carried out with; 0: none.
	StagedValue Index

	lone     bool   // without an epoch, from AppendBatch
	left     int    // submissions not yet begun
	commands uint64 // commands left in the current submission
	d        Decoder
}

// ReadBatch reads the head of a batch and returns a reader of its submissions. The
// error is errBatchVersion for a newer format, or says that the batch is damaged.
func ReadBatch(data []byte) (*BatchReader, error) {
	r := &BatchReader{d: NewDecoder(data)}
	switch version := r.d.Byte(); version {
	case loneVersion:
		r.lone, r.Submissions = true, 1
	case ledVersion, timedVersion, stagedVersion:
		r.readHead(version)
	default:
		if !r.d.Failed() {
			return nil, fmt.Errorf("%w (version %d)", errBatchVersion, version)
		}
	}
	if r.d.Failed() {
		return nil, errBatchShort
	}
	r.left = r.Submissions
	return r, nil
}

func (r *BatchReader) readHead(version byte) {
	flags, timed := r.d.Byte(), version == timedVersion
	if r.Staged = version == stagedVersion; r.Staged {
		timed, flags = flags&batchTimed != 0, flags&^batchTimed
	}
	r.Ordered, r.Root = flags&batchOrdered != 0, flags&batchRoot != 0
	r.Epoch, r.Number = r.d.Uvarint(), r.d.Uvarint()
	if r.Ordered {
		r.Range = Range{First: Index(r.d.Uvarint()), Last: Index(r.d.Uvarint())}
	}
	if timed {
		r.Clock = Clock{Time: r.d.Varint(), Shift: r.d.Varint()}
	}
	submissions := r.d.Uvarint()
	if timed != r.Clock.Known() || flags > batchOrdered|batchRoot || r.Root && !r.Ordered || r.Epoch == 0 ||
		r.Ordered && (r.Range.First == 0 || r.Range.Last < r.Range.First) || submissions > uint64(r.d.Left()) {
		r.d.Fail()
	}
	r.Submissions = int(submissions)
}

// NextSubmission moves on to the next submission and reports whether there is one. The
// commands of the previous one must have been read or skipped.
func (r *BatchReader) NextSubmission() (bool, error) {
	if r.commands > 0 || r.left == 0 && r.d.Left() > 0 {
		return false, errBatchShort
	}
	if r.left == 0 {
		return false, nil
	}
	r.left--
	r.Submission = RequestID{Replica: r.d.Uvarint()}
	if !r.lone {
		r.Submission.Nonce, r.Submission.Number = r.d.Fixed64(), r.d.Uvarint()
	}
	r.commands = r.d.Uvarint()
	if r.d.Failed() || r.commands > uint64(r.d.Left()) {
		return false, errBatchShort
	}
	return true, nil
}

// Len returns how many commands of the current submission are left.
func (r *BatchReader) Len() int { return int(r.commands) }

// Left returns how many bytes of the batch haven't been read.
func (r *BatchReader) Left() int { return r.d.Left() }

// Next reads the submission's next command into c and reports whether there was one.
// c.Value then points into the batch's bytes.
func (r *BatchReader) Next(c *Command) (bool, error) {
	if r.commands == 0 {
		return false, nil
	}
	r.commands--
	if readCommand(&r.d, c); r.d.Failed() {
		return false, errBatchShort
	}
	r.StagedValue = c.unwrap()
	return true, nil
}

// Skip skips the remaining commands of the current submission.
func (r *BatchReader) Skip() error {
	for {
		var c Command
		if more, err := r.Next(&c); !more {
			return err
		}
	}
}

// errCommands is CheckCommands' error for commands that may not enter a shard's log.
var errCommands = errors.New("a submission's commands are truncated, damaged, or not for a member to submit")

// CheckCommands checks commands that another member sent: they must be exactly count
// complete commands that a member may submit and every replica can apply, and each
// must take at least one index, but for an OpStage. isChange checks the Value of an OpAuth, OpMirror or OpTxn. It returns how many
// indexes they take at most, how many of them are in-order creates in the root, and whether any is
// an OpStage or OpGiveStaged. Its only error is errCommands.
func CheckCommands(commands []byte, count int, isChange func(*Command) bool) (indexes, roots int, staged bool, err error) {
	d := NewDecoder(commands)
	for range count {
		var c Command
		if readCommand(&d, &c); d.Failed() || !c.submittable() || c.Indexes() == 0 && c.Op != OpStage || (c.Op == OpAuth || c.Op == OpMirror || c.Op == OpTxn) && !isChange(&c) {
			return 0, 0, false, errCommands
		}
		indexes += c.Indexes()
		staged = staged || c.Staged()
		if c.InRoot() {
			roots++
		}
	}
	if d.Left() > 0 {
		return 0, 0, false, errCommands
	}
	return indexes, roots, staged, nil
}

// InRoot reports whether c is an in-order create in the root: its index decides its
// name, and so its shard.
func (c *Command) InRoot() bool { return c.Op == OpCreateInOrder && c.Key == "/" }

// submittable reports whether a member may submit c to the shard's leader and every
// replica can apply it. Commands that found a cluster or close indexes take other ways.
func (c *Command) submittable() bool {
	switch c.Op {
	case OpFound, OpMemberReplaceAll, OpClose:
		return false
	case OpMemberAdd, OpMemberUpdate, OpMemberRemove, OpMemberPublish:
		members, err := ReadMembers(c.Value)
		return err == nil && len(members) == 1
	case OpAsk:
		_, err := ReadAsks(c)
		return err == nil
	default:
		return true
	}
}
