package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A batch is what one raft entry holds: the writes of one or more members, as their
// submissions brought them to the leader of the shard.
//
//	version      1 byte   ledVersion
//	flags        1 byte   batchOrdered, batchRoot
//	epoch        uvarint  raft's term in which the proposer led; above 0
//	number       uvarint  counts the proposer's batches in that epoch
//	first, last  uvarint  if batchOrdered: the range of indexes; first is above 0
//	submissions  uvarint
//	each:
//	  replica    uvarint  of the member that waits for the replies
//	  nonce      8 bytes  little-endian
//	  number     uvarint
//	  count      uvarint
//	  commands   see codec.go
//
// What a member proposes by itself, whoever leads (a change of the membership, asks
// for indexes), is one submission without an epoch, and has a shorter head:
//
//	version      1 byte   loneVersion
//	replica      uvarint  that waits for the replies
//	count        uvarint
//	commands
const (
	loneVersion = 1
	ledVersion  = 3

	batchOrdered = 1
	batchRoot    = 2
)

// Errors of decoding. None of them can come from a client's input: they mean
// a damaged log, or one written by a newer copse.
var (
	ErrBatchVersion = errors.New("raft entry is in a newer format than this copse knows: start the newer copse again")
	errBatchShort   = errors.New("raft entry is cut short or damaged")
)

// BatchHead is what a batch says of itself.
type BatchHead struct {
	Epoch  uint64 // raft's term in which the proposer led; 0: none is claimed
	Number uint64 // counts the proposer's batches in the epoch
	// Ordered: the batch takes its indexes from Range. Root: its writes are creates in
	// order in the root, whose names belong to the shard's slot.
	Ordered, Root bool
	Range         Range
	Submissions   int
}

// AppendBatchHead appends the head of a batch that a leader proposes to dst; its
// submissions follow, each by AppendSubmission.
func AppendBatchHead(dst []byte, h BatchHead) []byte {
	var flags byte
	if h.Ordered {
		flags |= batchOrdered
	}
	if h.Root {
		flags |= batchRoot
	}
	dst = append(dst, ledVersion, flags)
	dst = binary.AppendUvarint(dst, h.Epoch)
	dst = binary.AppendUvarint(dst, h.Number)
	if h.Ordered {
		dst = binary.AppendUvarint(dst, uint64(h.Range.First))
		dst = binary.AppendUvarint(dst, uint64(h.Range.Last))
	}
	return binary.AppendUvarint(dst, uint64(h.Submissions))
}

// AppendSubmission appends the head of a submission of count commands to a batch; the
// commands follow, each by AppendCommand.
func AppendSubmission(dst []byte, id RequestID, count int) []byte {
	dst = binary.AppendUvarint(dst, id.Replica)
	dst = binary.LittleEndian.AppendUint64(dst, id.Nonce)
	dst = binary.AppendUvarint(dst, id.Number)
	return binary.AppendUvarint(dst, uint64(count))
}

// AppendBatch appends the head of a batch of count commands that no leader has to
// propose; the replica waits for the replies. The commands follow, each by
// AppendCommand.
func AppendBatch(dst []byte, replica uint64, count int) []byte {
	dst = append(dst, loneVersion)
	dst = binary.AppendUvarint(dst, replica)
	return binary.AppendUvarint(dst, uint64(count))
}

// BatchReader reads a batch, submission by submission, and of each command by command.
type BatchReader struct {
	BatchHead
	Submission RequestID // the one that is being read

	lone     bool
	left     int    // submissions
	commands uint64 // left of the submission
	d        Decoder
}

// ReadBatch starts reading a batch.
func ReadBatch(data []byte) (*BatchReader, error) {
	r := &BatchReader{d: NewDecoder(data)}
	switch version := r.d.Byte(); version {
	case loneVersion:
		r.lone, r.Submissions = true, 1
	case ledVersion:
		r.readHead()
	default:
		if !r.d.Failed() {
			return nil, fmt.Errorf("%w (version %d)", ErrBatchVersion, version)
		}
	}
	if r.d.Failed() {
		return nil, errBatchShort
	}
	r.left = r.Submissions
	return r, nil
}

func (r *BatchReader) readHead() {
	flags := r.d.Byte()
	r.Ordered, r.Root = flags&batchOrdered != 0, flags&batchRoot != 0
	r.Epoch, r.Number = r.d.Uvarint(), r.d.Uvarint()
	if r.Ordered {
		r.Range = Range{First: Index(r.d.Uvarint()), Last: Index(r.d.Uvarint())}
	}
	submissions := r.d.Uvarint()
	if flags > batchOrdered|batchRoot || r.Root && !r.Ordered || r.Epoch == 0 ||
		r.Ordered && (r.Range.First == 0 || r.Range.Last < r.Range.First) || submissions > uint64(r.d.Left()) {
		r.d.Fail()
	}
	r.Submissions = int(submissions)
}

// NextSubmission goes on to the next submission, and reports whether there is one. The
// commands of the one before must have been read, or SkipCommands called.
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

// Len is how many commands of the submission are left.
func (r *BatchReader) Len() int { return int(r.commands) }

// Next reads the submission's next command into c and reports whether there was one.
// What c holds then points into the batch's bytes.
func (r *BatchReader) Next(c *Command) (bool, error) {
	if r.commands == 0 {
		return false, nil
	}
	r.commands--
	if readCommand(&r.d, c); r.d.Failed() {
		return false, errBatchShort
	}
	return true, nil
}

// Skip passes over the commands of the submission that are left.
func (r *BatchReader) Skip() error {
	for {
		var c Command
		if more, err := r.Next(&c); !more {
			return err
		}
	}
}

// ErrCommands is what CheckCommands says of commands that may not enter a shard's log.
var ErrCommands = errors.New("the commands of a submission are cut short, damaged, or not what a member may submit")

// CheckCommands makes sure that commands, as another member sent them, are count whole
// commands that members submit and every replica can apply, and that each takes an
// index at least. It returns how many indexes they may take, and how many of them
// create in the root.
func CheckCommands(commands []byte, count int) (indexes, roots int, err error) {
	d := NewDecoder(commands)
	for range count {
		var c Command
		if readCommand(&d, &c); d.Failed() || !c.submittable() || c.Indexes() == 0 {
			return 0, 0, ErrCommands
		}
		indexes += c.Indexes()
		if c.InRoot() {
			roots++
		}
	}
	if d.Left() > 0 {
		return 0, 0, ErrCommands
	}
	return indexes, roots, nil
}

// InRoot reports whether c creates a key in order in the root: its name, and so its
// shard, follow from its index.
func (c *Command) InRoot() bool { return c.Op == OpCreateInOrder && c.Key == "/" }

// submittable reports whether a member may submit c to the shard's leader, and every
// replica can apply it. What founds a cluster, or closes indexes, is proposed otherwise.
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
