package raft

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"
	"sync"

	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/lni/vfs"
)

// dragonboat's snapshot files, of its version 2. Numbers are little-endian, checksums
// big-endian CRC-32 (IEEE).
//
//	header  1024 bytes: length (8), a SnapshotHeader, its checksum or 0 (4), zeros
//	blocks  each 2 MiB, the last one less, and its checksum (4)
//	tail    16 bytes: the length of all blocks (8), a magic number
const (
	snapshotSuffix = ".gbsnap"
	snapshotHeader = 1024
	snapshotBlock  = 2<<20 + crc32.Size
	snapshotTail   = 16
)

// checkedSnapshots remembers which snapshot files were found sound, since each is opened
// several times.
type checkedSnapshots struct {
	mu    sync.Mutex
	sound map[string]fs.FileInfo
}

// checkedLimit bounds how many files are remembered: a shard has one or two.
const checkedLimit = 64

// check reads all of the file at path, without moving its offset. Its error is ErrDamaged if
// the file isn't as it was written.
func (c *checkedSnapshots) check(path string, file vfs.File) error {
	now, err := file.Stat()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if was := c.sound[path]; was != nil && was.Size() == now.Size() && was.ModTime().Equal(now.ModTime()) {
		return nil
	}
	what, err := readSnapshotFile(io.NewSectionReader(file, 0, now.Size()))
	if err != nil {
		return err
	}
	if what != "" {
		return Damaged("the snapshot %s is damaged: %s. Replace this member by a new one", path, what)
	}
	if c.sound == nil || len(c.sound) >= checkedLimit {
		c.sound = map[string]fs.FileInfo{}
	}
	c.sound[path] = now
	return nil
}

// readSnapshotFile returns what is wrong with a snapshot file, or the error of reading it.
func readSnapshotFile(file *io.SectionReader) (what string, err error) {
	blocks := file.Size() - snapshotHeader - snapshotTail
	if blocks < 0 {
		return "it is too short", nil
	}
	header := make([]byte, snapshotHeader)
	if _, err := io.ReadFull(file, header); err != nil {
		return "", err
	}
	n := binary.LittleEndian.Uint64(header)
	if n > snapshotHeader-8-crc32.Size {
		return "the length of its header", nil
	}
	var h raftpb.SnapshotHeader
	record, sum := header[8:8+n], header[8+n:8+n+crc32.Size]
	if !bytes.Equal(sum, make([]byte, crc32.Size)) && !bytes.Equal(sum, checksum(record)) || h.Unmarshal(record) != nil || h.ChecksumType != raftpb.CRC32IEEE {
		return "its header", nil
	}
	buf := make([]byte, min(blocks, snapshotBlock))
	for left := blocks; left > 0; left -= int64(len(buf)) {
		buf = buf[:min(left, snapshotBlock)]
		if _, err := io.ReadFull(file, buf); err != nil {
			return "", err
		}
		payload := len(buf) - crc32.Size
		if payload <= 0 || !bytes.Equal(buf[payload:], checksum(buf[:payload])) {
			return "one of its blocks", nil
		}
	}
	tail := make([]byte, snapshotTail)
	if _, err := io.ReadFull(file, tail); err != nil {
		return "", err
	}
	if binary.LittleEndian.Uint64(tail) != uint64(blocks) {
		return "its end", nil
	}
	return "", nil
}

func checksum(b []byte) []byte { return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
