package peerlink

import (
	"encoding/binary"
	"fmt"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// dragonboat's decoders trust their input. Forged bytes can make them index out of
// range, loop forever, or recurse until the stack overflows, and only the first of these
// can be recovered from. So outline checks the bytes first. It knows as little of the
// format as it needs: which fields hold messages themselves.

// shape describes a field: whether it must be length-delimited, and the shape of the
// message inside it, nil for plain bytes. least is the smallest valid size in bytes:
// smaller ones could take far more memory once decoded than they have bytes.
type shape func(field uint64) (inner shape, delimited bool, least int)

func batchShape(field uint64) (shape, bool, int) {
	if field == 1 {
		return messageShape, true, 24
	}
	return nil, false, 0
}

func messageShape(field uint64) (shape, bool, int) {
	switch field {
	case 11: // entries: they have a format of their own, with a sound decoder
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

// membershipShape is four maps; an entry of a map is a message.
func membershipShape(field uint64) (shape, bool, int) { return flatShape, 2 <= field && field <= 5, 0 }

func flatShape(uint64) (shape, bool, int) { return nil, false, 0 }

// outline checks that b consists of fields, and the messages in them likewise. Only
// numbers and delimited bytes are allowed; dragonboat uses nothing else.
func outline(b []byte, s shape) error {
	const number, delimited = 0, 2
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		field := tag >> 3
		if n <= 0 || field == 0 || field >= 1<<29 {
			return fmt.Errorf("%w: an invalid tag", errMalformed)
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

// decode checks b's outline, and then has dragonboat's decoder read it.
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

// parties are the only members between whom a connection may carry raft traffic.
// dragonboat ends the process when it gets a message for an unknown replica, and
// believes what a message says about its sender.
type parties struct {
	deployment uint64
	from, to   uint64
}

// batch decodes a message batch and keeps the messages that this connection may carry.
// The memory of b can be reused.
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
	batch.SourceAddress = "" // the address book has the addresses
	return batch, nil
}

// travels reports whether dragonboat sends such a message to other members. It creates
// other types for itself; accepting one from outside, such as an InstallSnapshot that
// names a file, would let others control it.
func travels(m *pb.Message) bool {
	switch m.Type {
	case pb.Replicate, pb.ReplicateResp, pb.Heartbeat, pb.HeartbeatResp,
		pb.RequestVote, pb.RequestVoteResp, pb.RequestPreVote, pb.RequestPreVoteResp,
		pb.ReadIndex, pb.ReadIndexResp, pb.Propose, pb.TimeoutNow,
		pb.NoOP, pb.Quiesce, pb.RateLimit, pb.SnapshotReceived:
		return true
	case pb.LeaderTransfer:
		return m.Hint != 0 // to whom; without it dragonboat panics
	}
	return false
}

// hollow reports whether an entry is empty, which is how dragonboat decodes one that
// ends before its first field. It never sends such an entry.
func hollow(entries []pb.Entry) bool {
	for i := range entries {
		e := &entries[i]
		if e.Term|e.Index|uint64(e.Type)|e.Key|e.ClientID|e.SeriesID|e.RespondedTo == 0 && len(e.Cmd) == 0 {
			return true
		}
	}
	return false
}

// firstChunkLeast is how many bytes dragonboat reads of an image's first chunk without
// checking that they are there: a header of 1 KiB and a checksum.
const firstChunkLeast = 1<<10 + 4

// chunk decodes a piece of a snapshot's image. A chunk that dragonboat would not have
// sent is an error: it uses the fields in file names, and ends the process if it can't
// create, extend or read those files.
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

// imageName is dragonboat's file name for the streamed image of a state machine.
func imageName(raftIndex uint64) string { return fmt.Sprintf("snapshot-%016X.gbsnap", raftIndex) }
