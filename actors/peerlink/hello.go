package peerlink

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The dialer sends a hello. Numbers are little-endian; check is the CRC-32C of all
// bytes before it.
//
//	0       8         10     11   12        20           28     36   44      48
//	┌───────┬─────────┬──────┬────┬─────────┬────────────┬──────┬────┬───────┐
//	│ magic │ version │ kind │ 0  │ cluster │ generation │ from │ to │ check │
//	└───────┴─────────┴──────┴────┴─────────┴────────────┴──────┴────┴───────┘
//
// It is answered with
//
//	0       8         10        11   12       20      24
//	┌───────┬─────────┬─────────┬────┬────────┬───────┐
//	│ magic │ version │ refusal │ 0  │ member │ check │
//	└───────┴─────────┴─────────┴────┴────────┴───────┘
//
// where refusal 0 means that the connection is accepted. Magic and version come first in
// every version, and the form of an answer never changes, so that members of different
// versions can refuse each other.
const (
	helloSize   = 48
	answerSize  = 24
	versionEnd  = 10
	magic       = "\xc0psepeer" // its first byte starts neither TLS nor text
	wireVersion = 1
)

// kind is what a connection is for.
type kind uint8

const (
	kindRaft     kind = 1 + iota // message batches, one way
	kindSnapshot                 // one snapshot, chunk by chunk
	kindCalls                    // calls one way, answers the other
)

func (k kind) String() string {
	switch k {
	case kindRaft:
		return "raft"
	case kindSnapshot:
		return "snapshot"
	case kindCalls:
		return "calls"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// hello is what a dialer says about itself and whom it wants to reach.
type hello struct {
	kind       kind
	cluster    uint64 // 0: not known, to a stranger
	generation uint64
	from       uint64 // 0: a stranger
	to         uint64 // 0: anyone
}

func (h hello) append(buf []byte) []byte {
	le := binary.LittleEndian
	start := len(buf)
	buf = append(buf, magic...)
	buf = le.AppendUint16(buf, wireVersion)
	buf = append(buf, byte(h.kind), 0)
	for _, n := range []uint64{h.cluster, h.generation, h.from, h.to} {
		buf = le.AppendUint64(buf, n)
	}
	return le.AppendUint32(buf, checkHello(buf[start:]))
}

// decodeHello decodes a hello. The error is UnsupportedVersion if the first versionEnd
// bytes say so; the rest need not be there then.
func decodeHello(b []byte) (hello, error) {
	le := binary.LittleEndian
	if len(b) < versionEnd || string(b[:8]) != magic {
		return hello{}, fmt.Errorf("%w: it doesn't start like a peer", errMalformed)
	}
	if le.Uint16(b[8:]) != wireVersion {
		return hello{}, UnsupportedVersion
	}
	if len(b) != helloSize || checkHello(b[:helloSize-4]) != le.Uint32(b[helloSize-4:]) {
		return hello{}, fmt.Errorf("%w: a damaged handshake", errMalformed)
	}
	return hello{
		kind:       kind(b[10]),
		cluster:    le.Uint64(b[12:]),
		generation: le.Uint64(b[20:]),
		from:       le.Uint64(b[28:]),
		to:         le.Uint64(b[36:]),
	}, nil
}

func appendAnswer(buf []byte, refusal Refusal, member uint64) []byte {
	le := binary.LittleEndian
	start := len(buf)
	buf = append(buf, magic...)
	buf = le.AppendUint16(buf, wireVersion)
	buf = append(buf, byte(refusal), 0)
	buf = le.AppendUint64(buf, member)
	return le.AppendUint32(buf, checkHello(buf[start:]))
}

// decodeAnswer returns nil if the connection is accepted. If it is refused, the error is
// a Refusal or wraps one.
func decodeAnswer(b []byte) error {
	le := binary.LittleEndian
	if bytes.HasPrefix(b, []byte("HTTP/")) {
		return errNoMember
	}
	if len(b) != answerSize || string(b[:8]) != magic || checkHello(b[:answerSize-4]) != le.Uint32(b[answerSize-4:]) {
		return fmt.Errorf("%w: it doesn't answer like a peer", errMalformed)
	}
	switch refusal, member := Refusal(b[10]), le.Uint64(b[12:]); {
	case refusal == 0:
		return nil
	case refusal == WrongMember && member != 0:
		return fmt.Errorf("%w: %x", refusal, member)
	default:
		return refusal
	}
}

func checkHello(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
