package statemachine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// A value that is staged (tree.OpStage) gets a number of its own, and its rows are written as the parts come, so that
// nothing is left to be copied when a node gets it. Until then there is a record of it:
//
//	raft    8 bytes, big-endian: the entry that began it
//	length  uvarint, of the whole
//	there   uvarint: so many bytes of it are stored
//	text    uvarint: the length of the JSON string that shows these, but for
//	cut     the rest: the beginning of a rune at the end of them
//
// It is forgotten if its command is refused. A member that is gone leaves it behind, until many entries have passed and
// the next one begins. What is staged is bounded, in number and bytes, by refusing to begin another.
const (
	stagedLimit      = 1024
	stagedBytesLimit = 1 << 30
	stagedEntries    = 50_000 // more than what a request waits for
)

type staged struct {
	raft                uint64
	length, there, text int
	cut                 []byte
}

func appendStagedKey(dst []byte, number tree.Index) []byte {
	return binary.BigEndian.AppendUint64(append(dst, stagedPrefix), uint64(number))
}

func (s staged) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, s.raft)
	for _, n := range [...]int{s.length, s.there, s.text} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return append(dst, s.cut...)
}

func readStaged(rec []byte) (s staged, err error) {
	d := tree.NewDecoder(rec)
	s.raft = d.BigEndian64()
	for _, n := range [...]*int{&s.length, &s.there, &s.text} {
		*n = int(min(d.Uvarint(), 6*maxRecord))
	}
	if s.cut = bytes.Clone(d.Rest()); d.Failed() || s.length < s.there || len(s.cut) >= utf8.UTFMax {
		err = fmt.Errorf("%w: record of a staged value", ErrDamaged)
	}
	return s, err
}

// count counts the JSON of a part, as far as that doesn't depend on the next.
func (s *staged) count(part []byte) {
	if len(s.cut) > 0 {
		part = append(s.cut, part...)
	}
	end := len(part)
	for back := 1; back < utf8.UTFMax && back <= len(part) && s.there < s.length; back++ {
		if last := part[len(part)-back:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				end -= back
			}
			break
		}
	}
	s.text += (&tree.Node{Value: part[:end]}).TextLen()
	s.cut = part[end:]
}

// stage executes an OpStage. outcome is the value's number if c begins it.
func (v *view) stage(c *tree.Command) (outcome []byte, failed *tree.Error) {
	number, s := c.PrevIndex, staged{raft: v.meta.raftIndex, length: c.Limit}
	if number == 0 {
		if failed = v.mayStage(s.length); failed != nil {
			return nil, failed
		}
		number = v.numberValue()
		outcome = number.AppendStaged(nil)
	} else if s, failed = v.staged(number); failed != nil {
		return nil, failed
	}
	row, ahead := s.there/rowBytes, s.there%rowBytes
	if s.there += len(c.Value); ahead > 0 || s.there > s.length || s.there < s.length && len(c.Value) != rowBytes {
		return nil, v.notStaged("a part of it doesn't fit")
	}
	s.count(c.Value)
	v.must(v.home.change(func(c *current) { c.rows = true }))
	v.must(v.db.Set(appendRowKey(nil, number, row), c.Value, pebble.NoSync)) // at once, as setValue does
	v.must(v.batch.Set(appendStagedKey(nil, number), s.append(nil), nil))
	return outcome, nil
}

func (v *view) notStaged(why string) *tree.Error {
	return &tree.Error{Code: tree.CodeRaftInternal, Cause: "a large value can't be stored: " + why, Index: v.meta.last}
}

// mayStage forgets what nobody waits for any more, and refuses to stage a further value if too many are left.
func (v *view) mayStage(length int) *tree.Error {
	it := v.iter([]byte{stagedPrefix}, []byte{stagedPrefix + 1})
	defer v.close(it)
	values, sum := 1, length
	for ok := it.First(); ok; ok = it.Next() {
		s, err := readStaged(v.value(it))
		v.must(err)
		if old := v.meta.raftIndex - s.raft; old > stagedEntries { // or before a new generation, in which entries are counted anew
			v.forgetStaged(tree.Index(binary.BigEndian.Uint64(it.Key()[1:])), s)
			continue
		}
		values, sum = values+1, sum+s.length
	}
	v.must(it.Error())
	if values > stagedLimit || sum > stagedBytesLimit {
		return v.notStaged("too many are on their way")
	}
	return nil
}

// staged returns what there is of a value.
func (v *view) staged(number tree.Index) (staged, *tree.Error) {
	rec, closer, err := v.batch.Get(appendStagedKey(nil, number))
	if errors.Is(err, pebble.ErrNotFound) {
		return staged{}, v.notStaged("it has been forgotten")
	}
	v.must(err)
	s, err := readStaged(rec)
	v.must(errors.Join(err, closer.Close()))
	return s, nil
}

// useStaged prepares for carrying out c with a staged value, which is read if that is needed. The file that is put gets
// it as it is stored. endStaged has to follow.
func (v *view) useStaged(c *tree.Command, number tree.Index) *tree.Error {
	v.stagedNumber = number
	s, failed := v.staged(number)
	if failed == nil && s.there < s.length {
		failed = v.notStaged("a part of it is missing")
	}
	if failed != nil {
		return failed
	}
	v.must(v.setText(number, s.text))
	v.stagedLength, v.stagedJSON = s.length, s.text
	if !v.leavesUnread {
		var err error
		c.Value, err = readRows(v.db, nil, number, s.length)
		v.must(err)
	}
	return nil
}

// endStaged ends the staging of the value, if there is one: unless a file has got it, it is forgotten.
func (v *view) endStaged(number tree.Index) {
	s, failed := v.staged(number)
	switch {
	case failed != nil:
	case v.stagedNumber == 0:
		v.must(v.batch.Delete(appendStagedKey(nil, number), nil))
	default:
		v.forgetStaged(number, s)
	}
	v.stagedNumber = 0
}

func (v *view) forgetStaged(number tree.Index, s staged) {
	v.must(v.batch.Delete(appendStagedKey(nil, number), nil))
	v.deleteRows(number, max(2, rowsOf(s.there))) // more than one, as it may have its text
}
