package etcddir

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// place says where an entry of the log is.
type place struct {
	index, term  uint64
	file         *file
	offset, size int64 // of the entry
}

// mark is a record that says a snapshot was taken. position is the number of entries
// written before it.
type mark struct {
	index, term uint64
	position    int
}

func (m *mark) parse(b []byte) error {
	return eachField(b, func(f *field) bool {
		switch {
		case f.is(1, varint):
			m.index = f.value
		case f.is(2, varint):
			m.term = f.value
		default:
			return f.is(3, text) // the members' ids, from 3.5 on
		}
		return true
	})
}

// owner is the member whose log it is.
type owner struct{ node, cluster uint64 }

// ends says how a log ends.
type ends struct {
	cut    *Damage // the frame that is left out
	filled bool    // no zeros follow the last record
	short  bool    // there is more, behind damage
}

// log is all that the files of a log hold, checked.
type log struct {
	files    []*file
	places   []place        // in the order in which they were written
	versions map[int]string // of the cluster, by the number of the entry that sets it
	marks    []mark

	owner           *owner // nil: not known
	term, committed uint64 // the last state
	sum             uint32
	begun           bool // a record was read
	ends
}

// scan reads the files, which are consecutive. With takeSound it ends at the first
// damage, otherwise that is the error.
func scan(files []*file, takeSound bool) (l *log, damage *Damage, err error) {
	l = &log{files: files, versions: map[int]string{}}
	for i, f := range files {
		if err = l.scanFile(f, i == len(files)-1); err != nil {
			break
		}
	}
	if err == nil && l.owner == nil {
		last := files[len(files)-1]
		err = last.damaged(0, "the log doesn't say whose it is")
	}
	if d, ok := err.(*Damage); ok && takeSound && l.owner != nil {
		l.short = true
		return l, d, nil
	}
	return l, nil, err
}

// scanFile reads the frames of one file.
func (l *log) scanFile(f *file, last bool) error {
	in := bufio.NewReaderSize(io.NewSectionReader(f.at, 0, f.size), 1<<20)
	var buffer []byte
	for offset := int64(0); offset < f.size; {
		var head [frameHead]byte
		if f.size-offset < frameHead {
			return l.unsound(f, offset, f.size+1, last, "a frame is cut")
		}
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return fmt.Errorf("read %s at byte %d: %w", f.name, offset, err)
		}
		length, padding, ok := frameSize(binary.LittleEndian.Uint64(head[:]))
		if ok && length == 0 {
			return f.restIsZero(in, offset)
		}
		end := offset + frameHead + length + padding
		switch {
		case !ok, length > recordLimit:
			return f.damaged(offset, "a frame has a length that no etcd writes")
		case end > f.size:
			return l.unsound(f, offset, end, last, "a frame is cut")
		}
		if int64(cap(buffer)) < length+padding {
			buffer = make([]byte, length+padding)
		}
		buffer = buffer[:length+padding]
		if _, err := io.ReadFull(in, buffer); err != nil {
			return fmt.Errorf("read %s at byte %d: %w", f.name, offset, err)
		}
		r, err := parseRecord(buffer[:length])
		if err != nil || !zeros(buffer[length:]) || r.kind != sumRecord && !r.follows(l.sum) {
			return l.unsound(f, offset, end, last, "a record's checksum is wrong")
		}
		if err := l.take(&r, f, offset, offset+frameHead+length); err != nil {
			return err
		}
		offset = end
	}
	l.filled = last
	return nil
}

// restIsZero is the check of what lies behind a file's last frame.
func (f *file) restIsZero(in *bufio.Reader, offset int64) error {
	for at := offset + frameHead; ; {
		b, err := in.Peek(1)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			b, err = in.Peek(in.Buffered())
		}
		if err != nil {
			return fmt.Errorf("read %s at byte %d: %w", f.name, at, err)
		}
		if !zeros(b) {
			return f.damaged(offset, "there is more behind the end of the log")
		}
		at += int64(len(b))
		_, _ = in.Discard(len(b)) // it is buffered
	}
}

// unsound decides about a frame that can't be read: one that was being written when
// the member stopped, or that the file was cut in, ends the log. end is where the frame
// should end.
func (l *log) unsound(f *file, offset, end int64, last bool, what string) error {
	b, err := f.read(offset, f.size-offset)
	if err != nil {
		return err
	}
	written := int64(len(b))
	for written > 0 && b[written-1] == 0 {
		written--
	}
	unfinished := end > f.size || offset+written <= end && torn(b[:end-offset], offset)
	if !last || !unfinished || l.wholeBehind(b) || soundBehind(b[:min(int64(len(b)), written+paddingMask)]) {
		return f.damaged(offset, what)
	}
	l.cut = &Damage{File: f.name, Offset: offset, What: what}
	return nil
}

// wholeBehind reports whether the next record follows the head of the frame b, by the
// record's own lengths: then only the head is wrong.
func (l *log) wholeBehind(b []byte) bool {
	if len(b) <= frameHead {
		return false
	}
	r, _, ok := recordPrefix(b[frameHead:])
	return ok && r.kind != sumRecord && r.follows(l.sum)
}

// take takes in one record; end is where it ends in f.
func (l *log) take(r *record, f *file, offset, end int64) error {
	before := l.sum
	begins := offset == 0
	if begins != (r.kind == sumRecord) && (begins || !l.begun) {
		return f.damaged(offset, "the file doesn't begin as a log does")
	}
	l.sum = crc32.Update(l.sum, castagnoli, r.data)
	var err error
	switch r.kind {
	case sumRecord:
		if l.begun && r.sum != before || !l.begun && r.sum != 0 && f == l.files[0] && firstOfAll(f.name) {
			return f.damaged(offset, "the file doesn't follow the one before it")
		}
		l.sum, l.begun = r.sum, true
	case metadataRecord:
		var o owner
		if err = numbers(r.data, &o.node, &o.cluster); err == nil && l.owner != nil && o != *l.owner {
			return f.damaged(offset, "it is of another member")
		}
		l.owner = &o
	case entryRecord:
		err = l.takeEntry(r.data, f, end)
	case stateRecord:
		var term, vote, committed uint64
		if err = numbers(r.data, &term, &vote, &committed); err == nil && (term < l.term || committed < l.committed) {
			return f.damaged(offset, "the term or the commit falls")
		}
		l.term, l.committed = term, committed
	case snapshotRecord:
		m := mark{position: len(l.places)}
		err = m.parse(r.data)
		l.marks = append(l.marks, m)
	}
	if err != nil {
		return f.damaged(offset, "a record isn't in etcd's form")
	}
	return nil
}

func (l *log) takeEntry(b []byte, f *file, end int64) error {
	e, err := parseEntry(b)
	if err != nil {
		return err
	}
	if e.kind == normalEntry && len(e.data) > 0 && len(e.data) < 512 { // no version is longer
		if q, ok, err := parseRequest(e.data); err == nil && ok {
			if version, ok := q.setsVersion(); ok {
				l.versions[len(l.places)] = version
			}
		}
	}
	size := int64(len(b))
	l.places = append(l.places, place{index: e.index, term: e.term, file: f, offset: end - size, size: size})
	return nil
}
