package importer

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"copse/statemachine/dump"
	"copse/statemachine/etcddir"
)

// isFile reports whether an operand is a dump, not a directory.
func isFile(name string) bool {
	info, err := os.Stat(name)
	return name == "-" || err == nil && !info.IsDir()
}

// dump reads a file in which somebody has saved the keys.
func (o *Options) dump(name string, now time.Time, shown *progress) (*found, error) {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
		defer file.Close()
	}
	in := bufio.NewReader(shown.reading(file))
	if begin, _ := in.Peek(2); string(begin) == "\x1f\x8b" {
		return nil, fmt.Errorf("%w: %s is compressed: a backup of copse's is for copse restore, and a dump has to be decompressed first", ErrUsage, name)
	}
	r, err := dump.Read(in, dump.Options{Format: dump.Format(o.Format), Now: now.UnixNano()})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f := &found{
		name:    fmt.Sprintf("%s, %s", name, map[dump.Format]string{dump.List: "a flat list", dump.Map: "a nested map", dump.Answer: "an answer of etcd"}[r.Format]),
		cluster: etcddir.Cluster{ID: r.ClusterID}, index: max(r.Index, r.Largest), term: r.Term, nodes: r.Nodes(),
		anew: "since a dump doesn't tell what came after it", notes: func(l line) { dumpNotes(l, r) },
		partial: r.Binary.Keys > 0,
	}
	f.count(now.UnixNano())
	return f, nil
}

// dumpNotes prints what the file can't say.
func dumpNotes(line line, r *dump.Result) {
	switch {
	case !r.Indexed():
		line("note", "createdIndex and modifiedIndex are new: a %s has none", r.Format)
	case r.Index == 0:
		line("note", "the index is the highest of any node, and may have been higher: X-Etcd-Index would tell, as curl -i prints it")
	}
	if r.Format == dump.List || r.Format == dump.Map {
		line("note", "expirations, hidden nodes and empty directories are taken over as far as the file has them")
	} else {
		line("note", "an answer has no hidden nodes")
	}
	line("note", "users, roles and the recent events are in no dump")
	if r.Added > 0 {
		line("note", "%d directories aren't in the file, though keys below them are; they get the indexes of those keys", r.Added)
	}
	if r.Timed > 0 {
		line("note", "%d nodes have a ttl but no expiration: they live that long from now on", r.Timed)
	}
	if r.Shallow {
		line("note", "only one level is there, with %d empty directories: was it saved without recursive=true?", r.Empty)
	}
	binaryNotes(line, r)
}

// binaryNotes tells which values and keys JSON may have changed, as it can only hold UTF-8.
func binaryNotes(line line, r *dump.Result) {
	if r.Binary.Values > 0 {
		line("note", "%d values have U+FFFD, and may have been binary: JSON can only hold UTF-8", r.Binary.Values)
	}
	if r.Binary.Keys > 0 {
		line("missing", "the true names of %d keys: they have U+FFFD, which JSON puts in the place of bytes that aren't UTF-8", r.Binary.Keys)
	}
}

// randomID sets id to a random number.
func randomID(id *uint64) error {
	var b [8]byte
	_, err := io.ReadFull(rand.Reader, b[:])
	*id = binary.BigEndian.Uint64(b[:])
	return err
}
