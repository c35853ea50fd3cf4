package statemachine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"copse/statemachine/tree"
	"copse/statemachine/txn"

	"github.com/cockroachdb/pebble/v2"
)

// A request that may be repeated (tree.Once) is carried out once: its answer is kept, and whoever
// sends it again within onceTime gets that. Answers are in the store, and so in snapshots, but not in
// backups. They are kept for onceTime, by the shard's clock, whatever else happens; so their number
// and size are bounded by refusing new ones. A record:
//
//	time    8 bytes  of the shard, sortable
//	sum     8 bytes  of the request
//	answer  the reply, as in reply.go
//
// Records are found by id, and those to forget by time.
const (
	onceTime       = 10 * time.Minute
	onceLimit      = 1 << 20   // answers
	onceBytesLimit = 256 << 20 // of their records; the last may pass it
	// onceAnswerLimit is how many bytes of keys and values an answer may have.
	onceAnswerLimit = 4 << 20
	// onceForgotten is how many answers one request has forgotten, so that there are fewer with each.
	onceForgotten = 8

	onceHead = 16
)

var errBadAnswer = fmt.Errorf("%w: kept answer", ErrDamaged)

// once is what meta has of the answers.
type once struct {
	newest         bool // the store has Format; before that there are no answers
	answers, bytes uint64
	from           int64 // not stored: none is of before
}

func appendAnswerKey(dst []byte, id string) []byte { return append(append(dst, answerPrefix), id...) }

func appendAnswerTimeKey(dst []byte, at int64, id string) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, answerTimePrefix), sortable(at)), id...)
}

// answered returns the answer to an earlier request with the id of c, if it is kept. If c can't be
// carried out because of its id, it returns why.
func (v *view) answered(c *tree.Command) (answer []byte, refused *tree.Error) {
	if !v.meta.clock.Known() {
		return nil, v.cantRepeat(tree.CodeRaftInternal, "the shard's time isn't known yet")
	}
	now, id := v.meta.clock.Time, c.Once.ID
	rec, closer, err := v.batch.Get(appendAnswerKey(nil, id))
	if err == nil {
		rec = bytes.Clone(rec)
		v.must(closer.Close())
		if len(rec) <= onceHead {
			v.must(errBadAnswer)
		}
		at := unsortable(binary.BigEndian.Uint64(rec))
		switch {
		case now-at >= int64(onceTime):
			v.forget(at, id, len(rec))
		case binary.BigEndian.Uint64(rec[8:]) != c.Once.Sum:
			return nil, &tree.Error{Code: tree.CodeInvalidField, Cause: "the requestId was that of another request", Index: v.meta.last}
		default:
			return rec[onceHead:], nil
		}
	} else if !errors.Is(err, pebble.ErrNotFound) {
		v.must(err)
	}
	v.forgetBefore(now - int64(onceTime) + 1)
	if v.meta.once.answers >= onceLimit || v.meta.once.bytes >= onceBytesLimit {
		return nil, v.cantRepeat(tree.CodeRaftInternal, "as many answers are kept as may be")
	}
	return nil, nil
}

// appendAnswered appends what a request with the id of c is answered without being carried out, if it is. Then the
// value that was staged for it is forgotten.
func (v *view) appendAnswered(dst []byte, c *tree.Command, number tree.Index) []byte {
	answer, refused := v.answered(c)
	if refused != nil || answer != nil {
		v.stagedNumber = number
		v.endStaged(number)
	}
	if refused != nil {
		return appendErrorReply(dst, refused)
	}
	return append(dst, answer...)
}

// cantRepeat refuses a request that could be carried out without its id.
func (v *view) cantRepeat(code tree.Code, why string) *tree.Error {
	return &tree.Error{Code: code, Cause: tree.OnceRefused + why, Index: v.meta.last}
}

// keep keeps the answer to c. What could be answered otherwise another time isn't: a request that
// was refused for its id, or for what has nothing to do with the tree.
func (v *view) keep(c *tree.Command, failed *tree.Error, answer []byte) {
	if failed != nil && failed.Code == tree.CodeRaftInternal {
		return
	}
	at := v.meta.clock.Time
	rec := binary.BigEndian.AppendUint64(make([]byte, 0, onceHead+len(answer)), sortable(at))
	rec = append(binary.BigEndian.AppendUint64(rec, c.Once.Sum), answer...)
	v.must(v.batch.Set(appendAnswerKey(nil, c.Once.ID), rec, nil))
	v.must(v.batch.Set(appendAnswerTimeKey(nil, at, c.Once.ID), binary.BigEndian.AppendUint64(nil, uint64(len(rec))), nil))
	v.meta.once.answers++
	v.meta.once.bytes += uint64(len(rec))
	v.meta.once.from = min(v.meta.once.from, at)
}

func (v *view) forget(at int64, id string, size int) {
	v.must(v.batch.Delete(appendAnswerKey(nil, id), nil))
	v.must(v.batch.Delete(appendAnswerTimeKey(nil, at, id), nil))
	v.meta.once.answers--
	v.meta.once.bytes -= min(uint64(size), v.meta.once.bytes)
}

// forgetBefore forgets the oldest answers of before the time.
func (v *view) forgetBefore(end int64) {
	it := v.iter(appendAnswerTimeKey(nil, v.meta.once.from, ""), appendAnswerTimeKey(nil, end, ""))
	defer v.close(it)
	ok := it.First()
	for n := 0; ok && n < onceForgotten; n++ {
		key, size := it.Key(), v.value(it)
		if len(key) <= 9 || len(size) != 8 {
			v.must(errBadAnswer)
		}
		at := unsortable(binary.BigEndian.Uint64(key[1:]))
		v.meta.once.from = at // it would step over the tombstones of those before
		v.forget(at, string(key[9:]), int(min(binary.BigEndian.Uint64(size), math.MaxInt)))
		ok = it.Next()
	}
	v.must(it.Error())
}

// answerRefusal rehearses a single command that may be repeated, and refuses it if its answer would be
// too large to be kept.
func (v *view) answerRefusal(c *tree.Command, last tree.Index) *tree.Error {
	if c.Once.ID == "" {
		return nil
	}
	_, size, failed := txn.Rehearse(v, &txn.Txn{Ops: []tree.Command{*c}}, last)
	return v.sizeRefusal(c, size, failed)
}

// sizeRefusal refuses a request that may be repeated if its answer, which has so many bytes of keys and
// values or is the error, is too large to be kept.
func (v *view) sizeRefusal(c *tree.Command, size int, failed *tree.Error) *tree.Error {
	if failed != nil {
		size = len(failed.Cause)
	}
	if c.Once.ID == "" || size <= onceAnswerLimit {
		return nil
	}
	return v.cantRepeat(tree.CodeInvalidField, fmt.Sprintf("the answer has more than %d bytes of keys and values", onceAnswerLimit))
}
