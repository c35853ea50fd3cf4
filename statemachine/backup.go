package statemachine

import (
	"bytes"
	"strings"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/portable"

	"github.com/cockroachdb/pebble/v2"
)

// Backup is the whole tree at one index, hidden nodes, users and roles included, as a file of
// package portable. It implements tree.Rest, so that it goes out in parts. Until it is
// closed it pins the stores.
type Backup struct {
	merged mergedListing
	pinned []*pinned
	head   portable.Header
	users  []*auth.User
	roles  []*auth.Role

	text bytes.Buffer // what Next returns next, behind what it has returned
	sent int          // of text
	file *portable.Writer
	done bool
	held int64 // see Held
}

// BackupOptions say what goes into the header besides what the stores know.
type BackupOptions struct {
	ClusterID, Term uint64
	Time            time.Time
	CutOptions
}

// NewBackup pins the stores of the data shards at one index; first is the shard that has users and
// roles, and may be one of them.
func NewBackup(first *Machine, data []*Machine, o BackupOptions) (*Backup, error) {
	b := &Backup{head: portable.Header{ClusterID: o.ClusterID, Term: o.Term, Time: o.Time, Shards: len(data)}}
	var err error
	if b.pinned, b.head.Index, err = pinAll(data, &o.CutOptions); err == nil {
		err = b.begin(first)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// begin reads what is in the header, and opens the stores for reading.
func (b *Backup) begin(first *Machine) error {
	for _, p := range b.pinned {
		meta, err := loadMeta(p.snap)
		if err != nil {
			return err
		}
		b.head.Nodes += meta.counts.nodes
		it, err := p.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{nodePrefix}, UpperBound: []byte{nodePrefix + 1}})
		if err != nil {
			return err
		}
		b.merged.parts = append(b.merged.parts, &listing{h: p.h, it: it, valid: it.First(), clock: shownClock{Clock: meta.clock}})
	}
	p, err := first.pin()
	if err != nil {
		return err
	}
	b.head.AuthEnabled, err = loadFlag(p.snap)
	if err == nil {
		b.users, err = loadNamed(p.snap, userPrefix, auth.ReadUser)
	}
	if err == nil {
		b.roles, err = loadNamed(p.snap, rolePrefix, auth.ReadRole)
	}
	if err = firstError(err, p.unpin()); err != nil {
		return err
	}
	b.file, err = portable.NewWriter(&b.text, b.head)
	return err
}

// Header is the file's.
func (b *Backup) Header() portable.Header { return b.head }

// Size implements tree.Rest.
func (*Backup) Size() int { return -1 }

// backupHeld is what a Backup holds in memory while values are small: the compressor, and
// what is read ahead.
const backupHeld = 2 << 20

// Held is about how many bytes of memory it takes at the moment.
func (b *Backup) Held() int64 { return backupHeld + b.held }

// Next implements tree.Rest.
func (b *Backup) Next() (part []byte, more bool, err error) {
	defer recoverFault(&err)
	b.text.Next(b.sent)
	defer func() { b.sent = len(part) }()
	b.held = 0
	for b.text.Len() < listingPart {
		l := b.merged.current()
		if l == nil {
			err := b.end() // which writes, too
			return b.text.Bytes(), false, err
		}
		n, err := l.node()
		if err != nil {
			l.h.end.ifDamaged(err)
			return nil, false, err
		}
		if n.Key = strings.Clone(n.Key); len(n.Value) >= largeValueBytes {
			b.held = max(b.held, 4*int64(len(n.Value))) // the value, the line with its escapes, what is compressed
		}
		if err := b.file.Node(&n); err != nil {
			return nil, false, err
		}
		b.merged.advance(false)
	}
	return b.text.Bytes(), true, nil
}

// end writes what comes after the nodes.
func (b *Backup) end() error {
	for _, l := range b.merged.parts {
		if err := l.it.Error(); err != nil {
			return err
		}
	}
	for _, r := range b.roles {
		if err := b.file.Role(r); err != nil {
			return err
		}
	}
	for _, u := range b.users {
		if err := b.file.User(u); err != nil {
			return err
		}
	}
	return b.file.Close()
}

// Close implements tree.Rest.
func (b *Backup) Close() {
	if b.done {
		return
	}
	b.done = true
	for _, l := range b.merged.parts {
		_ = l.it.Close() // Next has reported any error
		if l.values != nil {
			_ = l.values.Close()
		}
	}
	for _, p := range b.pinned {
		_ = p.unpin()
	}
}
