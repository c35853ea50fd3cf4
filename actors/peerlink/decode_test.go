package peerlink

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

var us = parties{deployment: 9, from: 2, to: 1}

// replicate is the most frequent message of a leader.
func replicate(entries int) pb.Message {
	m := pb.Message{Type: pb.Replicate, From: 2, To: 1, ShardID: 3, Term: 4, LogTerm: 4, LogIndex: 100, Commit: 99}
	for i := range entries {
		m.Entries = append(m.Entries, pb.Entry{Term: 4, Index: 101 + uint64(i), Key: 1 << 60, Cmd: bytes.Repeat([]byte{byte(i)}, i)})
	}
	return m
}

func batchOf(messages ...pb.Message) pb.MessageBatch {
	return pb.MessageBatch{Requests: messages, DeploymentId: 9, SourceAddress: "elsewhere", BinVer: raftio.TransportBinVersion}
}

func chunkOf(id uint64, data []byte) pb.Chunk {
	return pb.Chunk{
		ShardID: 3, ReplicaID: 1, From: 2, ChunkId: id, FileChunkId: id, Index: 0xabc, Term: 4, OnDiskIndex: 0xabc,
		ChunkSize: uint64(len(data)), Data: data, DeploymentId: 9, BinVer: raftio.TransportBinVersion,
		Filepath: "snapshot-0000000000000ABC.gbsnap",
		Membership: pb.Membership{
			ConfigChangeId: 7,
			Addresses:      map[uint64]string{1: MemberUUID(1), 2: MemberUUID(2)},
			Removed:        map[uint64]bool{5: true},
			NonVotings:     map[uint64]string{6: MemberUUID(6)},
		},
	}
}

func TestWhatTheEngineSendsArrives(t *testing.T) {
	vote := pb.Message{Type: pb.RequestVote, From: 2, To: 1, ShardID: 1, Term: 1 << 40, LogIndex: 1 << 50, Hint: 1 << 63, HintHigh: 1}
	proposal := pb.Message{Type: pb.Propose, From: 2, To: 1, ShardID: 1, Entries: []pb.Entry{{Type: pb.ConfigChangeEntry, Key: 1, Cmd: []byte("x")}}}
	want := batchOf(replicate(20), replicate(0), vote, proposal)
	got, err := us.batch(pb.MustMarshal(&want))
	want.SourceAddress = ""
	for i := range got.Requests { // maps and the like come out empty rather than nil
		got.Requests[i].Snapshot = pb.Snapshot{}
		for j := range got.Requests[i].Entries {
			if e := &got.Requests[i].Entries[j]; len(e.Cmd) == 0 {
				e.Cmd = want.Requests[i].Entries[j].Cmd
			}
		}
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\n got %+v\nwant %+v", err, got, want)
	}

	for _, c := range []pb.Chunk{chunkOf(0, make([]byte, 2000)), chunkOf(1, []byte("more")), chunkOf(2, nil)} {
		got, err := us.chunk(pb.MustMarshal(&c))
		if err != nil || !bytes.Equal(got.Data, c.Data) || !reflect.DeepEqual(got.Membership, c.Membership) {
			t.Fatalf("chunk %d: %v, %d bytes, %+v; want %+v", c.ChunkId, err, len(got.Data), got.Membership, c.Membership)
		}
	}
}

func TestWhatIsNotForUsIsDropped(t *testing.T) {
	for name, spoil := range map[string]func(*pb.Message){
		"to nobody":                      func(m *pb.Message) { m.To = 0 },
		"to another":                     func(m *pb.Message) { m.To = 3 },
		"from another":                   func(m *pb.Message) { m.From = 3 },
		"a snapshot outside its channel": func(m *pb.Message) { m.Type = pb.InstallSnapshot },
		"a tick":                         func(m *pb.Message) { m.Type = pb.LocalTick },
		"an election":                    func(m *pb.Message) { m.Type = pb.Election },
		"a transfer to nobody":           func(m *pb.Message) { m.Type = pb.LeaderTransfer },
		"of no type":                     func(m *pb.Message) { m.Type = 99 },
		"of a negative type":             func(m *pb.Message) { m.Type = -1 },
	} {
		bad := replicate(1)
		spoil(&bad)
		b := batchOf(bad, replicate(2))
		got, err := us.batch(pb.MustMarshal(&b))
		if err != nil || len(got.Requests) != 1 || len(got.Requests[0].Entries) != 2 {
			t.Errorf("a message %s: %v, %+v", name, err, got.Requests)
		}
	}
	foreign := batchOf(replicate(1))
	foreign.DeploymentId = 8
	if got, err := us.batch(pb.MustMarshal(&foreign)); err != nil || len(got.Requests) != 0 {
		t.Errorf("a foreign batch: %v, %+v", err, got.Requests)
	}
}

func TestAChunkThatWouldEndTheProcessIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*pb.Chunk){
		"of another cluster":      func(c *pb.Chunk) { c.DeploymentId++ },
		"of another version":      func(c *pb.Chunk) { c.BinVer++ },
		"from another":            func(c *pb.Chunk) { c.From++ },
		"to another":              func(c *pb.Chunk) { c.ReplicaID++ },
		"that is the poison":      func(c *pb.Chunk) { c.ChunkCount = pb.PoisonChunkCount },
		"of a witness":            func(c *pb.Chunk) { c.Witness = true },
		"of a file of its own":    func(c *pb.Chunk) { c.HasFileInfo = true },
		"with a number too many":  func(c *pb.Chunk) { c.FileChunkId = 5 },
		"with a path":             func(c *pb.Chunk) { c.Filepath = "../../x" },
		"without a name":          func(c *pb.Chunk) { c.Filepath = "" },
		"with another's name":     func(c *pb.Chunk) { c.Index++ },
		"without the image's top": func(c *pb.Chunk) { c.Data = c.Data[:1000] },
	} {
		c := chunkOf(0, make([]byte, 2000))
		spoil(&c)
		if _, err := us.chunk(pb.MustMarshal(&c)); err == nil {
			t.Errorf("a chunk %s is let through", name)
		}
	}
}

// On these, dragonboat's own decoders would crash or never return.
func TestHostileBytesAreSeenThrough(t *testing.T) {
	var inMessage, inSnapshot []byte
	deep := bytes.Repeat([]byte{0x7b}, 4<<20) // nested groups, deep enough to exhaust a stack
	wrap := func(tag byte, b []byte) []byte {
		return append(binary.AppendUvarint([]byte{tag}, uint64(len(b))), b...)
	}
	inMessage = wrap(0x0a, append(make([]byte, 0), deep...))
	inSnapshot = wrap(0x0a, wrap(0x62, deep))
	backwards := append([]byte{0x0a}, bytes.Repeat([]byte{0xff}, 9)...) // a length of -1, as an int
	backwards = append(backwards, 0x01)
	m := replicate(1)
	one := wrap(0x0a, pb.MustMarshal(&m))
	for name, b := range map[string][]byte{
		"groups":                          deep,
		"groups in a message":             inMessage,
		"groups in a snapshot":            inSnapshot,
		"a negative length":               backwards,
		"a negative length, second":       append(bytes.Clone(one), backwards...),
		"a tag that overflows":            append(bytes.Clone(one), 0x8a, 0x80, 0x80, 0x80, 0x80, 0x01, 0x01),
		"a message that is a number":      append(bytes.Clone(one), 0x08, 0x7f),
		"messages of nothing":             bytes.Repeat([]byte{0x0a, 0x00}, 1<<20),
		"a message's tag and nothing":     append(bytes.Clone(one), 0x0a),
		"a length of 4 GiB":               {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"an entry's tag without an end":   wrap(0x0a, append(bytes.Repeat([]byte{0x08, 0x01}, 12), 0x5a, 0x03, 1, 1, 1, 0xda)),
		"an entry of a length it has not": wrap(0x0a, append(bytes.Repeat([]byte{0x08, 0x01}, 12), 0x5a, 0x03, 7, 0x7e, 0x7f)),
	} {
		if got, err := us.batch(b); err == nil {
			t.Errorf("%s: read as %d messages", name, len(got.Requests))
		}
		if _, err := us.chunk(b); err == nil {
			t.Errorf("%s: read as a chunk", name)
		}
	}
}

func FuzzBatch(f *testing.F) {
	b := batchOf(replicate(3), pb.Message{Type: pb.HeartbeatResp, From: 2, To: 1, ShardID: 3})
	f.Add(pb.MustMarshal(&b))
	f.Add([]byte{0x0a, 0x00, 0x0a})
	f.Add(bytes.Repeat([]byte{0x0b}, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := us.batch(b)
		if err != nil {
			return
		}
		for _, m := range got.Requests {
			if m.To != us.to || m.From != us.from {
				t.Fatalf("let through: %+v", m)
			}
		}
		again, err := us.batch(pb.MustMarshal(&pb.MessageBatch{Requests: got.Requests, DeploymentId: us.deployment}))
		if err != nil || len(again.Requests) != len(got.Requests) {
			t.Fatalf("what was read can't be sent again: %v", err)
		}
	})
}

func FuzzChunk(f *testing.F) {
	c := chunkOf(1, []byte("data"))
	f.Add(pb.MustMarshal(&c))
	c = chunkOf(0, make([]byte, firstChunkLeast))
	f.Add(pb.MustMarshal(&c))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := us.chunk(b); err == nil && (c.From != us.from || c.ReplicaID != us.to || bytes.ContainsRune([]byte(c.Filepath), '/')) {
			t.Fatalf("let through: %+v", c)
		}
	})
}
