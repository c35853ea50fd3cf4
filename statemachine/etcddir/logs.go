package etcddir

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// tail is the part of a log that counts: what is to be applied on top of a snapshot, or
// from the beginning.
type tail struct {
	places []place
	last   place  // of all; its file is nil if the snapshot is the last
	floor  string // the cluster's version, if an entry of the tail sets it
}

// after returns what follows a snapshot. An entry replaces all that were written before it
// and have no lower index: a new leader overwrote them.
func (l *log) after(base mark) (t tail, err error) {
	var kept []place
	var numbers []int // in l.places
	for i, p := range l.places {
		if i == base.position && base.index > 0 && !holds(kept, base) {
			kept, numbers = nil, nil // the leader's snapshot took the place of the log
		}
		if len(kept) > 0 {
			keep := int(min(max(int64(p.index)-int64(kept[0].index), 0), int64(len(kept))))
			kept, numbers = kept[:keep], numbers[:keep]
		}
		if n := len(kept); n > 0 && kept[n-1].index+1 != p.index {
			kept, numbers = nil, nil // a snapshot lies between them
		}
		kept, numbers = append(kept, p), append(numbers, i)
	}
	if base.position == len(l.places) && len(kept) > 0 && kept[0].index <= base.index && !holds(kept, base) {
		kept, numbers = nil, nil // as above: the member stopped before it wrote another entry. In a backup, the mark is behind its entries
	}
	t.last = place{index: base.index, term: base.term}
	if n := len(kept); n > 0 && kept[n-1].index > base.index {
		if kept[0].index > base.index+1 {
			f := kept[0].file
			return t, f.damaged(kept[0].offset, fmt.Sprintf("the log goes on at entry %d, and what is before it ends at %d", kept[0].index, base.index))
		}
		skip := int(base.index + 1 - kept[0].index)
		t.places, numbers, t.last = kept[skip:], numbers[skip:], kept[n-1]
	}
	for _, i := range numbers[:min(len(numbers), len(t.places))] {
		if v, ok := l.versions[i]; ok {
			t.floor = v
		}
	}
	return t, nil
}

// holds reports whether the snapshot's entry is among the places.
func holds(kept []place, m mark) bool {
	if len(kept) == 0 || m.index < kept[0].index || m.index > kept[len(kept)-1].index {
		return false
	}
	return kept[m.index-kept[0].index].term == m.term
}

// openLog opens the files of a log, in order.
func openLog(dir fs.FS, under string) (files []*file, err error) {
	names, err := numbered(dir, under, ".wal")
	if err != nil {
		return nil, err
	}
	for i, n := range names {
		f, err := open(dir, path.Join(under, n.name), path.Join(under, n.name))
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, f)
		if i > 0 && n.first != names[i-1].first+1 {
			closeAll(files)
			return nil, f.damaged(0, "the file before it is missing")
		}
	}
	return files, nil
}

func closeAll(files []*file) {
	for _, f := range files {
		_ = f.Close() // opened to read
	}
}

// numberedName is a file's name: two numbers in 16 digits each, and an ending.
type numberedName struct {
	name          string
	first, second uint64
}

func numbered(dir fs.FS, under, ending string) (list []numberedName, err error) {
	entries, err := fs.ReadDir(dir, under)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		n := numberedName{name: e.Name()}
		if path.Ext(n.name) != ending || len(n.name) != 33+len(ending) {
			continue
		}
		if _, err := fmt.Sscanf(n.name, "%016x-%016x", &n.first, &n.second); err == nil {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(a, b numberedName) int {
		return slices.Compare([]uint64{a.first, a.second}, []uint64{b.first, b.second})
	})
	return list, nil
}

// firstOfAll reports whether a file of the log is the first that the member ever wrote.
func firstOfAll(name string) bool {
	var first uint64
	_, err := fmt.Sscanf(path.Base(name), "%016x-", &first)
	return err == nil && first == 0
}
