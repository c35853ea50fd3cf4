package statemachine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// A snapshot is the content of the store as one stream, which brings a lagging or new
// replica up to date:
//
//	magic    8 bytes  "copsesm1"
//	records  uvarint key length (never 0), key, uvarint value length, value;
//	         in key order, the meta record among them; a value is one record, whatever its rows
//	end      1 byte 0
//	count    8 bytes  number of records
//	crc      4 bytes  CRC-32C of all bytes before it
//
// Numbers of fixed size are big-endian. A stream that is truncated, or has the wrong count
// or checksum, is rejected as a whole.
const snapshotMagic = "copsesm1"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errSnapshot = fmt.Errorf("%w: snapshot", ErrDamaged)

// PrepareSnapshot implements IOnDiskStateMachine: it pins the current state. If
// SaveSnapshot is never called for it, Close releases it.
func (m *Machine) PrepareSnapshot() (any, error) {
	p, err := m.pin()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pins.prepared == nil {
		return nil, firstError(p.unpin(), ErrClosed)
	}
	m.pins.prepared[p] = struct{}{}
	return p, nil
}

// SaveSnapshot implements IOnDiskStateMachine: it streams the pinned state to w. Update may
// run at the same time.
func (m *Machine) SaveSnapshot(state any, w io.Writer, stop <-chan struct{}) error {
	p := state.(*pinned)
	m.mu.Lock()
	_, mine := m.pins.prepared[p]
	delete(m.pins.prepared, p)
	m.mu.Unlock()
	if !mine {
		return ErrClosed
	}
	err := firstError(writeSnapshot(p.snap, w, stop), p.unpin())
	m.end.ifDamaged(err)
	return err
}

func writeSnapshot(snap *pebble.Snapshot, w io.Writer, stop <-chan struct{}) (err error) {
	defer recoverFault(&err)
	sum := crc32.New(castagnoli)
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 256<<10)
	it, err := snap.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, it.Close()) }()
	_, _ = out.WriteString(snapshotMagic) // Flush returns the first error
	var count uint64
	var head, key []byte
	var rows [][]byte
	for ok := it.First(); ok; {
		select {
		case <-stop:
			return sm.ErrSnapshotStopped
		default:
		}
		key = append(key[:0], it.Key()...)
		length := 0
		if rows, length, ok, err = recordRows(it, key, rows); err != nil {
			return err
		}
		head = binary.AppendUvarint(head[:0], uint64(len(key)))
		head = append(head, key...)
		head = binary.AppendUvarint(head, uint64(length))
		if _, err := out.Write(head); err != nil {
			return err
		}
		for _, row := range rows {
			if _, err := out.Write(row); err != nil {
				return err
			}
		}
		count++
	}
	if err := it.Error(); err != nil {
		return err
	}
	_, _ = out.Write(binary.BigEndian.AppendUint64([]byte{0}, count))
	if err := out.Flush(); err != nil {
		return err
	}
	_, err = w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

// recordRows reads the record at key, to which it points, in its rows, and steps behind it. The rows are in the
// buffers of those before. A row that isn't full is the last: what an entry that was never applied may have left
// behind it, under an index that was used again, isn't the value's.
func recordRows(it *pebble.Iterator, key []byte, before [][]byte) (rows [][]byte, length int, more bool, err error) {
	rows = before[:0]
	for more = true; more && (len(rows) == 0 || len(rows[len(rows)-1]) == rowBytes && isRow(it.Key(), key)); more = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return rows, 0, false, err
		}
		if len(rows) < cap(rows) {
			rows = rows[:len(rows)+1]
		} else {
			rows = append(rows, nil)
		}
		last := &rows[len(rows)-1]
		*last = append((*last)[:0], value...)
		length += len(value)
	}
	return rows, length, more, nil
}

// RecoverFromSnapshot implements IOnDiskStateMachine: it fills a new store from the stream,
// and replaces the old store with it if the stream was complete.
func (m *Machine) RecoverFromSnapshot(r io.Reader, stop <-chan struct{}) (err error) {
	defer func() { m.end.ifDamaged(err) }()
	home, old := m.home, filepath.Join(m.home.dir, m.home.now().name)
	next := current{name: nextStoreName(filepath.Base(old))}
	path := filepath.Join(home.dir, next.name)
	if err := home.fs.RemoveAll(path); err != nil {
		return err
	}
	h, err := m.openStore(next)
	if err != nil {
		return err
	}
	var st state
	next.rows, err = readSnapshot(h.db, r, stop)
	if err == nil {
		st, err = m.load(h.db) // so that open won't fail after the switch
	}
	if err == nil {
		err = h.db.Flush()
	}
	h.release()
	if err = firstError(err, h.err); err != nil {
		// The error stays unwrapped: dragonboat compares it with its own.
		return firstError(err, home.fs.RemoveAll(path))
	}
	next.raft, next.tree = st.meta.raftIndex, st.meta.last
	next.blobs, _ = h.files.list()
	if err := home.change(func(c *current) { *c = next }); err != nil {
		return err
	}
	// A listing may still be reading the old store. Its last user removes it.
	m.store.after = func() error { return home.fs.RemoveAll(old) }
	m.broken = nil
	m.pins.gate.Lock()
	defer m.pins.gate.Unlock()
	err = m.open()
	m.jump()
	return err
}

// recoverBatch is the approximate size of the batches in which a snapshot is written to the
// store.
const recoverBatch = 1 << 20

// maxRecord is the largest length accepted for a key or value.
const maxRecord = 1 << 30

// checksumReader computes the CRC of the bytes that are read through it.
type checksumReader struct {
	*bufio.Reader
	crc uint32
}

func (s *checksumReader) ReadByte() (byte, error) {
	b, err := s.Reader.ReadByte()
	if err == nil {
		s.crc = crc32.Update(s.crc, castagnoli, []byte{b})
	}
	return b, err
}

func (s *checksumReader) readFull(p []byte) error {
	_, err := io.ReadFull(s.Reader, p)
	s.crc = crc32.Update(s.crc, castagnoli, p)
	return err
}

// length reads that of what follows.
func (s *checksumReader) length() (int, error) {
	n, err := binary.ReadUvarint(s)
	if err == nil && n > maxRecord {
		err = fmt.Errorf("%w: a record of %d bytes", errSnapshot, n)
	}
	return int(n), err
}

// bytes reads so many bytes into buf, which it may reallocate.
func (s *checksumReader) bytes(buf []byte, length int) ([]byte, error) {
	buf = buf[:0]
	for left := length; left > 0; { // in steps, so that a damaged length reaches the end of the stream before it costs memory
		step := min(left, recoverBatch)
		buf = slices.Grow(buf, step)[:len(buf)+step]
		if err := s.readFull(buf[len(buf)-step:]); err != nil {
			return buf, err
		}
		left -= step
	}
	return buf, nil
}

// recordWriter writes the records of a snapshot.
type recordWriter struct {
	batch   *pebble.Batch
	row     []byte // scratch
	divided bool   // a value has several rows
}

// record reads the record of the key and writes it, a value in rows.
func (w *recordWriter) record(key []byte, in *checksumReader) error {
	left, err := in.length()
	for row := 0; err == nil && (row == 0 || left > 0); row++ {
		size := left
		if key[0] == valuePrefix {
			size = min(left, rowBytes)
		}
		if w.row, err = in.bytes(w.row, size); err != nil {
			break
		}
		w.divided = w.divided || row > 0
		if err := w.batch.Set(appendRow(key, row), w.row, nil); err != nil {
			return err
		}
		if w.batch.Len() > recoverBatch {
			if err := w.batch.Commit(pebble.NoSync); err != nil {
				return err
			}
			w.batch.Reset()
		}
		left -= size
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	return nil
}

// readSnapshot fills db from r, and reports whether a value has several rows there.
func readSnapshot(db *pebble.DB, r io.Reader, stop <-chan struct{}) (divided bool, err error) {
	defer func() {
		if r := recover(); r != nil { // dragonboat's reader, over a damaged file
			err = fmt.Errorf("%w: %v", errSnapshot, r)
		}
	}()
	in := &checksumReader{Reader: bufio.NewReaderSize(r, 256<<10)}
	magic := make([]byte, len(snapshotMagic))
	if err := in.readFull(magic); err != nil || string(magic) != snapshotMagic {
		return false, errors.Join(fmt.Errorf("%w: no snapshot header", errSnapshot), err)
	}
	var count uint64
	var key []byte
	to := recordWriter{batch: db.NewBatch()}
	defer func() { _ = to.batch.Close() }()
	for ; ; count++ {
		select {
		case <-stop:
			return false, sm.ErrSnapshotStopped
		default:
		}
		n, err := in.length()
		if err == nil {
			key, err = in.bytes(key, n)
		}
		if err != nil {
			return false, fmt.Errorf("%w: %w", errSnapshot, err)
		}
		if n == 0 {
			break
		}
		if err := to.record(key, in); err != nil {
			return false, err
		}
	}
	if err := to.batch.Commit(pebble.NoSync); err != nil {
		return false, err
	}
	var tail [12]byte
	if err := in.readFull(tail[:8]); err != nil || binary.BigEndian.Uint64(tail[:]) != count {
		return false, errors.Join(fmt.Errorf("%w: %d records, which is not the number at its end", errSnapshot, count), err)
	}
	crc := in.crc
	if err := in.readFull(tail[8:]); err != nil || binary.BigEndian.Uint32(tail[8:]) != crc {
		return false, errors.Join(fmt.Errorf("%w: wrong checksum", errSnapshot), err)
	}
	return to.divided, nil
}
