package tree

import "encoding/binary"

// Decoder reads fields off the front of encoded data. The first field that is
// truncated or out of bounds makes it fail, and everything read after that is zero,
// so a reader checks Failed once, at the end.
type Decoder struct {
	data   []byte
	failed bool
}

// NewDecoder returns a decoder of data. The byte fields that it returns point into
// data.
func NewDecoder(data []byte) Decoder { return Decoder{data: data} }

// Fail makes the decoder fail, for a field whose value is invalid.
func (d *Decoder) Fail() { d.data, d.failed = nil, true }

// Failed reports whether a field was truncated or out of bounds.
func (d *Decoder) Failed() bool { return d.failed }

// Left returns how many bytes have not been read yet.
func (d *Decoder) Left() int { return len(d.data) }

// Rest reads all remaining bytes as one field.
func (d *Decoder) Rest() []byte {
	rest := d.data
	d.data = nil
	return rest
}

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if len(d.data) == 0 {
		d.Fail()
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

// Uvarint reads encoding/binary's unsigned varint.
func (d *Decoder) Uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.Fail()
		return 0
	}
	d.data = d.data[n:]
	return v
}

// Varint reads encoding/binary's signed varint.
func (d *Decoder) Varint() int64 {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.Fail()
		return 0
	}
	d.data = d.data[n:]
	return v
}

// Fixed64 reads 8 little-endian bytes.
func (d *Decoder) Fixed64() uint64 { return d.fixed64(binary.LittleEndian) }

// BigEndian64 reads 8 big-endian bytes.
func (d *Decoder) BigEndian64() uint64 { return d.fixed64(binary.BigEndian) }

func (d *Decoder) fixed64(order binary.ByteOrder) uint64 {
	b := d.take(8)
	if d.failed {
		return 0
	}
	return order.Uint64(b)
}

// Bytes reads a uvarint length and that many bytes.
func (d *Decoder) Bytes() []byte { return d.take(d.Uvarint()) }

// take reads n bytes.
func (d *Decoder) take(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.Fail()
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}

// count reads the number of items that follow, of at least size bytes each, and
// fails if the remaining bytes can't hold that many.
func (d *Decoder) count(size int) int {
	n := d.Uvarint()
	if n > uint64(len(d.data)/size) {
		d.Fail()
		return 0
	}
	return int(n)
}
