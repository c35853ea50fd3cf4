package txn

import (
	"encoding/binary"
	"errors"

	"copse/statemachine/tree"
)

// A transaction in the Value of a command:
//
//	compares  uvarint  their number; each:
//	  flags   1 byte   1 absent, 2 has a value, 4 has an index
//	  key     uvarint length, bytes
//	  value   the same, if flagged
//	  index   uvarint, if flagged; above 0
//	ops       a batch of their commands, as by tree.AppendBatch for replica 0
//
// The times of the operations count from 1, and that stands for the command's Now. So equal
// requests are equal here, whenever they came.
const (
	flagAbsent = 1 << iota
	flagValue
	flagIndex

	began = 1
)

var errTxn = errors.New("a transaction is truncated or damaged")

// Command returns the command that carries out t, whose operations have the time now.
func (t Txn) Command(now int64) tree.Command {
	size := 64
	for i := range t.Compares {
		size += 64 + len(t.Compares[i].Key) + len(t.Compares[i].Value)
	}
	for i := range t.Ops {
		size += t.Ops[i].Size()
	}
	b := binary.AppendUvarint(make([]byte, 0, size), uint64(len(t.Compares)))
	for i := range t.Compares {
		b = t.Compares[i].append(b)
	}
	b = tree.AppendBatch(b, 0, len(t.Ops))
	for _, op := range t.Ops {
		if op.Expires != 0 {
			op.Expires = op.Expires - now + began
		}
		op.Now = began
		b = tree.AppendCommand(b, &op)
	}
	return tree.Command{Op: tree.OpTxn, Key: t.Ops[0].Key, Value: b, Now: now, Limit: t.indexes()}
}

func (c *Compare) append(dst []byte) []byte {
	flags := byte(0)
	if c.Absent {
		flags |= flagAbsent
	}
	if c.HasValue {
		flags |= flagValue
	}
	if c.Index != 0 {
		flags |= flagIndex
	}
	dst = binary.AppendUvarint(append(dst, flags), uint64(len(c.Key)))
	dst = append(dst, c.Key...)
	if c.HasValue {
		dst = append(binary.AppendUvarint(dst, uint64(len(c.Value))), c.Value...)
	}
	if c.Index != 0 {
		dst = binary.AppendUvarint(dst, uint64(c.Index))
	}
	return dst
}

// IsTxn reports whether c is a transaction that can be carried out.
func IsTxn(c *tree.Command) bool {
	_, err := Read(c)
	return err == nil
}

// Read returns the transaction in a command. Its values point into the command's. The error says
// that it is damaged.
func Read(c *tree.Command) (t Txn, err error) {
	d := tree.NewDecoder(c.Value)
	compares := d.Uvarint()
	if c.Op != tree.OpTxn || compares > Limit {
		return Txn{}, errTxn
	}
	for range compares {
		t.Compares = append(t.Compares, readCompare(&d))
	}
	if d.Failed() {
		return Txn{}, errTxn
	}
	if t.Ops, err = readOps(d.Rest()); err != nil {
		return Txn{}, errTxn
	}
	for i := range t.Ops {
		tree.Clock{Time: c.Now}.Receive(&t.Ops[i])
	}
	if !t.valid() || c.Limit != t.indexes() || c.Key != t.Ops[0].Key {
		return Txn{}, errTxn
	}
	return t, nil
}

func readCompare(d *tree.Decoder) (c Compare) {
	flags := d.Byte()
	c = Compare{Absent: flags&flagAbsent != 0, HasValue: flags&flagValue != 0, Key: string(d.Bytes())}
	if c.HasValue {
		c.Value = d.Bytes()
	}
	if flags&flagIndex != 0 {
		c.Index = tree.Index(d.Uvarint())
	}
	if flags > flagAbsent|flagValue|flagIndex || c.Absent && flags != flagAbsent || flags&flagIndex != 0 && c.Index == 0 {
		d.Fail()
	}
	return c
}

func readOps(batch []byte) (ops []tree.Command, err error) {
	r, err := tree.ReadBatch(batch)
	if err != nil || r.Epoch != 0 {
		return nil, errTxn
	}
	if more, err := r.NextSubmission(); err != nil || !more || r.Len() == 0 || r.Len() > Limit {
		return nil, errTxn
	}
	for {
		var op tree.Command
		more, err := r.Next(&op)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		if op.Now != began || op.Once != (tree.Once{}) {
			return nil, errTxn
		}
		ops = append(ops, op)
	}
	_, err = r.NextSubmission() // nothing may follow
	return ops, err
}

// valid reports whether the operations are such as may be in a transaction.
func (t *Txn) valid() bool {
	for i := range t.Ops {
		op := &t.Ops[i]
		switch op.Op {
		case tree.OpSet, tree.OpCreate, tree.OpUpdate, tree.OpCompareAndSwap, tree.OpDelete, tree.OpCompareAndDelete:
		case tree.OpCreateInOrder:
			if op.InRoot() {
				return false
			}
		case tree.OpCopy, tree.OpRename:
			if op.Key == op.PrevValue || tree.Within(op.Key, op.PrevValue) {
				return false
			}
		default:
			return false
		}
	}
	clean := true
	t.Keys(func(key string) bool {
		clean = tree.Clean(key) == key
		return clean
	})
	return clean
}
