package mirror

import (
	"encoding/binary"
	"errors"

	"copse/statemachine/tree"
)

// State is the replicated state of a mirror. It is immutable.
type State struct {
	On      bool     // the cluster follows a source
	Sources []string // its URLs
	Term    uint64   // the highest X-Raft-Term that the source has shown; the mirror shows the same
	// Fill, unless it is 0, is the number of the whole read that is being written. Until all of
	// it is there, the tree is that of no moment, and can't be read.
	Fill uint64
	// Hold, unless it is 0, is the number of the promotion that is being tried: writes wait.
	Hold uint64
	// Ended is the source's index at which the promotion has taken over: the writes that the source
	// answered up to there are in the tree, and later ones are not. 0: there was none.
	Ended tree.Index
	// Compared is when a whole read was last compared with the tree, in Unix nanoseconds, at the
	// index ComparedAt, and how many nodes it has corrected.
	Compared   int64
	ComparedAt tree.Index
	Corrected  uint64
}

// Kind is the kind of a Change.
type Kind uint8

// The kinds of changes. Zero is invalid.
const (
	// Begin makes a cluster that is being founded a mirror of Sources.
	Begin Kind = iota + 1
	// Follow takes over Events, all those of the source from the index after From up to To. Events
	// that are known already change nothing.
	Follow
	// Refresh takes over the only event in Events, a refresh, which the source shows nobody but
	// the client that asked for it. It is refused while an earlier index is missing.
	Refresh
	// Fill takes over a part of what a whole read at To found different from the tree at From: Puts, and
	// Removes. It is refused if the tree has moved. ID numbers the read, and First and Last are set in its
	// first and last parts.
	Fill
	// Hold makes writes wait for the promotion ID; Resume ends that.
	Hold
	Resume
	// Promote ends the mirror for good, if its tree is the source's at From, and ID holds the
	// writes. The tree goes on at To, and terms above Term.
	Promote

	kindEnd
)

// Change is a change of a mirror. A kind ignores the fields that don't concern it.
type Change struct {
	Kind     Kind
	Sources  []string
	From, To tree.Index
	Term     uint64
	ID       uint64
	Now      int64 // Unix nanoseconds
	Events   []tree.Event
	Part     // of a Fill
}

// Part is a part of what a whole read found different.
type Part struct {
	First, Last bool // it is the first, the last of the read
	// Hole: events between the tree's index and the read's are not known, so that watchers must
	// read anew.
	Hole    bool
	Count   uint64 // in the last part: how many nodes all parts have
	Puts    []tree.Node
	Removes []string // keys
}

const version = 1

// The errors of decoding. No client can cause them.
var (
	errVersion = errors.New("a newer version of copse wrote a mirror's state or change: start that version again")
	errShort   = errors.New("a mirror's state or change is truncated or damaged")
)

const (
	flagFirst = 1 << iota
	flagLast
	flagHole

	flagDir = 1
	flagOn  = 1

	flagPrev    = 1
	flagRefresh = 2
)

// Append appends c as the Value of a tree.OpMirror.
func (c *Change) Append(dst []byte) []byte {
	var flags byte
	for i, on := range []bool{c.First, c.Last, c.Hole} {
		if on {
			flags |= 1 << i
		}
	}
	dst = append(dst, version, byte(c.Kind), flags)
	for _, n := range []uint64{uint64(c.From), uint64(c.To), c.Term, c.ID, c.Count} {
		dst = binary.AppendUvarint(dst, n)
	}
	dst = binary.AppendVarint(dst, c.Now)
	dst = appendTexts(dst, c.Sources)
	dst = binary.AppendUvarint(dst, uint64(len(c.Events)))
	for i := range c.Events {
		dst = appendEvent(dst, &c.Events[i])
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.Puts)))
	for i := range c.Puts {
		dst = appendNode(dst, &c.Puts[i])
	}
	return appendTexts(dst, c.Removes)
}

// ReadChange reads what Append has written. What it returns refers to data.
func ReadChange(data []byte) (c *Change, err error) {
	d := tree.NewDecoder(data)
	if v := d.Byte(); v > version {
		return nil, errVersion
	} else if v < version {
		return nil, errShort
	}
	c = &Change{Kind: Kind(d.Byte())}
	flags := d.Byte()
	c.First, c.Last, c.Hole = flags&flagFirst != 0, flags&flagLast != 0, flags&flagHole != 0
	c.From, c.To, c.Term, c.ID, c.Count, c.Now = tree.Index(d.Uvarint()), tree.Index(d.Uvarint()), d.Uvarint(), d.Uvarint(), d.Uvarint(), d.Varint()
	c.Sources = readTexts(&d)
	for n := count(&d, 8); n > 0; n-- {
		c.Events = append(c.Events, readEvent(&d))
	}
	for n := count(&d, 6); n > 0; n-- {
		c.Puts = append(c.Puts, readNode(&d))
	}
	c.Removes = readTexts(&d)
	if d.Failed() || d.Left() > 0 || c.Kind == 0 || c.Kind >= kindEnd || flags > flagFirst|flagLast|flagHole ||
		c.Kind == Refresh && len(c.Events) != 1 {
		return nil, errShort
	}
	return c, nil
}

// IsChange reports whether data is a change that this copse can carry out.
func IsChange(data []byte) bool {
	_, err := ReadChange(data)
	return err == nil
}

// Append appends the record of s.
func (s *State) Append(dst []byte) []byte {
	var flags byte
	if s.On {
		flags = flagOn
	}
	dst = appendTexts(append(dst, version, flags), s.Sources)
	for _, n := range []uint64{s.Term, s.Fill, s.Hold, uint64(s.Ended), uint64(s.Compared), uint64(s.ComparedAt), s.Corrected} {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

// ReadState reads what Append has written; no data is a cluster that never was a mirror.
func ReadState(data []byte) (*State, error) {
	s := &State{}
	if len(data) == 0 {
		return s, nil
	}
	d := tree.NewDecoder(data)
	if v := d.Byte(); v > version {
		return nil, errVersion
	} else if v < version {
		return nil, errShort
	}
	s.On = d.Byte()&flagOn != 0
	s.Sources = readTexts(&d)
	s.Term, s.Fill, s.Hold, s.Ended = d.Uvarint(), d.Uvarint(), d.Uvarint(), tree.Index(d.Uvarint())
	s.Compared, s.ComparedAt, s.Corrected = int64(d.Uvarint()), tree.Index(d.Uvarint()), d.Uvarint()
	if d.Failed() || d.Left() > 0 {
		return nil, errShort
	}
	return s, nil
}

// count reads the number of items that follow, of at least size bytes each.
func count(d *tree.Decoder, size int) int {
	n := d.Uvarint()
	if n > uint64(d.Left()/size) {
		d.Fail()
		return 0
	}
	return int(n)
}

func appendText[S string | []byte](dst []byte, text S) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendTexts(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, text := range list {
		dst = appendText(dst, text)
	}
	return dst
}

func readTexts(d *tree.Decoder) (list []string) {
	for n := count(d, 1); n > 0; n-- {
		list = append(list, string(d.Bytes()))
	}
	return list
}

func appendNode(dst []byte, n *tree.Node) []byte {
	var flags byte
	if n.Dir {
		flags = flagDir
	}
	dst = appendText(append(dst, flags), n.Key)
	dst = appendText(dst, n.Value)
	dst = binary.AppendVarint(dst, n.Expires)
	dst = binary.AppendUvarint(dst, uint64(n.Modified))
	return binary.AppendUvarint(dst, uint64(n.Created))
}

func readNode(d *tree.Decoder) tree.Node {
	n := tree.Node{Dir: d.Byte()&flagDir != 0, Key: string(d.Bytes())}
	value := d.Bytes()
	n.Expires, n.Modified, n.Created = d.Varint(), tree.Index(d.Uvarint()), tree.Index(d.Uvarint())
	if !n.Dir {
		n.Value, n.Written = value, n.Modified
	}
	if len(n.Key) < 2 || n.Key[0] != '/' {
		d.Fail()
	}
	return n
}

func appendEvent(dst []byte, e *tree.Event) []byte {
	var flags byte
	if e.HasPrev {
		flags |= flagPrev
	}
	if e.Refresh {
		flags |= flagRefresh
	}
	dst = append(dst, byte(e.Action), flags)
	dst = binary.AppendVarint(dst, e.Now)
	if dst = appendNode(dst, &e.Node); e.HasPrev {
		dst = appendNode(dst, &e.Prev)
	}
	return dst
}

func readEvent(d *tree.Decoder) (e tree.Event) {
	e.Action = tree.Action(d.Byte())
	flags := d.Byte()
	e.HasPrev, e.Refresh = flags&flagPrev != 0, flags&flagRefresh != 0
	e.Now = d.Varint()
	if e.Node = readNode(d); e.HasPrev {
		e.Prev = readNode(d)
	}
	if e.Action < tree.ActionSet || e.Action > tree.ActionExpire {
		d.Fail()
	}
	return e
}
