package etcddir

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
)

// A snapshot's file is a message: 1 sum (CRC-32C of the data), 2 data. The data is a
// message too: 1 the store as JSON, 2 metadata (1 members' ids, 2 index, 3 term). The store
// may be larger than memory has room for, so that it is read as a stream.

// snapshot is a file of a snapshot whose sum is right.
type snapshot struct {
	*file
	at         mark
	json, size int64 // where the store is
}

// passedOver is a snapshot that is damaged.
type passedOver struct {
	at     mark
	damage *Damage
}

// openSnapshot opens the newest snapshot that the log knows. There may be none. With
// takeSound, one that is damaged is passed over.
func openSnapshot(dir fs.FS, under string, l *log, names []numberedName, takeSound bool) (s *snapshot, passed []passedOver, err error) {
	for i := len(names) - 1; i >= 0; i-- {
		m, ok := l.mark(names[i])
		if !ok {
			continue
		}
		s, err := readSnapshot(dir, path.Join(under, names[i].name), m)
		d, damaged := err.(*Damage)
		if !damaged || !takeSound {
			return s, passed, err
		}
		passed = append(passed, passedOver{m, d})
	}
	return nil, passed, nil
}

// mark returns the record of the log about the snapshot of that name. Where the log is
// damaged the record may be lost: a snapshot is never ahead of what was committed.
func (l *log) mark(n numberedName) (m mark, ok bool) {
	for _, m := range l.marks {
		if m.term == n.first && m.index == n.second {
			return m, true
		}
	}
	return mark{term: n.first, index: n.second, position: len(l.places)}, l.short
}

func readSnapshot(dir fs.FS, name string, m mark) (*snapshot, error) {
	f, err := open(dir, name, name)
	if err != nil {
		return nil, err
	}
	s := &snapshot{file: f, at: m}
	if err := s.check(); err != nil {
		_ = f.Close() // opened to read
		return nil, err
	}
	return s, nil
}

// check finds the parts of the file, and compares its sum.
func (s *snapshot) check() error {
	in := header{r: io.NewSectionReader(s.file.at, 0, s.file.size)}
	sum := in.varint(1)
	size := in.length(2)
	begin := in.n
	if in.bad || begin+size != s.file.size {
		return s.damaged(in.n, "it doesn't begin as a snapshot does")
	}
	h := crc32.New(castagnoli)
	if _, err := io.Copy(h, io.NewSectionReader(s.file.at, begin, size)); err != nil {
		return err
	}
	if uint64(h.Sum32()) != sum {
		return s.damaged(begin, "its checksum is wrong")
	}
	s.size = in.length(1)
	s.json = in.n
	if in.bad || s.json+s.size > s.file.size {
		return s.damaged(in.n, "it isn't in etcd's form")
	}
	rest, err := s.read(s.json+s.size, s.file.size-s.json-s.size)
	if err != nil {
		return err
	}
	var index, term uint64
	err = eachField(rest, func(f *field) bool {
		return f.is(2, text) && eachField(f.data, func(f *field) bool {
			switch {
			case f.is(2, varint):
				index = f.value
			case f.is(3, varint):
				term = f.value
			}
			return true
		}) == nil
	})
	if err != nil || index != s.at.index || term != s.at.term {
		return s.damaged(s.json+s.size, "it isn't the snapshot that its name says")
	}
	return nil
}

// store returns the part of the file that holds the store.
func (s *snapshot) store() io.Reader { return io.NewSectionReader(s.file.at, s.json, s.size) }

// header reads the tags and lengths before the store.
type header struct {
	r   io.Reader
	n   int64
	bad bool
}

func (h *header) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(h.r, b[:])
	h.n++
	return b[0], err
}

func (h *header) varint(number uint64) uint64 { return h.field(number<<3 | varint) }

func (h *header) length(number uint64) int64 {
	n := h.field(number<<3 | text)
	h.bad = h.bad || n > 1<<48
	return int64(n & (1<<48 - 1))
}

func (h *header) field(tag uint64) uint64 {
	got, err := binary.ReadUvarint(h)
	v, err2 := binary.ReadUvarint(h)
	h.bad = h.bad || err != nil || err2 != nil || got != tag
	return v
}
