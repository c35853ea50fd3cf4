package peerlink

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// After the handshake, a connection carries frames. Numbers are little-endian.
//
//	0        4       8      9
//	┌────────┬───────┬──────┬─────────┐
//	│ length │ check │ type │ payload │
//	└────────┴───────┴──────┴─────────┘
//
// length is the payload's, in bytes. check is the CRC-32C of all the rest: length, type
// and payload.
const frameHead = 9

type frameType uint8

// The frames, by the kind of connection that carries them.
const (
	frameBatch  frameType = 1 + iota // raft: a message batch
	frameChunk                       // snapshot: a piece of an image
	frameStored                      // snapshot: the answer to the last chunk, when everything is stored
	frameCall                        // calls
	frameAnswer                      // calls
)

// Limits of payloads, in bytes. dragonboat ends a batch at 64 MiB, unless a single
// message has that much in entries; a piece of an image has at most 2 MiB, plus a head
// with the membership.
const (
	batchLimit = 65 << 20
	chunkLimit = 2<<20 + 256<<10
	// readStep is how much memory is allocated for a frame before any of it has arrived.
	readStep = 256 << 10
)

// limits says how large the payload of a frame may be; 0: no such frame is allowed.
type limits func(frameType) int

// beginFrame starts a frame in buf, whose contents are lost. The payload has to be
// appended, then sealFrame called.
func beginFrame(buf []byte) []byte { return append(buf[:0], make([]byte, frameHead)...) }

// sealFrame fills in the head of the frame in buf.
func sealFrame(buf []byte, t frameType) []byte {
	binary.LittleEndian.PutUint32(buf, uint32(len(buf)-frameHead))
	buf[8] = byte(t)
	binary.LittleEndian.PutUint32(buf[4:], checkFrame(buf[:frameHead], buf[frameHead:]))
	return buf
}

func checkFrame(head, payload []byte) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli) // the library makes it once
	check := crc32.Update(0, castagnoli, head[:4])
	check = crc32.Update(check, castagnoli, head[8:])
	return crc32.Update(check, castagnoli, payload)
}

// readFrame reads the next frame. The payload uses buf's memory if it fits.
func readFrame(r *bufio.Reader, buf []byte, limit limits) (frameType, []byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	t, length := frameType(head[8]), binary.LittleEndian.Uint32(head[:])
	if most := limit(t); most == 0 || uint64(length) > uint64(most) {
		return 0, nil, fmt.Errorf("%w frame: type %d with %d bytes", errMalformed, t, length)
	}
	payload, err := readSteps(r, buf, int(length))
	if err != nil {
		return 0, nil, err
	}
	if checkFrame(head[:], payload) != binary.LittleEndian.Uint32(head[4:]) {
		return 0, nil, fmt.Errorf("%w frame: its checksum is wrong", errMalformed)
	}
	return t, payload, nil
}

// readSteps reads n bytes. It allocates at most twice as much as has arrived.
func readSteps(r io.Reader, buf []byte, n int) ([]byte, error) {
	buf = buf[:0]
	for len(buf) < n {
		step := min(n-len(buf), max(readStep, len(buf), cap(buf)-len(buf)))
		buf = slices.Grow(buf, step)
		have := len(buf)
		if _, err := io.ReadFull(r, buf[have:have+step]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		buf = buf[:have+step]
	}
	return buf, nil
}
