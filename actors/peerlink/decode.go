package peerlink

import (
	"encoding/binary"
	"fmt"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// The engine's decoders trust their input. Bytes made up by somebody can make
// them index out of range, count forever, or recurse until the stack is gone,
// and only the first of these can be recovered from. So outline looks at the
// bytes first, with the little that has to be known of the format: which fields
// hold messages in turn.

// shape says of a field whether it is known to be length-delimited, and the
// shape of the message inside it, nil if it holds plain bytes. least is the
// fewest bytes that one takes: what comes in less would cost more memory
// decoded than it is worth.
type shape func(field uint64) (inner shape, delimited bool, least int)

func batchShape(field uint64) (shape, bool, int) {
	if field == 1 {
		return messageShape, true, 24
	}
	return nil, false, 0
}

func messageShape(field uint64) (shape, bool, int) {
	switch field {
	case 11: // entries: of a format of their own, whose decoder is sound
		return nil, true, 3
	case 12:
		return snapshotShape, true, 0
	}
	return nil, false, 0
}

func snapshotShape(field uint64) (shape, bool, int) {
	switch field {
	case 6:
		return membershipShape, true, 0
	case 7: // files
		return flatShape, true, 0
	}
	return nil, false, 0
}

func chunkShape(field uint64) (shape, bool, int) {
	switch field {
	case 10:
		return membershipShape, true, 0
	case 18: // a file
		return flatShape, true, 0
	}
	return nil, false, 0
}

// membershipShape is four maps, and a map's entry is a message.
func membershipShape(field uint64) (shape, bool, int) { return flatShape, 2 <= field && field <= 5, 0 }

func flatShape(uint64) (shape, bool, int) { return nil, false, 0 }

// outline checks that b is fields from end to end, and so on inside. Numbers
// and delimited bytes are all that the engine uses; nothing else is let through.
func outline(b []byte, s shape) error {
	const number, delimited = 0, 2
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		field := tag >> 3
		if n <= 0 || field == 0 || field >= 1<<29 {
			return fmt.Errorf("%w: a bad tag", errMalformed)
		}
		inner, must, least := s(field)
		value, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return fmt.Errorf("%w: field %d is cut off", errMalformed, field)
		}
		b = b[n+m:]
		switch wire := tag & 7; {
		case wire == number && !must:
		case wire == delimited && uint64(least) <= value && value <= uint64(len(b)):
			if inner != nil {
				if err := outline(b[:value], inner); err != nil {
					return err
				}
			}
			b = b[value:]
		default:
			return fmt.Errorf("%w: field %d", errMalformed, field)
		}
	}
	return nil
}

// decode has the engine's decoder read b, once its outline is known to be sound.
func decode(b []byte, s shape, m pb.Unmarshaler) (err error) {
	if err := outline(b, s); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errMalformed, r)
		}
	}()
	if err := m.Unmarshal(b); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}

// parties are whom a connection's raft traffic has to come from and go to: the
// engine ends the process over a message to nobody, and believes whatever it
// is told about who sent one.
type parties struct {
	deployment uint64
	from, to   uint64
}

// batch decodes a message batch, and keeps the messages that may have come this
// way. The memory of b can be used again.
func (p parties) batch(b []byte) (pb.MessageBatch, error) {
	var batch pb.MessageBatch
	if err := decode(b, batchShape, &batch); err != nil {
		return batch, err
	}
	if batch.DeploymentId != p.deployment {
		batch.Requests = nil
	}
	kept := batch.Requests[:0]
	for _, m := range batch.Requests {
		if m.From == p.from && m.To == p.to && travels(&m) && !hollow(m.Entries) {
			kept = append(kept, m)
		}
	}
	batch.Requests = kept
	batch.SourceAddress = "" // the book knows where members are
	return batch, nil
}

// travels reports whether the engine sends such a message to another member.
// The other types it makes for itself: to let one in, an InstallSnapshot that
// names a file for instance, would be to let others drive it.
func travels(m *pb.Message) bool {
	switch m.Type {
	case pb.Replicate, pb.ReplicateResp, pb.Heartbeat, pb.HeartbeatResp,
		pb.RequestVote, pb.RequestVoteResp, pb.RequestPreVote, pb.RequestPreVoteResp,
		pb.ReadIndex, pb.ReadIndexResp, pb.Propose, pb.TimeoutNow,
		pb.NoOP, pb.Quiesce, pb.RateLimit, pb.SnapshotReceived:
		return true
	case pb.LeaderTransfer:
		return m.Hint != 0 // to whom; the engine panics without
	}
	return false
}

// hollow reports whether there is an entry with nothing in it, as the engine
// makes of one that ends before its first field: it never sends such.
func hollow(entries []pb.Entry) bool {
	for i := range entries {
		e := &entries[i]
		if e.Term|e.Index|uint64(e.Type)|e.Key|e.ClientID|e.SeriesID|e.RespondedTo == 0 && len(e.Cmd) == 0 {
			return true
		}
	}
	return false
}

// firstChunkLeast is what the engine reads of an image's first chunk without
// looking whether it is there: a header of 1 KiB and a checksum.
const firstChunkLeast = 1<<10 + 4

// chunk decodes a piece of a snapshot's image. One that the engine would not
// have sent is an error: it puts the fields into the names of files, and ends
// the process where it can't make, append to or understand them.
func (p parties) chunk(b []byte) (pb.Chunk, error) {
	var c pb.Chunk
	if err := decode(b, chunkShape, &c); err != nil {
		return c, err
	}
	switch {
	case c.DeploymentId != p.deployment, c.BinVer != raftio.TransportBinVersion:
		return c, fmt.Errorf("%w chunk: of another cluster or version", errMalformed)
	case c.From != p.from, c.ReplicaID != p.to:
		return c, fmt.Errorf("%w chunk: from %x to %x", errMalformed, c.From, c.ReplicaID)
	case c.IsPoisonChunk(), c.Witness, c.HasFileInfo, c.FileChunkId != c.ChunkId,
		c.ChunkId == 0 && len(c.Data) < firstChunkLeast,
		c.Filepath != imageName(c.Index):
		return c, fmt.Errorf("%w chunk: number %d of image %d", errMalformed, c.ChunkId, c.Index)
	}
	return c, nil
}

// imageName is what the engine calls the streamed image of a state machine.
func imageName(raftIndex uint64) string { return fmt.Sprintf("snapshot-%016X.gbsnap", raftIndex) }
