package raftlog

import (
	"errors"
	"fmt"
	"io"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

// segment is one file of the log, which is open. The fields behind the salt change while it
// is the last one, under Log.writing.
type segment struct {
	number  uint64
	path    string
	file    file
	sectors int64
	salt    uint32
	before  uint32 // the chain at the end of the segment before it

	fresh    int64  // the first sector whose blocks may never have been written
	next     int64  // the sector where the next frame begins
	previous int64  // and where the last one did
	chain    uint32 // of all frames so far
	end      uint32 // the chain before the last frame, if that names the next segment
	sealed   bool   // it does
	// The next segment, where sealed.
	nextNumber uint64
	nextSalt   uint32
}

func (s *segment) key() uint32 { return uint32(s.number) }

func (s *segment) damage(sector int64, format string, args ...any) error {
	return &Damage{
		File: s.path, Offset: sector * sectorSize, Reason: fmt.Sprintf(format, args...),
		Position: Position{s.number, uint32(s.next)},
	}
}

// openSegment opens the file and reads its header.
func openSegment(dir files, number uint64) (*segment, error) {
	s := &segment{number: number, path: dir.Path(segmentName(number))}
	f, err := dir.Open(segmentName(number))
	if err != nil {
		return nil, err
	}
	s.file = f
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var first [sectorSize]byte
	if size >= sectorSize {
		if _, err := f.ReadAt(first[:], 0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	h, salt, reason := parseHeader(first[:])
	switch {
	case reason != "":
	case h.number != number:
		reason = fmt.Sprintf("this is segment %d", h.number)
	case int64(h.sectors)*sectorSize != size:
		reason = fmt.Sprintf("the file has %d bytes, and had %d", size, int64(h.sectors)*sectorSize)
	}
	if reason != "" {
		return nil, errors.Join(s.damage(0, "%s", reason), f.Close())
	}
	s.sectors, s.salt, s.before = int64(h.sectors), salt, h.before
	s.rewind(first[:])
	return s, nil
}

// rewind makes the segment one that no frame was read of yet.
func (s *segment) rewind(header []byte) {
	s.next, s.chain, s.sealed = 1, runOn(0, header), false
}

// torn are the sectors of a last frame that a crash has left in part.
type torn struct{ from, to int64 }

// scan reads the segment from its first frame to its end, and calls visit with each whole
// frame. at is where the content is in the segment's payload.
func (s *segment) scan(visit func(content []byte, at uint32) error) (torn, error) {
	r := newSectorReader(s)
	var content []byte
	for s.next < s.sectors {
		var err error
		var whole bool
		if content, whole, err = s.readFrame(r, content[:0]); err != nil {
			return torn{}, err
		}
		if !whole {
			return s.readRest(r)
		}
		if s.sealed {
			return torn{}, s.damage(s.previous, "a frame follows the last one")
		}
		if err = s.look(content); err == nil {
			err = visit(content, uint32(s.previous*payloadSize+lengthSize))
		}
		if err != nil {
			s.next = s.previous
			return torn{}, s.damage(s.previous, "%v", err)
		}
	}
	return torn{}, nil
}

// look notes the next segment's name if this is the frame that has it.
func (s *segment) look(content []byte) error {
	r, _, err := cutRecord(content, 0)
	if err != nil || r.kind != nextRecord {
		return err
	}
	if len(r.body) != 12 {
		return errRecord
	}
	s.sealed, s.nextNumber, s.nextSalt = true, le.Uint64(r.body), le.Uint32(r.body[8:])
	return nil
}

// readFrame reads the frame at next and goes behind it, if all of its sectors are present.
func (s *segment) readFrame(r *sectorReader, content []byte) (_ []byte, whole bool, err error) {
	count, length, chain := int64(1), 0, s.chain
	for n := int64(0); n < count; n++ {
		sector, err := r.sector(s.next + n)
		if err != nil {
			return content, false, err
		}
		c, of := judge(sector, s.salt, s.next+n)
		switch {
		case c == missing:
			return content, false, nil
		case c == damaged:
			return content, false, s.damage(s.next+n, "these 512 bytes are not what was written")
		case of != s.chain:
			return content, false, s.damage(s.next+n, "a frame before this one is missing")
		}
		payload := sector[:payloadSize]
		if n == 0 {
			length = int(le.Uint32(payload))
			payload = payload[lengthSize:]
			if count = sectorsOf(length); s.next+count > s.sectors {
				return content, false, s.damage(s.next, "a frame is longer than the file")
			}
		}
		content = append(content, payload...)
		chain = runOn(chain, sector)
	}
	s.previous, s.next, s.end, s.chain = s.next, s.next+count, s.chain, chain
	return content[:length], true, nil
}

// readRest makes sure that there is nothing from next on but sectors of one frame, which a
// crash has left, and says which.
func (s *segment) readRest(r *sectorReader) (torn, error) {
	var left torn
	count := s.sectors - s.next
	for n := range s.sectors - s.next {
		sector, err := r.sector(s.next + n)
		if err != nil {
			return left, err
		}
		c, of := judge(sector, s.salt, s.next+n)
		if c == missing {
			continue
		}
		if c == damaged {
			return left, s.damage(s.next+n, "these 512 bytes are not what was written, in a place where nothing was")
		}
		if n == 0 {
			count = sectorsOf(int(le.Uint32(sector)))
		}
		if of != s.chain || n >= count || s.sealed {
			return left, s.damage(s.next+n, "a frame before this one is missing")
		}
		left = torn{s.next, s.next + n + 1}
	}
	return left, nil
}

// readAhead is how much of a segment is read at once.
const readAhead = 1 << 20

// sectorReader reads a segment from the front to the back.
type sectorReader struct {
	segment *segment
	buf     []byte
	from    int64 // the sector that buf begins with; -1: it holds nothing
	count   int64 // sectors in buf
}

func newSectorReader(s *segment) *sectorReader {
	return &sectorReader{segment: s, buf: make([]byte, min(readAhead, s.sectors*sectorSize)), from: -1}
}

func (r *sectorReader) sector(n int64) ([]byte, error) {
	if r.from < 0 || n < r.from || n >= r.from+r.count {
		r.from, r.count = n, min(int64(len(r.buf)/sectorSize), r.segment.sectors-n)
		if err := r.segment.read(r.buf[:r.count*sectorSize], n); err != nil {
			r.from = -1
			return nil, err
		}
	}
	at := (n - r.from) * sectorSize
	return r.buf[at : at+sectorSize], nil
}

func (s *segment) read(buf []byte, sector int64) error {
	n, err := s.file.ReadAt(buf, sector*sectorSize)
	if n == len(buf) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return s.damage(sector+int64(n)/sectorSize, "the file ends here, and was longer")
	}
	return fmt.Errorf("read the raft log: %w", err)
}

// entryReader reads entries, many at once where they lie side by side.
type entryReader struct {
	segment *segment
	buf     []byte // the payload of sectors
	from    int64  // the first of them
}

// bytes returns the bytes at a place, until the next call. Those up to another place of
// the segment, further behind, are going to be asked for too.
func (r *entryReader) bytes(s *segment, p, until place) ([]byte, error) {
	first, end := p.sectors()
	if r.segment != s || first < r.from || end > r.from+int64(len(r.buf)/payloadSize) {
		_, last := until.sectors()
		if err := r.fill(s, first, max(end, min(last, first+entryReadAhead/sectorSize))); err != nil {
			return nil, err
		}
	}
	start := int64(p.at) - r.from*payloadSize
	return r.buf[start : start+int64(p.length)], nil
}

// entryReadAhead is how much is read at once for entries that are asked for together.
const entryReadAhead = 256 << 10

// sectors returns the first sector that a place is in, and the first behind it.
func (p place) sectors() (first, end int64) {
	return int64(p.at) / payloadSize, (int64(p.at) + int64(p.length) + payloadSize - 1) / payloadSize
}

func (r *entryReader) fill(s *segment, first, end int64) error {
	raw := make([]byte, (end-first)*sectorSize)
	if err := s.read(raw, first); err != nil {
		return err
	}
	r.segment, r.from, r.buf = s, first, make([]byte, 0, (end-first)*payloadSize)
	for n := first; n < end; n++ {
		sector := raw[(n-first)*sectorSize:][:sectorSize]
		if c, _ := judge(sector, s.salt, n); c != present {
			return &Damage{File: s.path, Offset: n * sectorSize, Reason: "these 512 bytes are not what was written"}
		}
		r.buf = append(r.buf, sector[:payloadSize]...)
	}
	return nil
}

// entry returns the entry at a place.
func (r *entryReader) entry(s *segment, p, until place) (e pb.Entry, err error) {
	b, err := r.bytes(s, p, until)
	if err != nil {
		return e, err
	}
	if err := e.Unmarshal(b); err != nil {
		return e, &Damage{File: s.path, Offset: int64(p.at) / payloadSize * sectorSize, Reason: "an entry can't be understood"}
	}
	return e, nil
}
