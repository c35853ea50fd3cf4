package tree

import "encoding/binary"

// Decoder takes fields off the front of an encoding. The first field that is cut
// short or out of bounds makes it fail; whatever is read after that is zero, so
// that a reader checks Failed once, at its end.
type Decoder struct {
	data   []byte
	failed bool
}

// NewDecoder returns a decoder of data. The byte fields that it returns point into
// data.
func NewDecoder(data []byte) Decoder { return Decoder{data: data} }

// Fail makes the decoder fail.
func (d *Decoder) Fail() { d.data, d.failed = nil, true }

// Failed reports whether a field was cut short or out of bounds.
func (d *Decoder) Failed() bool { return d.failed }

// Left is how many bytes have not been read yet.
func (d *Decoder) Left() int { return len(d.data) }

// Rest returns all that has not been read yet, as one field.
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
func (d *Decoder) Fixed64() uint64 {
	if len(d.data) < 8 {
		d.Fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(d.data)
	d.data = d.data[8:]
	return v
}

// Bytes reads a uvarint length and as many bytes.
func (d *Decoder) Bytes() []byte {
	n := d.Uvarint()
	if n > uint64(len(d.data)) {
		d.Fail()
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}
