package portable

import (
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// ValueLimit is the largest size of a value. The largest request that a copse can be
// told to take is smaller.
const ValueLimit = 40 << 20

// lineLimit is the largest size of a line: an event has two nodes, and a long value grows
// by less than a half in the text.
const lineLimit = 3*ValueLimit + 1<<20

// Writer writes a file. After an error, which it returns again and again, the file can't
// be completed.
type Writer struct {
	zip   *gzip.Writer
	sum   hash.Hash
	rules rules
	line  []byte
	err   error
}

// NewWriter begins a file with that header. The Writer buffers; whatever w buffers is the
// caller's to flush after Close.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	o := &Writer{zip: zip, sum: sha256.New(), rules: rules{head: h}}
	if o.err = h.check(); o.err == nil {
		o.write(h.append(nil))
	}
	return o, o.err
}

// Node writes the next node.
func (w *Writer) Node(n *tree.Node) error { return w.Item(Item{Node: n}) }

// Role writes the next role. All nodes come before the roles, and all roles before the
// users.
func (w *Writer) Role(r *auth.Role) error { return w.Item(Item{Role: r}) }

// User writes the next user.
func (w *Writer) User(u *auth.User) error { return w.Item(Item{User: u}) }

// Event writes the next event of the window. Events come last.
func (w *Writer) Event(e *tree.Event) error { return w.Item(Item{Event: e}) }

// Item writes the next line.
func (w *Writer) Item(it Item) error {
	if w.err == nil {
		w.err = w.rules.check(&it)
	}
	if w.err == nil {
		w.write(appendItem(w.line[:0], &it))
	}
	return w.err
}

// write writes a line, and keeps its memory for the next.
func (w *Writer) write(line []byte) {
	w.line = append(line, '\n')
	_, _ = w.sum.Write(w.line)
	_, w.err = w.zip.Write(w.line)
	if cap(w.line) > keepLimit {
		w.line = nil
	}
}

// keepLimit is the largest memory that is kept from line to line.
const keepLimit = 1 << 20

// Close writes the last line, without which the file isn't whole.
func (w *Writer) Close() error {
	if w.err == nil {
		w.err = w.rules.end()
	}
	if w.err != nil {
		return w.err
	}
	w.write(footer(w.line[:0], w.rules.nodes, [sha256.Size]byte(w.sum.Sum(nil))))
	if w.err == nil {
		w.err = w.zip.Close()
	}
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}

var errClosed = errors.New("the file has its end already")
