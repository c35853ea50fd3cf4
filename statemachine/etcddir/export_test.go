package etcddir

import (
	"encoding/binary"
	"hash/crc32"
)

// What etcd writes, for tests.

func (r *record) next(sum uint32) uint32 { return crc32.Update(sum, castagnoli, r.data) }

func appendHead(dst []byte, size int) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(size))
}

func appendVarintField(dst []byte, number, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, number<<3|varint), value)
}

func appendTextField(dst []byte, number uint64, data []byte) []byte {
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, number<<3|text), uint64(len(data)))
	return append(dst, data...)
}

// snapshotFile is the file of a snapshot at index 7 of term 2.
func snapshotFile(store []byte) []byte {
	data := appendTextField(nil, 1, store)
	data = appendTextField(data, 2, appendVarintField(appendVarintField(nil, 2, 7), 3, 2))
	return appendTextField(appendVarintField(nil, 1, uint64(crc32.Checksum(data, castagnoli))), 2, data)
}
