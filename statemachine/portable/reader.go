package portable

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Reader reads a file, and checks all of it: each line's form, their order, the numbers of
// the header, the checksum, and that nothing follows.
type Reader struct {
	file    *bufio.Reader // compressed
	text    *bufio.Reader
	sum     hash.Hash
	rules   rules
	number  uint64 // of the line
	line    []byte
	again   []byte // the line as the Writer would have written it
	scanner scanner
	item    Item
	err     error
}

// NewReader reads the header. Its errors wrap ErrNotWhole and their cause, and say in which
// line.
func NewReader(r io.Reader) (*Reader, error) {
	o := &Reader{file: bufio.NewReaderSize(r, 256<<10), sum: sha256.New()}
	zip, err := gzip.NewReader(o.file)
	if err != nil {
		return nil, o.fail(err)
	}
	zip.Multistream(false)
	o.text = bufio.NewReaderSize(zip, 256<<10)
	if err := o.next(); err != nil {
		return nil, o.fail(err)
	}
	if o.rules.head, err = readHeader(o.line); err == nil {
		err = o.compare(o.rules.head.append(o.again[:0]))
	}
	if err != nil {
		return nil, o.fail(err)
	}
	o.add()
	return o, nil
}

// Header returns the header.
func (r *Reader) Header() Header { return r.rules.head }

// Line returns the number of the line that was read last.
func (r *Reader) Line() uint64 { return r.number }

// Next returns the next line. It is valid until the next call. The error is io.EOF once the
// whole file has been read and was found whole; before that, nothing that was read is certain. Other errors
// are as NewReader's.
func (r *Reader) Next() (*Item, error) {
	if r.err != nil {
		return nil, r.err
	}
	err := r.next()
	if err == nil && bytes.HasPrefix(r.line, []byte(`{"end"`)) {
		if err = r.end(); err == nil {
			r.err = io.EOF
			return nil, io.EOF
		}
	} else if err == nil {
		err = r.read()
	}
	if err != nil {
		return nil, r.fail(err)
	}
	return &r.item, nil
}

func (r *Reader) read() error {
	r.scanner.reset(r.line)
	if r.scanner.item(&r.item); r.scanner.failed {
		return errForm
	}
	if err := r.compare(appendItem(r.again[:0], &r.item)); err != nil {
		return err
	}
	r.add()
	return r.rules.check(&r.item)
}

// next reads a line, without its end.
func (r *Reader) next() error {
	r.number++
	if cap(r.line) > keepLimit {
		r.line, r.again, r.scanner.scratch = nil, nil, nil
	}
	r.line = r.line[:0]
	for {
		part, err := r.text.ReadSlice('\n')
		r.line = append(r.line, part...)
		switch {
		case err == nil:
			r.line = r.line[:len(r.line)-1]
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		case len(r.line) > lineLimit:
			return fmt.Errorf("longer than %d bytes", lineLimit)
		}
	}
}

// compare checks that the line is what the Writer makes of it: so no field is there twice,
// in another order, unknown, or written in another way.
func (r *Reader) compare(again []byte) error {
	r.again = again
	if !bytes.Equal(again, r.line) {
		return errForm
	}
	return nil
}

// add adds the line to the checksum.
func (r *Reader) add() {
	_, _ = r.sum.Write(r.line)
	_, _ = r.sum.Write([]byte{'\n'})
}

func (r *Reader) end() error {
	if err := r.rules.end(); err != nil {
		return err
	}
	if !bytes.Equal(r.line, footer(r.again[:0], r.rules.nodes, [sha256.Size]byte(r.sum.Sum(nil)))) {
		return errors.New("the checksum or the number of nodes at the end is wrong")
	}
	if _, err := r.text.ReadByte(); err != io.EOF {
		return errors.Join(errors.New("something follows the end"), err)
	}
	if _, err := r.file.ReadByte(); err != io.EOF {
		return errors.Join(errors.New("something follows the compressed file"), err)
	}
	return nil
}

// fail notes and returns the error with the number of the line.
func (r *Reader) fail(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == io.ErrUnexpectedEOF {
		err = errors.New("it is cut off")
	}
	r.err = fmt.Errorf("%w: line %d: %w", ErrNotWhole, max(r.number, 1), err)
	return r.err
}
