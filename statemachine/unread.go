package statemachine

import (
	"encoding/binary"
	"errors"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// Applying an entry doesn't read values of several rows, unless the command needs their bytes: it would take longer
// than all else, and a DELETE brings as much as there is. The event that shows such a value has its number, and the
// length of the JSON for the bound of the window; whoever wants it reads the value by its number.

// large has what a view knows of large values for the command under way.
type large struct {
	stagedNumber             tree.Index // of the value that it gives to a file; 0: none, or the file has it
	stagedLength, stagedJSON int        // of that value, and of the JSON string which shows it
	leavesUnread             bool       // it needs no bytes of values that there are
}

func appendTextKey(dst []byte, written tree.Index) []byte {
	return binary.BigEndian.AppendUint64(append(dst, textPrefix), uint64(written))
}

// setText records the length of the JSON string of a value with several rows.
func (w *writer) setText(written tree.Index, length int) error {
	return w.batch.Set(appendTextKey(nil, written), binary.AppendUvarint(nil, uint64(length)), nil)
}

// unread returns a copy of rec, which is in stored form, if its value may stay unread.
func (v *view) unread(rec []byte) []byte {
	n, _, length, err := readNodeHead(rec)
	v.must(err)
	if !v.leavesUnread || n.Written == 0 || length <= rowBytes || v.text(n.Written) == 0 {
		return nil
	}
	return append([]byte(nil), rec...)
}

// text is the length of the JSON string of a value; 0: an earlier version wrote it, and it isn't known.
func (v *view) text(written tree.Index) int {
	rec, closer, err := v.batch.Get(appendTextKey(nil, written))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0
	}
	v.must(err)
	length, n := binary.Uvarint(rec)
	if n <= 0 || length > maxRecord*6 {
		err = errBadNode
	}
	v.must(errors.Join(err, closer.Close()))
	return int(length)
}

// node decodes what find has returned.
func (v *view) node(key string, rec []byte) (tree.Node, error) {
	n, value, length, err := readNodeHead(rec)
	if n.Key = key; err != nil || n.Written == 0 || len(value) > 0 {
		return readNode(key, rec)
	}
	n.Unread.Length, n.Unread.Text = length, v.text(n.Written)
	return n, nil
}

// event reads an event that was left.
func (m *Machine) event(e *tree.Event) (n tree.EncodedEvent, ok bool) {
	if e.Node.Key == "" {
		return m.eventAt(e.Index())
	}
	p, err := m.pin()
	if err != nil {
		return n, false
	}
	whole := *e
	err = firstError(readValue(p.snap, &whole.Node), readValue(p.snap, &whole.Prev), p.unpin())
	if errors.Is(err, errNoValue) {
		return n, false
	}
	if m.end.ifDamaged(err); err != nil {
		return n, false
	}
	if whole.IsLarge() {
		return whole.Late(nil), true
	}
	return whole.Encoded(tree.AppendEvent(nil, &whole)), true
}

// readValue reads the value of n, if it is unread. It may be gone.
func readValue(from pebble.Reader, n *tree.Node) (err error) {
	length := n.Unread.Length
	if length == 0 {
		return nil
	}
	n.Unread = tree.Node{}.Unread
	n.Value, err = readRows(from, nil, n.Written, length)
	return err
}
